"""What READING.md shows is true: each of its programs is run as it stands, but for the place, on a recording of which the answers are known."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from k2workers.events import Event, Gap, Trade
from k2workers.recording.conversion import follow
from k2workers.recording.row import Loss
from k2workers.sequencing.order_book import OrderBook
from tests.clients.support import WAIT_S, interpreter
from tests.recording.exports.support import BOOK, MIDNIGHT_NS, SYMBOL, TRADES, Market, record
from tests.recording.recorded import rows
from tests.support import environments
from tests.system.support import ROOT

PAGE = (ROOT / "k2workers" / "READING.md").read_text(encoding="utf-8")
MINUTE_NS = 60 * 10**9
PRINTED = """
import datetime, json
def told(value):
    if hasattr(value, "fetchall"):
        return [list(row) for row in value.fetchall()]
    if hasattr(value, "rows"):
        return [list(row) for row in value.rows()]
    if hasattr(value, "itertuples"):
        return [list(row) for row in value.itertuples()]
    return value.to_pylist() if hasattr(value, "to_pylist") else value
names = {names}
print("\\n" + json.dumps({{name: told(globals()[name]) for name in names}}, default=str))
"""

pytestmark = pytest.mark.timeout(environments.LIMIT_S + 2 * WAIT_S)


def programs(section: str) -> str:
    """The Python of a section of the page, in its order."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert blocks
    return "\n".join(blocks)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute or so on either side of midnight, with holes."""
    to = tmp_path_factory.mktemp("market")
    record(to, Market(5, MIDNIGHT_NS - 40 * 10**9), 1_500)
    return to


def run(python: Path | str, section: str, recording: Path, *names: str) -> dict[str, Any]:
    """The variables of that name at the end of the section's programs."""
    program = programs(section).replace("/data/market", str(recording)).replace("BTCUSDT", SYMBOL)
    done = subprocess.run(
        [str(python), "-c", program + PRINTED.format(names=names)],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def trades(recording: Path) -> list[Trade]:
    return sorted(
        (row.event for row in rows(recording)[TRADES] if isinstance(row.event, Trade)), key=lambda trade: trade.trade_id
    )


def bars(recording: Path) -> list[tuple[str, float, float, float, float, float]]:
    """Minute, open, high, low, close, volume."""
    found: dict[int, list[Trade]] = {}
    for trade in trades(recording):
        found.setdefault(trade.trade_time_ns // MINUTE_NS, []).append(trade)
    made = []
    for minute, of_minute in sorted(found.items()):
        prices = [float(trade.price) for trade in of_minute]
        volume = sum(float(trade.quantity) for trade in of_minute)
        clock = f"{minute // 60 % 24:02}:{minute % 60:02}:00"
        made.append((clock, prices[0], max(prices), min(prices), prices[-1], round(volume, 3)))
    assert len(made) > 1
    return made


def as_bars(told: list[list[Any]], columns: int = 6) -> list[tuple[Any, ...]]:
    return [(row[0].partition(".")[0][-8:], *(round(float(value), 3) for value in row[1:columns])) for row in told]


def test_pyarrow(recording: Path) -> None:
    missing = run(sys.executable, "pyarrow", recording, "missing")["missing"]
    found = rows(recording)
    holes = [row.of for name in sorted(found) for row in found[name] if isinstance(row.of, Gap | Loss)]
    assert [(row["type"], row["first_id"], row["last_id"]) for row in missing] == [
        (type(hole).__name__, hole.first_id, hole.last_id) for hole in holes
    ]


@pytest.fixture(scope="module")
def python() -> Path:
    """Of the environment that has these libraries."""
    found = interpreter("readers")
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.mark.long
def test_duckdb(python: Path, recording: Path) -> None:
    told = run(python, "DuckDB", recording, "last", "bars", "bids", "gaps", "late")
    newest = trades(recording)[:-4:-1]
    assert [(row[1], row[2], row[3], row[4]) for row in told["last"]] == [
        (trade.trade_id, trade.price, trade.quantity, trade.buyer_is_maker) for trade in newest
    ]
    assert as_bars(told["bars"]) == bars(recording)
    assert sum(row[6] for row in told["bars"]) == len(trades(recording))
    book = OrderBook()
    for row in rows(recording)[BOOK]:
        follow(book, row)
    assert [tuple(level) for level in told["bids"]] == book.bid_side.nearest(3)
    holes = [row.of for found in rows(recording).values() for row in found if isinstance(row.of, Gap | Loss)]
    assert sorted((row[1], row[2] or 0) for row in told["gaps"]) == sorted(
        (type(hole).__name__, hole.first_id or 0) for hole in holes
    )
    late = [row.event.first_id for row in rows(recording)[TRADES] if row.late and isinstance(row.event, Event)]
    assert told["late"] == [[min(late), max(late), len(late)]]


@pytest.mark.long
def test_polars(python: Path, recording: Path) -> None:
    assert as_bars(run(python, "Polars", recording, "bars")["bars"]) == bars(recording)


@pytest.mark.long
def test_pandas(python: Path, recording: Path) -> None:
    told = run(python, "pandas", recording, "bars", "trades")
    assert as_bars(told["bars"], 5) == [bar[:5] for bar in bars(recording)]
    assert len(told["trades"]) == len(trades(recording))
