"""What a worker keeps and says, message by message, without sockets."""

from __future__ import annotations

from typing import Any

import pytest

from k2workers.continuity import renumbered
from k2workers.events import Gap
from k2workers.sequencing.coverage import PublishedPosition
from k2workers.transport import bundle_protocol
from k2workers.transport.outbox import SENT_AT_ONCE, Outbox
from k2workers.venues.binance.streams import CHAIN
from k2workers.wire import SendOutcome, encode_bundle
from tests.support.batches import batch_of
from tests.transport.support import trades

T = "binance.trade.BTCUSDT"
WELCOME = bundle_protocol.encode(bundle_protocol.Welcome(7, {T: PublishedPosition(9, [(3, 4)], CHAIN.number)}))


class Line:
    """An outbox, and what it sent while the aggregator ``reads``."""

    def __init__(self, keep_bytes: int = 10_000) -> None:
        self.reads = True
        self.sent: list[tuple[bytes, ...]] = []
        self.kicks = 0
        self.outbox = Outbox(self._send, self._kick, keep_bytes)

    def _send(self, *frames: bytes) -> bool:
        if self.reads:
            self.sent.append(frames)
        return self.reads

    def _kick(self) -> None:
        self.kicks += 1

    def said(self) -> list[Any]:
        """Letters, and the numbers of bundles, since the last call."""
        found = [
            (frames[0][:1], bundle_protocol.number_of(frames[0])) if len(frames) == 1 else frames[0]
            for frames in self.sent
        ]
        self.sent.clear()
        return found

    def hello(self) -> bundle_protocol.WorkerHello:
        return bundle_protocol.decode_hello(self.sent[-1][1])


def test_bundles_wait_for_the_welcome_and_then_go_in_order() -> None:
    line = Line()
    assert line.outbox.push([trades(1)]) is SendOutcome.BACK_PRESSURED
    assert line.outbox.pending
    assert not line.outbox.flush()
    line.outbox.greet()
    assert line.said() == [bundle_protocol.HELLO]
    line.outbox.heard(bundle_protocol.WELCOME, WELCOME)
    assert not line.outbox.flush()
    assert line.outbox.push([trades(2)]) is SendOutcome.SENT
    assert line.said() == [(b"B", 1), (b"B", 2)]
    line.outbox.greet()
    assert line.said() == [(b"P", 2)]
    assert line.kicks == 1


def test_what_does_not_go_at_once_goes_later_a_part_at_a_time() -> None:
    line = Line()
    line.outbox.greet()
    line.outbox.heard(bundle_protocol.WELCOME, WELCOME)
    line.reads = False
    for number in range(SENT_AT_ONCE + 1):
        assert line.outbox.push([trades(number)]) is SendOutcome.BACK_PRESSURED
    assert not line.outbox.flush()
    line.reads = True
    line.said()
    assert line.outbox.flush()
    assert line.outbox.counters.pending_bundles == 1
    assert not line.outbox.flush()
    assert [number for _, number in line.said()] == list(range(1, SENT_AT_ONCE + 2))


def test_a_challenge_is_answered_once_and_what_is_kept_goes_again() -> None:
    line = Line()
    line.outbox.greet()
    line.outbox.heard(bundle_protocol.WELCOME, WELCOME)
    for number in (1, 2, 3):
        line.outbox.push([trades(number)])
    line.outbox.heard(bundle_protocol.numbered(bundle_protocol.ACK, 1))
    line.said()
    line.outbox.heard(bundle_protocol.CHALLENGE)
    line.outbox.heard(bundle_protocol.CHALLENGE)
    assert line.hello().first_number == 2
    assert line.said() == [bundle_protocol.HELLO]
    assert (line.outbox.counters.resent, line.outbox.counters.pending_bundles) == (2, 2)
    line.outbox.heard(bundle_protocol.WELCOME, WELCOME)
    line.outbox.heard(bundle_protocol.WELCOME, WELCOME)
    line.outbox.flush()
    assert line.said() == [(b"B", 2), (b"B", 3)]
    assert line.outbox.counters.pending_bundles == 0


def test_holes_are_told_whoever_finds_them() -> None:
    line = Line()
    told: list[object] = []
    line.outbox.on_holes = told.append
    line.outbox.reached = lambda: {T: (CHAIN.number, 9)}
    line.outbox.greet()
    line.outbox.heard(bundle_protocol.WELCOME, WELCOME)
    line.outbox.heard(bundle_protocol.HOLES, bundle_protocol.encode({T: (CHAIN.number, [(6, 7)])}))
    assert told == [{T: (CHAIN.number, [(3, 4)])}, {T: (CHAIN.number, [(6, 7)])}]


