"""How much work an event is, counted instead of timed: a hot path that does more fails here on any machine.

Counted are calls (of our functions and of built-in ones) and steps (instructions of the interpreter, which are judged on CPython
3.11 only: each version has others). Both are the same in every run. The limits stand a little above what is; who lowers the work
lowers them. What ZeroMQ's sockets take is not in it.
"""

from __future__ import annotations

import itertools
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NamedTuple

import pytest
from prometheus_client import Histogram

from k2workers import wire
from k2workers.events import BookSnapshot, DepthUpdate, Kline, Trade
from k2workers.feed.framing import FrameCutter
from k2workers.feed.intake import Intake
from k2workers.metrics.flushing import Instruments
from k2workers.metrics.instruments import WORKER
from k2workers.sequencing.sequencer import Sequencer
from k2workers.supervision.child import Child, ChildSpec
from k2workers.transport.book_reassembly import BookReassembly
from k2workers.transport.reassembly import Reassembly
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.binance.streams import BOOK
from tests.bench.frames import frames, symbols
from tests.support.batches import batch_of
from tests.support.waiting import wait_for

EVENTS = 6_400


class Work(NamedTuple):
    """What some work took."""

    calls: float
    steps: float

    def each(self, count: int) -> Work:
        """For each of so many."""
        return Work(self.calls / count, self.steps / count)


def assert_within(limit: Work, found: Work) -> None:
    """No more work than that."""
    assert found.calls < limit.calls
    assert found.steps < limit.steps or sys.version_info[:2] != (3, 11)


