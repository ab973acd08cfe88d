"""A subscribing program as a user would write one: it records what it got together with its position, in one line.

``python -m tests.system.reader FILE PUBLISH_ENDPOINT SNAPSHOT_ENDPOINT``: goes on from the last whole line of FILE.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

from k2workers import Backfilled, Lost, Position, Subscriber, Trade

LINE_EVENTS = 50


def last_position(file: Path) -> Position | None:
    """The position in the last line that was written whole; a torn one is cut off."""
    if not file.exists():
        return None
    whole = file.read_bytes().rpartition(b"\n")[0]
    file.write_bytes(whole + b"\n" if whole else b"")
    if not whole:
        return None
    return Position.from_bytes(base64.b64decode(json.loads(whole.rpartition(b"\n")[2])["position"]))


def main(path: str, endpoint: str, snapshot_endpoint: str) -> None:
    file = Path(path)
    position = last_position(file)
    trades: list[tuple[str, int]] = []
    lost: list[str] = []
    with (
        file.open("a", encoding="utf-8") as out,
        Subscriber(
            ["binance.trade."], endpoint, snapshot_endpoint=snapshot_endpoint, position=position, high_water_mark=1_000
        ) as subscriber,
    ):
        for item in subscriber:
            if isinstance(item, Lost):
                lost.append(repr(item))
                continue
            event = item.event.event if isinstance(item.event, Backfilled) else item.event
            if isinstance(event, Trade):
                trades.append((item.topic, event.trade_id))
            if len(trades) >= LINE_EVENTS:
                saved = base64.b64encode(subscriber.position().to_bytes()).decode()
                out.write(json.dumps({"trades": trades, "lost": lost, "position": saved}) + "\n")
                out.flush()
                trades, lost = [], []


if __name__ == "__main__":
    main(*sys.argv[1:])
