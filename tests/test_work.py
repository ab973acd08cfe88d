"""How much work an event is, counted in calls instead of timed: a slower hot path fails here on any machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from k2workers import wire
from k2workers.events import Trade
from k2workers.feed.framing import FastLane
from k2workers.feed.intake import Intake
from k2workers.sequencing.sequencer import Sequencer
from k2workers.transport.reassembly import Reassembly
from k2workers.venues.binance import BinanceSpot
from tests.bench.frames import frames, symbols

EVENTS, A_READ = 6_400, 640


def calls_of(work: Callable[[], object]) -> int:
    """How many functions, ours and built-in ones, are called."""
    count = 0

    def note(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def reads(kind: str, symbol_count: int) -> list[bytes]:
    """The bytes of some reads."""
    sent = list(frames(kind, symbols(symbol_count), EVENTS))
    return [b"".join(sent[at : at + A_READ]) for at in range(0, EVENTS, A_READ)]


@pytest.mark.parametrize(
    ("kind", "symbol_count", "limit"),
    [("trade", 1, 4.3), ("trade", 10, 4.6), ("trade", 100, 7.4), ("book_ticker", 10, 4.6), ("depth", 10, 18.0)],
)
def test_a_worker_makes_few_calls_an_event(kind: str, symbol_count: int, limit: float) -> None:
    venue, pushed = BinanceSpot(), list[list[wire.Batch]]()
    intake = Intake(
        venue.codec(venue.stream_specs([kind], symbols(symbol_count))), hold_ns=10**9, push=pushed.append,
        on_reply=lambda *_: None, on_notice=lambda _: None, observe_latency=lambda _: None,
    )  # fmt: skip
    lane = FastLane(lambda messages: intake.on_messages(1, messages, 1), lambda _: True, 2**24)
    first, *rest = reads(kind, symbol_count)
    lane.take(first)  # the first event of a topic makes its lane
    calls = calls_of(lambda: list(map(lane.take, rest)))
    assert intake.events == EVENTS
    assert calls / (EVENTS - A_READ) < limit


def batches(count: int, size: int) -> list[wire.Batch]:
    """Batches of one topic as a worker pushes them."""
    return [
        wire.batch_of("binance.trade.S", [Trade(size * n + i, "1", "1", True, 1, 1, 1) for i in range(size)])
        for n in range(count)
    ]


def published(sequencer: Sequencer, batch: wire.Batch) -> bytes:
    sequencer.take(batch, 1)
    return sequencer.publish(1)[0][2]


def test_the_sequencer_makes_few_calls_a_batch_whatever_its_size() -> None:
    for size in (1, 100):
        sequencer, (first, *rest) = Sequencer(1), batches(101, size)
        published(sequencer, first)
        assert calls_of(lambda: [published(sequencer, batch) for batch in rest]) / len(rest) < 20  # noqa: B023


def test_a_subscriber_makes_few_calls_a_batch_whatever_its_size() -> None:
    for size in (1, 100):
        sequencer, reassembly = Sequencer(1), Reassembly()
        first, *rest = [published(sequencer, batch) for batch in batches(101, size)]
        reassembly.take(first, 1)
        assert calls_of(lambda: [reassembly.take(frame, 1) for frame in rest]) / len(rest) < 28  # noqa: B023
