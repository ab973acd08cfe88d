"""When a standby may take over: every active stream has continued on it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from k2workers.rotation.proof import OverlapProof

SECOND_NS = 1_000_000_000


def acknowledged(min_overlap_ns: int = 0) -> OverlapProof:
    overlap = OverlapProof(min_overlap_ns)
    overlap.acknowledged(0)
    return overlap


def test_nothing_is_complete_before_the_venue_acknowledged_the_standby() -> None:
    overlap = OverlapProof(0)
    overlap.standby_delivered(0, 1)
    assert not overlap.complete(2**62)


def test_quiet_streams_do_not_block_but_the_shortest_overlap_is_kept() -> None:
    overlap = acknowledged(SECOND_NS)
    assert not overlap.complete(SECOND_NS - 1)
    assert overlap.complete(SECOND_NS)
    assert (overlap.proven, overlap.unproven) == (0, 0)


def test_a_stream_that_only_the_primary_delivers_blocks() -> None:
    overlap = acknowledged()
    overlap.primary_delivered(3, 100)
    assert not overlap.complete(2**62)
    assert (overlap.proven, overlap.unproven) == (0, 1)


def test_a_stream_continued_without_a_hole_is_proven() -> None:
    overlap = acknowledged()
    overlap.primary_delivered(3, 100)
    overlap.standby_delivered(3, 101)
    assert overlap.complete(0)
    assert (overlap.proven, overlap.unproven) == (1, 0)
    assert overlap.standby_first_id(3) == 101


def test_a_standby_ahead_of_the_primary_proves_nothing_until_the_primary_has_caught_up() -> None:
    overlap = acknowledged()
    overlap.primary_delivered(3, 100)
    overlap.standby_delivered(3, 105)
    assert not overlap.complete(0)
    overlap.primary_delivered(3, 103)
    assert not overlap.complete(0)
    overlap.primary_delivered(3, 104)
    assert overlap.complete(0)


def test_what_the_primary_delivered_before_the_acknowledgement_makes_no_stream_active() -> None:
    overlap = OverlapProof(0)
    overlap.primary_delivered(3, 100)
    overlap.acknowledged(5)
    assert overlap.complete(5)
    assert overlap.unproven == 0


def test_what_the_standby_delivered_before_the_acknowledgement_counts_as_its_first_id() -> None:
    overlap = OverlapProof(0)
    overlap.standby_delivered(3, 101)
    overlap.acknowledged(5)
    overlap.primary_delivered(3, 102)
    assert overlap.complete(5)


def test_a_proven_stream_stays_proven_whatever_comes_later() -> None:
    overlap = acknowledged()
    overlap.primary_delivered(3, 100)
    overlap.standby_delivered(3, 100)
    overlap.primary_delivered(3, 200)
    overlap.standby_delivered(3, 900)
    assert overlap.complete(0)
    assert overlap.standby_first_id(3) == 100


def test_a_stream_that_the_standby_never_delivered_has_no_first_id() -> None:
    assert acknowledged().standby_first_id(7) is None


deliveries = st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(1, 20)), max_size=60)


@given(deliveries)
def test_complete_means_no_active_stream_would_miss_an_id_by_the_cut(
    given_deliveries: list[tuple[bool, int, int]],
) -> None:
    overlap = acknowledged()
    primary: dict[int, int] = {}
    standby_first: dict[int, int] = {}
    for from_primary, stream, step in given_deliveries:
        if from_primary:
            primary[stream] = primary.get(stream, 0) + step
            overlap.primary_delivered(stream, primary[stream])
        else:
            standby_first.setdefault(stream, step)
            overlap.standby_delivered(stream, step)
    safe = all(stream in standby_first and standby_first[stream] <= last + 1 for stream, last in primary.items())
    assert overlap.complete(0) is safe
    assert overlap.proven + overlap.unproven == len(primary)
