"""Our own numbers: consecutive for each topic, and the last guard of the venue's ids."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers import wire
from k2workers.events import BookTicker, DepthUpdate, Event, Gap, Trade
from k2workers.sequencing.sequencer import Sequencer


def trade(number: int) -> Trade:
    return Trade(number, "1", "1", True, number, number, number)


def published(frames: list[bytes]) -> list[tuple[wire.Header, list[Event]]]:
    return [(header, wire.decode_events(frame, header)) for frame in frames for header in [wire.read_header(frame)]]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 6)), max_size=40))
def test_published_ids_never_go_back_and_every_hole_is_announced_once(batches: list[tuple[int, int]]) -> None:
    sequencer, events, sequences = Sequencer(1), [], []
    for first, count in batches:
        frame = wire.encode_batch("t", [trade(number) for number in range(first, first + count)])
        for header, stamped in published(sequencer.stamp(frame, 9)):
            sequences.append(header.sequence)
            events += stamped
    assert sequences == list(range(1, len(sequences) + 1))
    assert all(later.first_id == earlier.last_id + 1 for earlier, later in itertools.pairwise(events))
    assert sequencer.gaps == sum(isinstance(event, Gap) for event in events)
    assert sequencer.events + sequencer.old_events == sum(count for _, count in batches)


def test_a_new_worker_that_begins_later_is_announced() -> None:
    sequencer = Sequencer(7)
    sequencer.stamp(wire.encode_batch("t", [trade(1), trade(2)]), 10)
    (gap_header, gap), (header, events) = published(sequencer.stamp(wire.encode_batch("t", [trade(6)]), 11))
    assert gap == [Gap(3, 5, "between workers", 11)]
    assert (gap_header.sequence, header.sequence, header.epoch, header.publish_ns) == (2, 3, 7, 11)
    assert events == [trade(6)]
    assert sequencer.topics["t"].missing == 3


def test_a_batch_that_was_published_before_is_dropped() -> None:
    sequencer = Sequencer(1)
    frame = wire.encode_batch("t", [trade(1), trade(2)])
    assert len(sequencer.stamp(frame, 0)) == 1
    assert sequencer.stamp(frame, 0) == []
    assert sequencer.old_events == 2


def test_depth_that_overlaps_is_trimmed_to_what_is_new() -> None:
    sequencer = Sequencer(1)
    sequencer.stamp(wire.encode_batch("d", [DepthUpdate(1, 5, [], [], 0, 0)]), 0)
    again = [
        DepthUpdate(1, 5, [], [], 0, 0),
        DepthUpdate(4, 8, [("1", "2")], [], 0, 0),
        DepthUpdate(9, 9, [], [], 0, 0),
    ]
    ((header, events),) = published(sequencer.stamp(wire.encode_batch("d", again), 0))
    assert [(event.first_id, event.last_id) for event in events] == [(6, 8), (9, 9)]
    assert (header.first_id, header.last_id, header.count) == (6, 9, 2)


def test_ids_that_may_jump_are_left_alone() -> None:
    sequencer = Sequencer(1)
    for update_id in (5, 100):
        assert len(sequencer.stamp(wire.encode_batch("b", [BookTicker(update_id, "", "", "", "", 0)]), 0)) == 1
    assert sequencer.gaps == 0


def test_a_gap_announced_by_a_worker_counts_and_continues_the_chain() -> None:
    sequencer = Sequencer(1)
    sequencer.stamp(wire.encode_batch("t", [trade(1)]), 0)
    sequencer.stamp(wire.encode_batch("t", [Gap(2, 4, "not received", 0)]), 0)
    assert len(sequencer.stamp(wire.encode_batch("t", [trade(5)]), 0)) == 1
    assert (sequencer.gaps, sequencer.topics["t"].missing, sequencer.topics["t"].count) == (1, 3, 2)


def test_bytes_that_are_no_batch_are_refused() -> None:
    with pytest.raises(wire.WireError):
        Sequencer(1).stamp(b"nonsense", 0)
