"""The plain case: what it takes comes to the same as without it, and what nearly every batch is, it takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers import wire
from k2workers.continuity import Continuity, Identity, renumbered
from k2workers.errors import K2Error
from k2workers.events import BookSnapshot, BookTicker, DepthUpdate, Event, Gap, Kline, Reset, Trade
from k2workers.transport.batches import columns_here
from k2workers.transport.book_reassembly import BookReassembly
from k2workers.transport.deliveries import Delivery, MessageBatch, MessageColumns
from k2workers.transport.reassembly import Reassembly
from k2workers.venues.binance.streams import BAR, BOOK, CHAIN, LATEST
from tests.support.batches import batch_of

UNORDERED = Continuity(identity=Identity.TEXT)


def event_of(topic: str, number: int) -> Event:
    if topic == "depth":
        return DepthUpdate(number, number, [("1", "2")], [], 3, 4)
    if topic == "ticker":
        return BookTicker(number, "1", "2", "3", "4", 5)
    if topic == "bar":
        opens = number // 3 * 60
        return Kline(opens, opens + 59, "1", "1", "1", "1", "1", "1", "1", "1", 0, 0, 0, number % 3 == 2, number, 1)
    return Trade(number, "1.5", "2", True, 3, 4, 5)


CONTINUITIES = {"trade": CHAIN, "ticker": LATEST, "depth": BOOK, "bar": BAR, "odd": UNORDERED}


def frame_of(topic: str, events: list[Event], sequence: int, epoch: int = 1, numbering: int = 0) -> bytes:
    batch = wire.batch_of(topic, events, renumbered(CONTINUITIES[topic].number, numbering))
    return wire.publication(batch, epoch=epoch, sequence=sequence, publish_ns=7)


@st.composite
def feeds(draw: st.DrawFn) -> list[bytes]:
    """Frames of a few topics: most of them the next of their topic, the others ahead, behind, repeated, of another life or numbering, or damaged."""
    frames: list[bytes] = []
    at = {topic: [0, 10, 1, 0] for topic in CONTINUITIES}  # sequence, id, epoch, numbering
    for _ in range(draw(st.integers(1, 40))):
        topic = draw(st.sampled_from(sorted(CONTINUITIES)))
        here = at[topic]
        twist = draw(
            st.sampled_from(
                [*["next"] * 12, "ahead", "jump", "behind", "again", "life", "reset", "gap", "book", "damage"]
            )
        )
        if twist == "again" and frames:
            frames.append(draw(st.sampled_from(frames)))
            continue
        if twist == "life":
            for one in at.values():
                one[0], one[2] = 0, one[2] + 1
        here[0] += 3 if twist == "ahead" else 1
        here[1] += {"jump": 5, "behind": -3}.get(twist, 0)
        first = here[1] + 1
        here[1] += draw(st.integers(1, 3))
        events: list[Event] = [event_of(topic, number) for number in range(first, here[1] + 1)]
        if twist == "reset":
            here[3] = (here[3] + 1) % 16
            events = [Reset(here[1], 5, 0)]
            here[1] = 4
        elif twist == "gap":
            events = [Gap(first, here[1], "why", 0)]
        elif twist == "book" and topic == "depth":
            events = [BookSnapshot(here[1], [], [], 0)]
        frame = frame_of(topic, events, here[0], here[2], here[3])
        if twist == "damage":
            place = draw(st.integers(len(topic) + 1 + 57, len(frame) - 1))
            frame = frame[:place] + bytes([draw(st.integers(0, 255))]) + frame[place + 1 :]
        frames.append(frame)
    return frames


def given_by(state: Reassembly, frames: list[bytes], *, plain: bool) -> tuple[list[Delivery], object, object]:
    for now, frame in enumerate(frames):
        try:
            (state.take if plain else state.take_other)(frame, now * 10**8)
        except K2Error:
            assert not plain or not state.take_plain(frame)
        state.tick(now * 10**8)
    ready: list[Delivery] = [
        (item.batch() if isinstance(item, MessageColumns) else item, before) for item, before in state.ready
    ]
    return ready, state.counters, state.position(None, 0)


@pytest.mark.parametrize("kind", [Reassembly, BookReassembly])
@given(frames=feeds())
def test_whatever_comes_is_given_as_without_the_plain_case(kind: type[Reassembly], frames: list[bytes]) -> None:
    whole = given_by(kind(), frames, plain=False)
    assert given_by(kind(), frames, plain=True) == whole
    in_columns = kind()
    in_columns.read_columns, _ = columns_here()
    assert given_by(in_columns, frames, plain=True) == whole


def known(topic: str, *events: Event) -> Reassembly:
    """A topic of which these came."""
    state = Reassembly()
    for sequence, event in enumerate(events, 1):
        state.take(frame_of(topic, [event], sequence), 0)
    state.ready.clear()
    return state


@pytest.mark.parametrize("topic", ["trade", "ticker"])
def test_the_next_batch_of_a_known_topic_is_plain(topic: str) -> None:
    state = known(topic, event_of(topic, 1))
    assert state.take_plain(frame_of(topic, [event_of(topic, 2), event_of(topic, 3)], 2))
    assert state.take_plain(frame_of(topic, [event_of(topic, 4)], 3))
    assert (len(state.ready), state.counters.batches, state.counters.events) == (2, 3, 4)


def test_the_next_change_of_a_whole_book_is_plain() -> None:
    state = known("depth", BookSnapshot(1, [], [], 0))
    assert state.take_plain(frame_of("depth", [event_of("depth", 2)], 2))
    without = known("depth", event_of("depth", 1))
    assert not without.take_plain(frame_of("depth", [event_of("depth", 2)], 2))


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (frame_of("trade", [event_of("trade", 2)], 3), "sequence"),
        (frame_of("trade", [event_of("trade", 2)], 2, epoch=2), "epoch"),
        (frame_of("trade", [event_of("trade", 2)], 2, numbering=1), "numbering"),
        (frame_of("trade", [event_of("trade", 3)], 2), "ids"),
        (frame_of("trade", [Gap(2, 3, "", 0)], 2), "an announcement"),
        (frame_of("ticker", [event_of("ticker", 2)], 1), "an unknown topic"),
        (b"trade", "no batch"),
        (b"trade \x90", "no batch"),
    ],
)
def test_any_other_is_not_and_changes_nothing(frame: bytes, why: str) -> None:
    state = known("trade", event_of("trade", 1))
    before = state.position(None, 0)
    assert not state.take_plain(frame), why
    assert (state.position(None, 0), len(state.ready)) == (before, 0)


def test_what_is_held_behind_a_hole_makes_the_batch_that_fills_it_more_than_plain() -> None:
    state = known("trade", event_of("trade", 1))
    state.take(frame_of("trade", [event_of("trade", 3)], 3), 0)
    fills = frame_of("trade", [event_of("trade", 2)], 2)
    assert not state.take_plain(fills)
    state.take(fills, 0)
    assert len(state.ready) == 2


def test_batches_whose_columns_cannot_be_read_come_with_their_events() -> None:
    state = known("trade", event_of("trade", 1))
    state.read_columns = lambda _frame, _header: None
    frame = frame_of("trade", [event_of("trade", 2)], 2)
    assert not state.take_plain(frame)
    state.take(frame, 0)
    assert [item.topic for item, _ in state.ready] == ["trade"]


def test_what_is_given_as_it_came_has_its_frame_if_frames_are_asked_for() -> None:
    plain, other = frame_of("trade", [event_of("trade", 2)], 2), frame_of("trade", [event_of("trade", 3)], 3, epoch=2)
    for keep in (False, True):
        state = known("trade", event_of("trade", 1))
        state.keep_frames = keep
        state.take(plain, 0)
        state.take(other, 0)
        state.tick(0)
        found = [(item.events, item.frame) for item, _ in state.ready if isinstance(item, MessageBatch)]
        assert found[0] == ([event_of("trade", 2)], plain if keep else b"")
        assert all(frame == b"" for _, frame in found[1:])


def test_the_batch_helper_makes_the_same_frames() -> None:
    batch = batch_of("trade", [event_of("trade", 1)])
    assert wire.publication(batch, epoch=1, sequence=1, publish_ns=7) == frame_of("trade", [event_of("trade", 1)], 1)
