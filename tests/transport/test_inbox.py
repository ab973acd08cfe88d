"""What the aggregator takes of each worker, message by message, without sockets."""

from __future__ import annotations

import pytest

from k2workers.transport import bundle_protocol
from k2workers.transport.inbox import CHALLENGE_EVERY_NS, Inbox
from k2workers.wire import Batch, encode_bundle
from tests.transport.support import trades

ONE, TWO = b"worker-0#1", b"worker-0#2"
LATER = 10 * CHALLENGE_EVERY_NS


class Desk:
    """An inbox, what it took and what it said."""

    def __init__(self) -> None:
        self.said: list[tuple[bytes, ...]] = []
        self.got: list[tuple[bytes, int]] = []
        self.inbox = Inbox(lambda *frames: self.said.append(frames))
        self.inbox.on_bundle = self._on_bundle

    def _on_bundle(self, worker: bytes, batches: list[Batch]) -> None:
        self.got.append((worker, batches[0].first_id))

    def hello(self, worker: bytes, first: int = 1) -> None:
        self.inbox.heard(
            worker, bundle_protocol.HELLO, [bundle_protocol.encode(bundle_protocol.WorkerHello(first, {}))]
        )

    def bundle(self, worker: bytes, number: int) -> None:
        first = bundle_protocol.numbered(bundle_protocol.BUNDLE, number) + encode_bundle([trades(number)])
        self.inbox.heard(worker, first, [])

    def ping(self, worker: bytes, number: int) -> None:
        self.inbox.heard(worker, bundle_protocol.numbered(bundle_protocol.PING, number), [])

    def challenged(self, now_ns: int) -> list[bytes]:
        self.said.clear()
        self.inbox.challenge(now_ns)
        return [worker for worker, letter in self.said if letter == bundle_protocol.CHALLENGE]


def test_each_bundle_is_taken_once_and_in_order_after_the_hello() -> None:
    desk = Desk()
    desk.bundle(ONE, 3)
    assert (desk.got, desk.inbox.wrong, desk.inbox.taken()) == ([], {ONE}, {})
    desk.hello(ONE, 3)
    assert [frames[:2] for frames in desk.said] == [(ONE, bundle_protocol.WELCOME)]
    assert not desk.inbox.wrong, "the hello answers before the challenge"
    for number in (3, 4, 4, 3, 6):
        desk.bundle(ONE, number)
    assert (desk.got, desk.inbox.repeated, desk.inbox.bundles) == ([(ONE, 3), (ONE, 4)], 2, 2)
    assert desk.inbox.taken() == {ONE: 4}
    assert len(desk.said) == 1, "what was taken is not acknowledged by that"
    desk.hello(ONE, 3)
    desk.bundle(ONE, 4)
    assert desk.inbox.taken() == {ONE: 4}, "taken before, and not taken again"


def test_a_worker_in_the_wrong_place_is_challenged_at_a_pace() -> None:
    desk = Desk()
    desk.ping(ONE, 0)
    assert desk.challenged(LATER) == [ONE]
    assert desk.challenged(2 * LATER) == [], "only when another message shows it"
    desk.ping(ONE, 0)
    assert desk.challenged(LATER + CHALLENGE_EVERY_NS - 1) == []
    desk.ping(ONE, 0)
    assert desk.challenged(LATER + CHALLENGE_EVERY_NS) == [ONE]
    desk.hello(ONE)
    desk.ping(ONE, 0)
    assert not desk.inbox.wrong


def test_an_earlier_life_is_forgotten_when_a_new_one_says_hello() -> None:
    desk = Desk()
    for worker in (ONE, b"worker-1#1", b"nameless"):
        desk.hello(worker)
        desk.bundle(worker, 1)
    desk.ping(ONE, 5)
    desk.hello(TWO)
    assert desk.challenged(LATER) == []
    assert desk.inbox.taken() == {b"worker-1#1": 1, b"nameless": 1}
    desk.said.clear()
    desk.inbox.acknowledge({ONE: 1, b"worker-1#1": 1})
    desk.inbox.tell_holes(b"worker-1#1", {"t": (0, [(1, 2)])})
    assert desk.said == [
        (b"worker-1#1", bundle_protocol.numbered(bundle_protocol.ACK, 1)),
        (b"worker-1#1", bundle_protocol.HOLES, bundle_protocol.encode({"t": (0, [(1, 2)])})),
    ]


def test_other_letters_say_nothing_and_damage_raises_a_plain_error() -> None:
    desk = Desk()
    desk.inbox.heard(ONE, b"Z", [])
    with pytest.raises(ValueError, match="no number"):
        desk.inbox.heard(ONE, b"B", [])
    with pytest.raises(IndexError):
        desk.inbox.heard(ONE, bundle_protocol.HELLO, [])
    assert desk.said == []


def test_without_an_answer_of_its_own_it_knows_no_topics() -> None:
    inbox = Inbox(lambda *_: None)
    inbox.on_bundle(ONE, [])
    assert inbox.on_hello(bundle_protocol.WorkerHello(1, {})) == bundle_protocol.Welcome(0, {})


def test_a_worker_that_sends_again_what_was_taken_is_not_challenged_meanwhile() -> None:
    desk = Desk()
    desk.hello(ONE)
    for number in (1, 2, 3):
        desk.bundle(ONE, number)
    desk.hello(ONE)
    desk.ping(ONE, 0)
    assert not desk.inbox.wrong
    desk.ping(ONE, 4)
    assert desk.inbox.wrong == {ONE}


def test_what_is_taken_as_it_is_is_not_decoded() -> None:
    desk, whole = Desk(), list[bytes]()

    def on_frame(worker: bytes, frame: bytes) -> bool:
        assert worker == ONE
        whole.append(frame)
        return len(whole) == 1

    desk.inbox.on_frame = on_frame
    desk.hello(ONE)
    desk.bundle(ONE, 1)
    desk.bundle(ONE, 2)
    assert [bundle_protocol.number_of(frame) for frame in whole] == [1, 2]
    assert (desk.got, desk.inbox.taken()) == ([(ONE, 2)], {ONE: 2})
