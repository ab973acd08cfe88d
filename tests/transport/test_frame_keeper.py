"""What goes into the disk ring: every batch once, in the order of its topic, whatever comes when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers import wire
from k2workers.transport import frame_keeper
from k2workers.transport.frame_keeper import ASK_AGAIN_NS, PATIENCE_NS, FrameKeeper
from tests.transport.support import published

T = "binance.trade.BTCUSDT"


def written(keeper: FrameKeeper) -> list[tuple[int, str, int]]:
    """(epoch, topic, sequence) of all that is to be written, in its order within each block's topics."""
    out = []
    while (block := keeper.cut()) is not None:
        for topic, own in block.topics.items():
            sequences = [wire.read_header(frame).sequence for frame in own.frames]
            assert (own.first, own.last) == (sequences[0], sequences[-1])
            out += [(block.epoch, topic.decode(), sequence) for sequence in sequences]
    return out


def ones(keeper: FrameKeeper) -> list[int]:
    return [sequence for _, _, sequence in written(keeper)]


def test_what_follows_is_taken_and_copies_are_not() -> None:
    keeper = FrameKeeper(None, {})
    for sequence in (1, 2, 2, 1, 3):
        keeper.take(published(sequence), 0)
    assert (ones(keeper), keeper.cut(), keeper.holes) == ([1, 2, 3], None, 0)


def test_a_hole_is_asked_for_and_filled_while_other_topics_go_on() -> None:
    keeper = FrameKeeper(1, {T: 4})
    keeper.take(published(6), 0)
    keeper.take(published(6), 0)
    keeper.take(published(7), 0)
    keeper.take(published(1, topic="o.o.o"), 0)
    assert list(keeper.questions(0)) == [(T.encode(), 5)]
    assert list(keeper.questions(1)) == [], "not at once again"
    assert list(keeper.questions(ASK_AGAIN_NS)) == [(T.encode(), 5)]
    assert written(keeper) == [(1, "o.o.o", 1)]
    keeper.replayed(T, 1, 1, 7, [published(5)], 1)
    assert (ones(keeper), list(keeper.questions(10**12)), keeper.holes) == ([5, 6, 7], [], 0)


def test_a_hole_that_nothing_fills_is_given_up_in_time_and_counted() -> None:
    keeper = FrameKeeper(1, {T: 4})
    for sequence in (7, 10):
        keeper.take(published(sequence), 0)
    keeper.tick(PATIENCE_NS - 1)
    assert ones(keeper) == []
    keeper.tick(PATIENCE_NS)
    assert (ones(keeper), keeper.holes) == ([7], 2)
    keeper.tick(2 * PATIENCE_NS)
    assert (ones(keeper), keeper.holes, list(keeper.questions(10**12))) == ([10], 4, [])


def test_what_the_memory_ring_no_longer_has_is_a_hole() -> None:
    keeper = FrameKeeper(1, {T: 4})
    keeper.behind(1, {T: 9, "n.n.n": 8, "o.o.o": 0}, 0)
    assert dict(keeper.questions(0)) == {T.encode(): 5, b"n.n.n": 1}
    keeper.replayed(T, 1, 8, 9, [published(8)], 0)
    assert list(keeper.questions(0)) == [(T.encode(), 9)], "more at once after progress"
    keeper.replayed(T, 1, 8, 9, [], 0)
    assert list(keeper.questions(1)) == []
    keeper.replayed(T, 1, 8, 9, [published(9)], 0)
    keeper.replayed("n.n.n", 1, 6, 8, [published(n, topic="n.n.n") for n in (6, 7, 8)], 0)
    assert (ones(keeper), keeper.holes) == ([8, 9, 6, 7, 8], 3 + 5)
    keeper.replayed("x.x.x", 1, 1, 1, [], 0)
    keeper.replayed(T, 2, 1, 1, [], 0)


def test_what_was_published_before_the_ring_began_is_no_hole() -> None:
    keeper = FrameKeeper(None, {})
    keeper.behind(1, {T: 8}, 0)
    keeper.replayed(T, 1, 7, 8, [published(7), published(8)], 0)
    assert (ones(keeper), keeper.holes) == ([7, 8], 0)
    keeper.take(published(11), 0)
    keeper.enter(2)
    keeper.behind(2, {T: 3}, 0)
    keeper.replayed(T, 2, 3, 3, [published(3, epoch=2)], 0)
    assert (ones(keeper), keeper.holes) == ([11, 3], 2 + 2)


def test_one_that_was_wanted_and_comes_live_is_not_asked_for_longer() -> None:
    keeper = FrameKeeper(1, {T: 4})
    keeper.behind(1, {T: 5}, 0)
    keeper.take(published(5), 0)
    keeper.tick(PATIENCE_NS)
    assert list(keeper.questions(10**12)) == []


def test_a_new_life_begins_after_all_of_the_last_and_one_that_was_left_does_not_come_back() -> None:
    keeper = FrameKeeper(1, {T: 4})
    keeper.take(published(6), 0)
    keeper.take(published(1, epoch=2), 0)
    assert (written(keeper), keeper.holes) == ([(1, T, 6), (2, T, 1)], 1)
    keeper.take(published(7, epoch=1), 0)
    keeper.behind(1, {T: 9}, 0)
    assert (keeper.enter(1), keeper.enter(2), written(keeper), list(keeper.questions(0))) == (False, True, [], [])
    assert FrameKeeper(None, {}).enter(3)


def test_blocks_are_bounded_and_know_their_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_keeper, "BLOCK_BYTES", 2 * len(published(1)))
    keeper = FrameKeeper(None, {})
    for sequence, at in ((1, 50), (2, 40), (3, 60), (4, 70), (5, 80)):
        keeper.take(published(sequence, publish_ns=at), 0)
    assert keeper.blocks == 2
    times = []
    while (block := keeper.cut()) is not None:
        times.append((block.first_ns, block.last_ns))
    assert (times, keeper.blocks) == ([(40, 50), (60, 70), (80, 80)], 0)


def test_what_waits_behind_holes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_keeper, "MAX_HELD_BYTES", 2 * len(published(1)))
    keeper = FrameKeeper(1, {T: 1})
    for sequence in (5, 6, 8):
        keeper.take(published(sequence), 0)
    assert (ones(keeper), keeper.holes) == ([5, 6], 3)


def test_what_could_not_be_written_is_asked_for_anew() -> None:
    keeper = FrameKeeper(1, {T: 1})
    for sequence in (2, 3, 5):
        keeper.take(published(sequence), 0)
    keeper.back_to(1, {T: 2})
    assert keeper.cut() is None
    keeper.take(published(4), 0)
    assert list(keeper.questions(0)) == [(T.encode(), 3)]


def test_what_is_no_batch_is_refused() -> None:
    for frame in (b"", b"binance.trade.X", b"binance.trade.X " + bytes(80), b" " + published(1)[22:]):
        with pytest.raises(wire.WireError):
            FrameKeeper(None, {}).take(frame, 0)


@given(st.lists(st.integers(1, 12), max_size=40), st.randoms())
def test_each_is_written_once_and_in_order(heard: list[int], chance: object) -> None:
    keeper = FrameKeeper(None, {})
    for sequence in heard:
        keeper.take(published(sequence), 0)
    for _, sequence in list(keeper.questions(0)):
        keeper.replayed(T, 1, 1, 12, [published(n) for n in range(sequence, 13)], 0)
    keeper.tick(10**12)
    got = ones(keeper)
    assert got == sorted(set(got)) and keeper.holes == 0
    assert set(got) >= set(heard)
