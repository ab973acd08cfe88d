"""hftbacktest, in an environment of its own, reads what an export wrote: the books that it keeps are ours, at every time at which ours changed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from k2workers.events import Trade
from k2workers.futures_events import FuturesTrade
from k2workers.recording.conversion import follow
from k2workers.recording.layout import day_of
from k2workers.recording.row import Row
from k2workers.sequencing.order_book import OrderBook
from tests.clients.support import WAIT_S, interpreter
from tests.recording.exports.support import BOOK, MIDNIGHT_NS, TICK, TRADES, Market, record, record_messages
from tests.recording.recorded import reached, recorder, rows
from tests.recording.test_playback import DATA
from tests.support import environments
from tests.support.waiting import wait_for
from tests.system.support import demo, free_port, run_briefly

pytestmark = [pytest.mark.long, pytest.mark.timeout(environments.LIMIT_S + 4 * WAIT_S)]

Known = dict[int, tuple[int | None, int | None]]
"""The best bid and ask in ticks from each time of ours on."""


@pytest.fixture(scope="module")
def python() -> Path:
    """Its interpreter."""
    found = interpreter("hftbacktest")
    if isinstance(found, str):
        pytest.skip(found)
    return found


def known(book_rows: Sequence[Row], tick: float) -> Known:
    """What our own book knew, row by row."""
    return dict(_walk(book_rows, tick))


def _walk(book_rows: Sequence[Row], tick: float) -> Iterator[tuple[int, tuple[int | None, int | None]]]:
    book, at_ns = OrderBook(), 0
    for row in book_rows:
        at_ns = max(at_ns, row.taken_ns)
        follow(book, row)
        bid, ask = (side.nearest(1) for side in (book.bid_side, book.ask_side))
        yield at_ns, (_ticks(bid, tick), _ticks(ask, tick))


def _ticks(levels: Sequence[tuple[str, str]], tick: float) -> int | None:
    return round(float(levels[0][0]) / tick) if levels else None


def read(
    python: Path, folder: Path, files: Sequence[Path], times: Sequence[int], tick: float, lot: float
) -> tuple[Known, int]:
    """What the library knew at these times, and how many trades it was told."""
    (folder / "times.json").write_text(json.dumps(times), encoding="utf-8")
    command = [
        python,
        Path(__file__).parent / "hftbacktest_client.py",
        folder / "times.json",
        str(tick),
        str(lot),
        *files,
    ]
    cache = {"NUMBA_CACHE_DIR": str(folder / "numba"), "MPLCONFIGDIR": str(folder)}
    done = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        timeout=4 * WAIT_S,
        check=False,
        cwd=folder,
        env=os.environ | cache,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    got = json.loads(done.stdout)
    return {at_ns: (bid, ask) for at_ns, bid, ask in got["best"]}, got["trades"]


def exported(directory: Path, to: Path, form: str) -> dict[str, Any]:
    """What the command tells."""
    done = run_briefly("export", str(directory), "--to", str(to), "--format", form, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


def differing(got: Known, expected: Known) -> dict[int, Any]:
    return {at_ns: (got.get(at_ns), best) for at_ns, best in expected.items() if got.get(at_ns) != best}


def compare(python: Path, directory: Path, folder: Path, trades: str, book: str, tick: float, lot: float) -> int:
    """Export a symbol, and hold the library's book against ours wherever ours changed, each day by itself: how often that was."""
    recorded, compared = rows(directory), 0
    expected, traded = known(recorded[book], tick), _times_of_trades(recorded[trades])
    venue, _, symbol = book.split(".", 2)
    for file in exported(directory, folder / "out", "hftbacktest")["files"]:
        day, later_ns = file["name"].removesuffix(".npz").rpartition("_")[2], file["local_times_later_ns"]
        if not file["name"].startswith(f"{venue}_{symbol}_"):
            continue
        of_day = {at_ns: best for at_ns, best in expected.items() if day_of(at_ns) == day}
        trades_of_day = [at_ns for at_ns in traded if day_of(at_ns) == day]
        times = sorted({at_ns + later_ns for at_ns in (*of_day, *trades_of_day[-1:])})
        got, count = read(python, folder, [folder / "out" / file["name"]], times, tick, lot)
        assert differing({at_ns - later_ns: best for at_ns, best in got.items()}, of_day) == {}
        assert count == len(trades_of_day)
        compared += len(of_day)
    return compared