def work_of(work: Callable[[], object]) -> Work:
    """Do it twice, once for each count."""
    calls = steps = 0

    def note_call(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    def note_step(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal steps
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        steps += event == "opcode"
        return note_step

    sys.setprofile(note_call)
    try:
        work()
    finally:
        sys.setprofile(None)
    before = sys.gettrace()  # a coverage run has one
    sys.settrace(note_step)
    try:
        work()
    finally:
        sys.settrace(before)
    return Work(calls, steps)


def reads(kind: str, symbol_count: int, a_read: int) -> list[bytes]:
    """The bytes of some reads."""
    sent = list(frames(kind, symbols(symbol_count), EVENTS))
    return [b"".join(sent[at : at + a_read]) for at in range(0, EVENTS, a_read)]


@pytest.mark.parametrize(
    ("kind", "symbol_count", "a_read", "limit"),
    [
        ("trade", 1, 640, Work(6.2, 114)),
        ("trade", 10, 640, Work(6.5, 119)),
        ("trade", 100, 640, Work(8.7, 163)),
        ("trade", 500, 640, Work(17.7, 354)),
        ("trade", 10, 1, Work(60, 940)),
        ("book_ticker", 10, 640, Work(4.5, 109)),
        ("depth", 10, 640, Work(8.7, 160)),
    ],
)
def test_an_event_is_little_work_for_a_worker(kind: str, symbol_count: int, a_read: int, limit: Work) -> None:
    venue = BinanceSpot()
    first, *rest = reads(kind, symbol_count, a_read)
    intakes: list[Intake] = []

    def prepared() -> FrameCutter:
        intake = Intake(
            venue.codec(venue.stream_specs([kind], symbols(symbol_count))), hold_ns=10**9, push=lambda _: None,
            on_reply=lambda *_: None, on_notice=lambda _: None, observe_latency=lambda _: None,
        )  # fmt: skip
        intakes.append(intake)
        cutter = FrameCutter(lambda messages: intake.on_messages(1, messages, 1), lambda _: True, 2**24)
        cutter.take(first)  # the first event of a topic makes its lane
        return cutter

    lanes = iter([prepared(), prepared()])

    def work() -> None:
        take = next(lanes).take
        for data in rest:
            take(data)

    found = work_of(work).each(EVENTS - a_read)
    assert [intake.events for intake in intakes] == [EVENTS, EVENTS]
    assert_within(limit, found)


@pytest.mark.parametrize(
    ("kind", "limit"), [("trade", Work(6.7, 121)), ("book_ticker", Work(4.7, 114)), ("depth", Work(8.4, 156))]
)
def test_a_copy_in_an_overlap_is_no_more_work_than_an_event(kind: str, limit: Work) -> None:
    """The other line brings each read again, after the next one: it is behind."""
    venue = BinanceSpot()
    sent = reads(kind, 10, 640)

    def prepared() -> tuple[Intake, list[FrameCutter]]:
        intake = Intake(
            venue.codec(venue.stream_specs([kind], symbols(10))), hold_ns=10**9, push=lambda _: None,
            on_reply=lambda *_: None, on_notice=lambda _: None, observe_latency=lambda _: None,
        )  # fmt: skip

        def on_line(line: int) -> FrameCutter:
            return FrameCutter(lambda messages: intake.on_messages(line, messages, 1), lambda _: True, 2**24)

        return intake, [on_line(1), on_line(2)]

    found = []
    for overlap in (False, True):
        intakes = [prepared(), prepared()]
        turns = iter(intakes)

        def work(turns: Iterator[tuple[Intake, list[FrameCutter]]] = turns, overlap: bool = overlap) -> None:
            _, (first, second) = next(turns)
            first.take(sent[0])
            for late, data in itertools.pairwise(sent):
                first.take(data)
                if overlap:
                    second.take(late)

        found.append(work_of(work).each(EVENTS))
        copies = EVENTS - 640 if overlap else 0
        assert [(intake.events, intake.duplicates) for intake, _ in intakes] == [(EVENTS, copies)] * 2
    alone, both = found
    copies_share = (EVENTS - 640) / EVENTS
    assert_within(limit, Work((both.calls - alone.calls) / copies_share, (both.steps - alone.steps) / copies_share))


def batches(count: int, size: int) -> list[wire.Batch]:
    """Batches of one topic as a worker pushes them."""
    return [
        batch_of("binance.trade.S", [Trade(size * n + i, "1", "1", True, 1, 1, 1) for i in range(size)])
        for n in range(count)
    ]


def published(sequencer: Sequencer, batch: wire.Batch) -> bytes:
    sequencer.take(batch, 1)
    return sequencer.publish(1)[0][2]


@pytest.mark.parametrize("size", [1, 100])
def test_a_batch_is_little_work_for_the_sequencer_whatever_its_size(size: int) -> None:
    first, *rest = batches(101, size)
    sequencers = iter([Sequencer(1), Sequencer(2)])

    def work() -> None:
        sequencer = next(sequencers)
        for batch in (first, *rest):
            published(sequencer, batch)

    found = work_of(work).each(101)
    assert_within(Work(13.6, 246), found)


@pytest.mark.parametrize("size", [1, 100])
def test_a_batch_is_little_work_for_a_subscriber_whatever_its_size(size: int) -> None:
    sequencer = Sequencer(1)
    frames = [published(sequencer, batch) for batch in batches(101, size)]
    reassemblies = iter([Reassembly(), Reassembly()])

    def work() -> None:
        take = next(reassemblies).take
        for frame in frames:
            take(frame, 1)

    found = work_of(work).each(101)
    assert_within(Work(14.6, 302), found)


def test_a_state_of_a_bar_is_little_work_for_a_subscriber() -> None:
    sequencer = Sequencer(1)
    bars = [Kline(0, 59, "1", "1", "1", "1", "1", "1", "1", "1", 0, 0, 0, False, at, 1) for at in range(1, 2001)]
    frames = [published(sequencer, batch_of("binance.kline_1m.S", bars[n : n + 20])) for n in range(0, 2000, 20)]
    reassemblies = iter([Reassembly(), Reassembly()])

    def work() -> None:
        take = next(reassemblies).take
        for frame in frames:
            take(frame, 1)

    found = work_of(work).each(2000)
    assert_within(Work(4.3, 83), found)


def test_a_batch_of_book_changes_is_little_work_for_a_subscriber_that_has_a_book() -> None:
    sequencer = Sequencer(1)
    changes = [DepthUpdate(number, number, [], [], 0, 0) for number in range(10, 110)]
    events = [BookSnapshot(9, [], [], 0), *changes]
    frames = [published(sequencer, batch_of("binance.depth.S", [event], BOOK)) for event in events]
    reassemblies = iter([BookReassembly(), BookReassembly()])

    def work() -> None:
        take = next(reassemblies).take
        for frame in frames:
            take(frame, 1)

    found = work_of(work).each(101)
    assert_within(Work(14.6, 332), found)


def test_figures_that_have_not_changed_are_little_work_for_who_keeps_the_metrics() -> None:
    instruments = Instruments(WORKER, environment="test", component="worker")
    totals = {
        name: {(word,) * len(row.labels): 1.0 for word in ("one", "other")} if row.label else 1.0
        for name, row in WORKER.items()
        if row.type is not Histogram
    }
    instruments.flush(totals)
    assert_within(Work(8, 70), work_of(lambda: instruments.flush(totals)).each(len(totals)))


def test_whether_a_child_lives_is_little_work_to_see() -> None:
    child = Child(ChildSpec(name="one", target="tests.supervision.children:hang", settings=0.0), "ipc:///nowhere")
    try:
        assert_within(Work(5, 25), work_of(lambda: child.alive))
    finally:
        child.signal(signal.SIGKILL)
    wait_for("the end of the child", lambda: not child.alive)
