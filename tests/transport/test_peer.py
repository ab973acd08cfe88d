from __future__ import annotations

import pytest

from k2workers.transport import peer as peer_module
from k2workers.transport.peer import BEHIND_BYTES, HEAD, SHORT_HEAD, Peer, PeerPolicy

S = 10**9
POLICY = PeerPolicy(burst_bytes=100, bytes_per_s=10, again_bytes=50, topics=3, topic_bytes=20, owed_bytes=1_000_000)


def peer(*, again: bool = False) -> Peer:
    return Peer("10.0.0.1:5", "10.0.0.1", POLICY, 0, again=again)


def test_what_comes_at_once_and_what_comes_for_ever_are_bounded() -> None:
    one = peer()
    assert one.sent(100, 0)
    assert one.sent(110, S)
    assert not one.sent(111, S)
    patient = peer()
    assert all(patient.sent(10 * second, second * S) for second in range(1_000))


def test_quiet_is_no_credit_for_more_than_a_burst() -> None:
    one = peer()
    assert one.sent(0, 1_000 * S)
    assert not one.sent(101, 1_000 * S)


def test_a_host_that_was_cut_loose_lately_may_send_less() -> None:
    assert peer(again=True).sent(50, 0)
    assert not peer(again=True).sent(51, 0)


def test_topics_are_bounded_by_count() -> None:
    one = peer()
    assert one.subscribe(b"a") and one.subscribe(b"b") and one.subscribe(b"c") and one.subscribe(b"c")
    assert not one.subscribe(b"d")


def test_topics_are_bounded_by_length_and_those_left_do_not_count() -> None:
    one = peer()
    assert one.subscribe(b"a" * 20)
    one.unsubscribe(b"a" * 20)
    one.unsubscribe(b"never")
    assert one.subscribe(b"b" * 19)
    assert not one.subscribe(b"cc")


def test_what_it_is_owed_counts_from_when_the_kernel_takes_no_more() -> None:
    one = peer()
    one.subscribe(b"t.")
    assert one.look(BEHIND_BYTES - 1, 0)
    assert not one.behind
    assert one.look(BEHIND_BYTES, 1_000)
    assert one.behind
    one.hand(b"t.a " + bytes(996))
    one.hand(b"t.a " + bytes(996))
    one.hand(b"other " + bytes(996))
    assert one.look(BEHIND_BYTES, 1_000)
    assert one.owed == BEHIND_BYTES + 2 * (1_000 + HEAD)
    assert one.look(BEHIND_BYTES + 500, 1_500)
    assert one.owed == BEHIND_BYTES + 500 + 1_000 + 2 * HEAD
    one.hand(b"t.b " + bytes(1_000_000))
    assert not one.look(BEHIND_BYTES, 1_500)
    assert one.look(BEHIND_BYTES, 10_000)
    assert one.look(0, 10_000)
    assert not one.behind
    assert one.owed == 0


def test_what_went_out_before_it_was_counted_makes_it_owed_no_less_than_the_kernel_holds() -> None:
    one = peer()
    one.subscribe(b"")
    assert one.look(BEHIND_BYTES, 0)
    assert one.look(BEHIND_BYTES + 500, 0), "what ZeroMQ had before it was first seen to be behind"
    assert one.owed == BEHIND_BYTES + 500
    one.hand(bytes(498))
    assert one.look(BEHIND_BYTES + 500, 0)
    assert one.owed == BEHIND_BYTES + 498 + HEAD


def test_topics_that_change_while_it_is_behind_count_from_then_on() -> None:
    one = peer()
    assert one.look(BEHIND_BYTES, 0)
    one.hand(b"t.a xxxx")
    one.subscribe(b"t.")
    one.hand(b"t.a xxxx")
    one.unsubscribe(b"t.")
    one.hand(b"t.a xxxx")
    assert one.look(BEHIND_BYTES, 0)
    assert one.owed == BEHIND_BYTES + 8 + SHORT_HEAD


def test_topics_that_are_known_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_module, "MAX_TOPICS_KNOWN", 2)
    one = peer()
    one.subscribe(b"")
    assert one.look(BEHIND_BYTES, 0)
    for number in range(5):
        one.hand(b"%d x" % number)
        assert len(one._matching) <= 2
    assert one.look(BEHIND_BYTES, 0)
    assert one.owed == BEHIND_BYTES + 5 * (3 + SHORT_HEAD)


def test_where_nothing_is_counted_one_whose_messages_never_end_shows_by_what_waits() -> None:
    one = peer()
    assert all(one.waits(1) for _ in range(POLICY.endless_looks))
    one.told()
    assert all(one.waits(1) for _ in range(POLICY.endless_looks))
    assert one.waits(0)
    assert all(one.waits(1) for _ in range(POLICY.endless_looks))
    assert not one.waits(1)
    again = peer(again=True)
    assert again.waits(1)
    assert not again.waits(1)
