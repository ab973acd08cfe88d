"""How far the venue's clock is ahead: time is a number here."""

from __future__ import annotations

from k2workers.feed.venue_clock import WINDOW_NS, VenueClock

SECOND_NS = 1_000_000_000


def test_the_most_that_events_show_counts_for_a_window_and_the_next() -> None:
    clock = VenueClock()
    assert clock.ahead_s(5) == 0.0
    clock.was_ahead(2 * SECOND_NS, 10)
    clock.was_ahead(SECOND_NS, 20)
    assert clock.ahead_s(WINDOW_NS - 1) == 2.0
    clock.was_ahead(SECOND_NS, WINDOW_NS)
    assert clock.ahead_s(2 * WINDOW_NS - 1) == 2.0
    assert clock.ahead_s(2 * WINDOW_NS) == 1.0
    assert clock.ahead_s(3 * WINDOW_NS) == 0.0


def test_what_was_seen_long_ago_does_not_count() -> None:
    clock = VenueClock()
    clock.was_ahead(SECOND_NS, 10)
    assert clock.ahead_s(5 * WINDOW_NS) == 0.0
