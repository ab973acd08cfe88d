"""The limits that the venue states itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from k2workers.venues.binance.limits import weight_per_minute


def limit(kind: str, number: int, interval: str = "MINUTE", count: int = 1) -> dict[str, Any]:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": count, "limit": number}


@pytest.mark.parametrize(
    ("rows", "weight"),
    [
        ([limit("REQUEST_WEIGHT", 1_200)], 1_200),
        ([limit("REQUEST_WEIGHT", 6_000), limit("RAW_REQUESTS", 61_000, count=5), limit("ORDERS", 10, "SECOND", 10)], 6_000),
        ([limit("REQUEST_WEIGHT", 6_000), limit("RAW_REQUESTS", 1_000, count=5)], 200),
        ([limit("REQUEST_WEIGHT", 100, "SECOND", 10)], 100),
        ([limit("REQUEST_WEIGHT", 144_000, "DAY")], 100),
        ([None, "x", {}, limit("REQUEST_WEIGHT", 0), limit("REQUEST_WEIGHT", 5, "FORTNIGHT"), limit("REQUEST_WEIGHT", 70)], 70),
        ([], 0), (None, 0), ("nonsense", 0), ({}, 0),
    ],
)  # fmt: skip
def test_the_strictest_limit_that_is_understood_counts(rows: Any, weight: int) -> None:
    assert weight_per_minute(json.dumps(rows).encode()) == weight


def test_a_row_that_is_no_json_for_us_costs_itself_alone() -> None:
    rows = (
        b'[{"limit": 1e400}, {"rateLimitType": "\\ud800"}, ' + json.dumps(limit("REQUEST_WEIGHT", 70)).encode() + b"]"
    )
    assert weight_per_minute(rows) == 70
    assert weight_per_minute(b"no json") == 0