def _times_of_trades(trade_rows: Sequence[Row]) -> list[int]:
    """Of those that were made in the order book."""
    found, at_ns = [], 0
    for row in trade_rows:
        at_ns = max(at_ns, row.taken_ns)
        if isinstance(row.event, Trade) or (isinstance(row.event, FuturesTrade) and row.event.origin == "MARKET"):
            found.append(at_ns)
    return found


@pytest.mark.parametrize("latency_ms", [20, -700])
def test_a_market_with_holes_around_midnight(python: Path, tmp_path: Path, latency_ms: int) -> None:
    market = Market(latency_ms, MIDNIGHT_NS - 30 * 10**9, latency_ms)
    record(tmp_path / "in", market, 3_000)
    assert (None, None) in known(rows(tmp_path / "in")[BOOK], TICK).values()
    assert compare(python, tmp_path / "in", tmp_path, TRADES, BOOK, TICK, 0.001) > 2_900


def test_days_in_a_row_are_read_as_one(python: Path, tmp_path: Path) -> None:
    record(tmp_path / "in", Market(3, MIDNIGHT_NS - 30 * 10**9), 1_500)
    files = [
        tmp_path / "out" / file["name"] for file in exported(tmp_path / "in", tmp_path / "out", "hftbacktest")["files"]
    ]
    assert len(files) == 2
    expected = known(rows(tmp_path / "in")[BOOK], TICK)
    got, _ = read(python, tmp_path, files, list(expected), TICK, 0.001)
    assert differing(got, expected) == {}


def test_its_converter_for_tardis_reads_the_files_of_csv(python: Path, tmp_path: Path) -> None:
    market = Market(7, MIDNIGHT_NS)
    record(tmp_path / "in", market, 1_500)
    files = [
        tmp_path / "out" / file["name"] for file in exported(tmp_path / "in", tmp_path / "out", "tardis-csv")["files"]
    ]
    assert ["trades" in file.name for file in files] == [True, False]  # as it wants them
    expected = {at_ns // 1_000 * 1_000: best for at_ns, best in known(rows(tmp_path / "in")[BOOK], TICK).items()}
    got, trades = read(python, tmp_path, files, list(expected), TICK, 0.001)
    # While a book is lost, the format has no word for it: a reader keeps the one before.
    assert differing(got, {at_ns: best for at_ns, best in expected.items() if best != (None, None)}) == {}
    assert trades == market.trade_id - 500


def test_a_feed_that_was_recorded(python: Path, tmp_path: Path) -> None:
    publish, directory = free_port(), tmp_path / "in"
    with recorder(directory, publish, "binance.") as taking:
        args = ("--symbols", "BTCUSDT,ETHUSDT", "--streams", "trade,depth", "--demo-rate", "2000")
        with demo(*args, shards=1, publish=publish, replay=publish + 1, books=publish + 2) as feed:
            wait_for("enough on the disk", lambda: enough(directory))
            feed.stop()
        taking.stop()
        assert taking.process.returncode == 0, "".join(taking.raw)
    assert compare(python, directory, tmp_path, "binance.trade.ETHUSDT", "binance.depth.ETHUSDT", 0.01, 0.00001) > 50


def enough(directory: Path) -> bool:
    at = reached(directory).topics.get("binance.depth.ETHUSDT")
    return at is not None and at.sequence > 250


@pytest.mark.parametrize(
    ("market", "venue", "book", "tick", "lot"),
    [("spot", "binance", "depth", 0.01, 0.00001), ("usdm", "binance_usdm", "depth_0ms", 0.1, 0.001)],
)
def test_real_market_data(
    python: Path, tmp_path: Path, market: str, venue: str, book: str, tick: float, lot: float
) -> None:
    file = DATA / market / "btcusdt_20240808.gz"
    if not file.exists():
        pytest.skip(f"no recorded market data at {file}")
    record_messages(tmp_path / "in", file, venue, "trade", book)
    topics = f"{venue}.trade.BTCUSDT", f"{venue}.{book}.BTCUSDT"
    assert compare(python, tmp_path / "in", tmp_path, *topics, tick, lot) > 3_000
