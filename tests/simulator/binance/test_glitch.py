"""Ids and times that are far off, as bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from k2workers.simulator.binance.glitch import GLITCH_IDS, YEAR_MS, glitched

AT = 1_790_000_000_000
KLINE = {"e": "kline", "E": AT, "k": {"t": AT, "T": AT + 59_999, "L": 7}}


@pytest.mark.parametrize(
    ("event", "what", "changed"),
    [
        ({"e": "trade", "E": AT, "t": 5, "T": AT}, "id", {"t": 5 + GLITCH_IDS}),
        ({"e": "aggTrade", "a": 5, "l": 6}, "id", {"a": 5 + GLITCH_IDS}),
        ({"e": "depthUpdate", "U": 5, "u": 6}, "id", {"U": 5 + GLITCH_IDS, "u": 6 + GLITCH_IDS}),
        ({"e": "depthUpdate", "U": 5, "u": 6, "pu": 3}, "id", {"U": 5 + GLITCH_IDS, "u": 6 + GLITCH_IDS, "pu": 3 + GLITCH_IDS}),
        ({"u": 5, "s": "X"}, "id", {"u": 5 + GLITCH_IDS}),
        ({"e": "bookTicker", "u": 5, "E": AT}, "id", {"u": 5 + GLITCH_IDS}),
        (KLINE, "id", {}),
        ({"e": "trade", "E": AT, "t": 5, "T": AT}, "time", {"E": AT + YEAR_MS, "T": AT + YEAR_MS}),
        ({"e": "depthUpdate", "E": AT * 1000}, "time", {"E": (AT + YEAR_MS) * 1000}),
        (KLINE, "time", {"E": AT + YEAR_MS, "k": {"t": AT + YEAR_MS, "T": AT + 59_999 + YEAR_MS, "L": 7}}),
        ({"u": 5, "s": "X"}, "time", {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_glitch_is_far_from_everything_else(
    event: dict[str, Any], what: str, changed: dict[str, Any], wrapped: bool
) -> None:
    payload = {"stream": "x@y", "data": event} if wrapped else event
    found = json.loads(glitched(json.dumps(payload).encode(), what))
    assert (found["data"] if wrapped else found) == event | changed
