"""The rotation schedule: slots of one shared clock, never two due together, early rather than late."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from k2workers.rotation.schedule import HOUR_NS, VENUE_CUT_MARGIN_NS, effective_lifetime_ns, next_due_ns

SECOND_NS = 1_000_000_000
CHECK_NS = 50_000_000

slot_counts = st.integers(1, 300)
lifetimes = st.integers(SECOND_NS, 24 * HOUR_NS)
moments = st.integers(0, 2**62)


@given(slots=slot_counts, lifetime_ns=lifetimes, origin_ns=moments, data=st.data())
def test_no_two_slots_are_due_within_a_share_of_the_lifetime_whenever_each_one_last_started(
    slots: int, lifetime_ns: int, origin_ns: int, data: st.DataObject
) -> None:
    restart = st.integers(origin_ns - 3 * lifetime_ns, origin_ns + 3 * lifetime_ns)
    chosen = data.draw(st.lists(st.integers(0, slots - 1), min_size=1, max_size=8, unique=True))
    rotations = []
    for slot in chosen:
        now_ns = data.draw(restart)
        for _ in range(data.draw(st.integers(1, 3))):
            due_ns = next_due_ns(now_ns, slot=slot, slots=slots, lifetime_ns=lifetime_ns, origin_ns=origin_ns)
            # A deadline is seen at most one check late, and the next slot is computed from that moment.
            now_ns = due_ns + data.draw(st.integers(0, CHECK_NS))
            rotations.append((now_ns, slot))
    rotations.sort()
    for (earlier_ns, one), (later_ns, other) in itertools.combinations(rotations, 2):
        if one != other:
            assert later_ns - earlier_ns >= lifetime_ns // slots - CHECK_NS


@given(slots=slot_counts, lifetime_ns=lifetimes, origin_ns=moments, now_ns=moments, data=st.data())
def test_a_connection_that_is_made_anew_keeps_its_slot(
    slots: int, lifetime_ns: int, origin_ns: int, now_ns: int, data: st.DataObject
) -> None:
    slot = data.draw(st.integers(0, slots - 1))
    due_ns = next_due_ns(now_ns, slot=slot, slots=slots, lifetime_ns=lifetime_ns, origin_ns=origin_ns)
    reconnected_ns = data.draw(st.integers(now_ns, due_ns - 1))
    again_ns = next_due_ns(reconnected_ns, slot=slot, slots=slots, lifetime_ns=lifetime_ns, origin_ns=origin_ns)
    assert again_ns == due_ns


@given(slots=slot_counts, lifetime_ns=lifetimes, origin_ns=moments, now_ns=moments, data=st.data())
def test_the_next_rotation_is_ahead_and_never_later_than_one_lifetime(
    slots: int, lifetime_ns: int, origin_ns: int, now_ns: int, data: st.DataObject
) -> None:
    slot = data.draw(st.integers(0, slots - 1))
    due_ns = next_due_ns(now_ns, slot=slot, slots=slots, lifetime_ns=lifetime_ns, origin_ns=origin_ns)
    assert now_ns < due_ns <= now_ns + lifetime_ns
    assert (due_ns - origin_ns - slot * lifetime_ns // slots) % lifetime_ns == 0


def test_a_fresh_start_rotates_connections_one_share_apart_and_each_within_one_lifetime() -> None:
    dues = [
        next_due_ns(origin_ns + 1, slot=slot, slots=8, lifetime_ns=8 * SECOND_NS, origin_ns=origin_ns)
        for origin_ns in (77 * SECOND_NS,)
        for slot in range(8)
    ]
    assert [(due_ns - 77 * SECOND_NS) // SECOND_NS for due_ns in dues] == [8, 1, 2, 3, 4, 5, 6, 7]


def test_a_slot_that_is_right_now_is_past() -> None:
    assert next_due_ns(100, slot=0, slots=1, lifetime_ns=10, origin_ns=100) == 110


def test_a_short_lifetime_is_taken_as_asked() -> None:
    assert effective_lifetime_ns(4 * HOUR_NS, 24 * HOUR_NS) == 4 * HOUR_NS


def test_a_lifetime_of_the_venues_own_cut_ends_a_margin_before_it() -> None:
    assert effective_lifetime_ns(24 * HOUR_NS, 24 * HOUR_NS) == 24 * HOUR_NS - VENUE_CUT_MARGIN_NS


@given(requested_ns=lifetimes, cut_ns=st.integers(SECOND_NS, 48 * HOUR_NS))
def test_a_lifetime_is_positive_never_above_what_was_asked_and_below_the_cut(requested_ns: int, cut_ns: int) -> None:
    lifetime_ns = effective_lifetime_ns(requested_ns, cut_ns)
    assert 0 < lifetime_ns <= requested_ns
    assert lifetime_ns <= cut_ns - min(VENUE_CUT_MARGIN_NS, cut_ns // 10)
