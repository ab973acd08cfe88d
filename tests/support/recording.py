"""Writes recorded market data as users have it: gzip lines ``<receive time ns> <message>``, with a book's snapshot at its head."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from tests.support.venue import Flow

BEGIN_S = 1_722_000_000
EVERY_MS = 200
SYMBOL = "BTCUSDT"


def write_recording(path: Path, *, minute: int, minutes: int) -> None:
    """Some minutes of a market that began at minute 0; files that follow each other continue it."""
    flow = Flow(SYMBOL, 1_000)
    per_minute = 60_000 // EVERY_MS
    for number in range(minute * per_minute):
        flow.step(number)
    begin_ns = (BEGIN_S + 60 * minute) * 10**9
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=1) as file:
        for number in range(minutes * per_minute):
            at_ns = begin_ns + number * EVERY_MS * 10**6
            events = flow.step(at_ns // 1000)
            for name, data in events:
                file.write(f"{at_ns} {json.dumps({'stream': f'{SYMBOL.lower()}@{name}', 'data': data})}\n")
            if number == 0:
                file.write(f"{at_ns} {json.dumps(flow.book())}\n")
