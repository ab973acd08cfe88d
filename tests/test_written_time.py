"""How times are written on a command line."""

from __future__ import annotations

import pytest

from k2workers.written_time import time_ns, time_or_ago_ns

NOON_NS = 1_795_780_800 * 10**9
"""2026-11-27T12:00Z."""


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("2026-11-27T12:00", NOON_NS),
        ("2026-11-27T12:00:00.000001Z", NOON_NS + 1_000),
        ("2026-11-27T13:00+01:00", NOON_NS),
        ("1969-12-31T23:59:59", -(10**9)),
        ("noon", None),
        ("", None),
    ],
)
def test_a_time_is_of_utc_unless_it_says_another_zone(word: str, found: int | None) -> None:
    assert time_ns(word) == found


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("0s", NOON_NS),
        ("90s", NOON_NS - 90 * 10**9),
        ("10m", NOON_NS - 600 * 10**9),
        ("2h", NOON_NS - 7_200 * 10**9),
        ("1d", NOON_NS - 86_400 * 10**9),
        ("2026-11-27T12:00", NOON_NS),
        ("2026-11-27T12:00:01", None),
        ("1969-12-31", None),
        ("999999999d", None),
        ("-1s", None),
        ("1.5h", None),
        ("٣h", None),
        ("h", None),
    ],
)
def test_how_long_ago_is_also_a_time_and_what_lies_ahead_is_none(word: str, found: int | None) -> None:
    assert time_or_ago_ns(word, NOON_NS) == found