def test_what_is_dropped_is_not_claimed_until_later_ids_are_acknowledged() -> None:
    size = len(bundle_protocol.numbered(b"B", 1)) + len(encode_bundle([trades(1)]))
    line = Line(3 * size)
    line.outbox.reached = lambda: {T: (CHAIN.number, 4)}
    line.outbox.greet()
    line.outbox.heard(bundle_protocol.WELCOME, WELCOME)
    for number in (1, 2, 3, 4):
        assert line.outbox.push([trades(number)]) is SendOutcome.SENT
    line.outbox.heard(bundle_protocol.CHALLENGE)
    assert (line.hello().first_number, line.hello().acknowledged, line.hello().dropped_after) == (
        2,
        {},
        {T: (CHAIN.number, 0)},
    )
    assert line.outbox.push([trades(5)]) is SendOutcome.REFUSED
    line.outbox.heard(bundle_protocol.WELCOME, WELCOME)
    line.outbox.flush()
    line.outbox.heard(bundle_protocol.numbered(bundle_protocol.ACK, 4))
    line.outbox.push([batch_of(T, [Gap(5, 5, "not sent", 0)])])
    line.outbox.heard(bundle_protocol.numbered(bundle_protocol.ACK, 5))
    line.outbox.heard(bundle_protocol.CHALLENGE)
    assert (line.hello().first_number, line.hello().acknowledged) == (6, {T: (CHAIN.number, 4)})


def test_a_closed_outbox_takes_nothing_and_other_letters_say_nothing() -> None:
    line = Line()
    line.outbox.heard(b"Z")
    line.outbox.closed = True
    assert line.outbox.push([trades(1)]) is SendOutcome.CLOSED
    assert line.sent == []


@pytest.mark.parametrize("frames", [(b"A",), (bundle_protocol.WELCOME,), (bundle_protocol.HOLES, b"\xc1")])
def test_what_cannot_be_read_raises_a_plain_error(frames: tuple[bytes, ...]) -> None:
    with pytest.raises((ValueError, IndexError)):
        Line().outbox.heard(*frames)


def test_where_a_life_began_is_not_claimed_as_safe_before_anything_of_it_is_acknowledged() -> None:
    line = Line()
    line.outbox.reached = lambda: {T: (CHAIN.number, 9)}
    line.outbox.greet()
    assert (line.hello().acknowledged, line.hello().dropped_after) == ({}, {T: (CHAIN.number, 9)})
    line.outbox.heard(bundle_protocol.WELCOME, WELCOME)
    line.outbox.heard(bundle_protocol.numbered(bundle_protocol.ACK, 1))
    line.outbox.heard(bundle_protocol.CHALLENGE)
    assert (line.hello().acknowledged, line.hello().dropped_after) == ({T: (CHAIN.number, 9)}, {})


def test_ids_that_a_new_aggregator_has_forgotten_are_told() -> None:
    line = Line()
    told: list[object] = []
    line.outbox.on_forgotten = told.append
    line.outbox.reached = lambda: {T: (CHAIN.number, 12), "unknown": (CHAIN.number, 5)}
    line.outbox.greet()
    line.outbox.heard(bundle_protocol.WELCOME, WELCOME)
    assert told == [{T: (CHAIN.number, [(10, 12)])}]


def test_a_hello_tells_what_numberings_began() -> None:
    line, began = Line(), {T: (renumbered(CHAIN.number), 5)}
    line.outbox.begun = lambda: began
    line.outbox.greet()
    assert line.hello().begun == began


def test_what_was_refused_is_not_claimed_when_everything_before_it_is_acknowledged() -> None:
    line = Line(keep_bytes=len(bundle_protocol.numbered(bundle_protocol.BUNDLE, 1) + encode_bundle([trades(1)])))
    line.outbox.reached = lambda: {T: (CHAIN.number, 3)}
    line.outbox.greet()
    line.outbox.heard(bundle_protocol.WELCOME, WELCOME)
    line.outbox.push([trades(1)])
    line.outbox.heard(bundle_protocol.numbered(bundle_protocol.ACK, 1))
    line.reads = False
    assert [line.outbox.push([trades(number)]) for number in (2, 3)] == [
        SendOutcome.BACK_PRESSURED, SendOutcome.REFUSED,
    ]  # fmt: skip
    line.reads = True
    line.outbox.flush()
    line.outbox.heard(bundle_protocol.numbered(bundle_protocol.ACK, 2))
    line.outbox.heard(bundle_protocol.CHALLENGE)
    hello = line.hello()
    assert (hello.acknowledged, hello.dropped_after) == ({}, {T: (CHAIN.number, 2)})


def test_a_hello_that_is_said_again_says_the_same() -> None:
    line = Line()
    line.outbox.push([trades(1)])
    line.outbox.greet()
    first = line.hello()
    line.outbox.greet()
    assert line.hello() == first
