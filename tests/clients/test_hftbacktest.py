"""hftbacktest, in an environment of its own, reads what an export wrote: the books that it keeps are ours, at every time at which ours changed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from k2workers.recording.conversion import follow
from k2workers.recording.row import Row
from k2workers.sequencing.order_book import OrderBook
from tests.clients.support import WAIT_S, interpreter
from tests.recording.exports.support import BOOK, MIDNIGHT_NS, Market, record
from tests.recording.recorded import reached, recorder, rows
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


def exported(directory: Path, to: Path, form: str) -> list[Path]:
    done = run_briefly("export", str(directory), "--to", str(to), "--format", form)
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(to.iterdir(), reverse=form == "tardis-csv")  # its converter wants trades first


def differing(got: Known, expected: Known) -> Known:
    return {at_ns: best for at_ns, best in got.items() if best != expected[at_ns]}


@pytest.mark.parametrize("latency_ms", [20, -700])
def test_a_market_with_holes_around_midnight(python: Path, tmp_path: Path, latency_ms: int) -> None:
    market = Market(latency_ms, MIDNIGHT_NS - 60 * 10**9, latency_ms)
    record(tmp_path / "in", market, 3_000)
    files = exported(tmp_path / "in", tmp_path / "out", "hftbacktest")
    assert len(files) == 2
    expected = known(rows(tmp_path / "in")[BOOK], 0.01)
    if latency_ms < 0:  # local times are later by what our clock was behind: another amount each day
        files, expected = files[:1], {at_ns: best for at_ns, best in expected.items() if at_ns < MIDNIGHT_NS}
    later_ns = later(tmp_path, latency_ms)
    got, trades = read(python, tmp_path, files, [at_ns + later_ns for at_ns in expected], 0.01, 0.001)
    assert len(got) > 900
    assert (None, None) in got.values()
    assert differing({at_ns - later_ns: best for at_ns, best in got.items()}, expected) == {}
    assert trades > 800


def later(tmp_path: Path, latency_ms: int) -> int:
    """By how much the export says that it moved our times on the first day."""
    done = run_briefly(
        "export", str(tmp_path / "in"), "--to", str(tmp_path / "again"), "--format", "hftbacktest", "--json"
    )
    later_ns: int = json.loads(done.stdout)["files"][0]["local_times_later_ns"]
    assert (later_ns > 0) == (latency_ms < 0)
    return later_ns


def test_its_converter_for_tardis_reads_the_files_of_csv(python: Path, tmp_path: Path) -> None:
    market = Market(7, MIDNIGHT_NS)
    record(tmp_path / "in", market, 1_500)
    files = exported(tmp_path / "in", tmp_path / "out", "tardis-csv")
    assert ["trades" in file.name for file in files] == [True, False]
    expected = {at_ns // 1_000 * 1_000: best for at_ns, best in known(rows(tmp_path / "in")[BOOK], 0.01).items()}
    got, trades = read(python, tmp_path, files, list(expected), 0.01, 0.001)
    # While a book is lost, the format has no word for it: a reader keeps the one before.
    assert differing({at_ns: best for at_ns, best in got.items() if expected[at_ns] != (None, None)}, expected) == {}
    assert trades == market.trade_id - 500


def test_a_feed_that_was_recorded(python: Path, tmp_path: Path) -> None:
    publish, directory = free_port(), tmp_path / "in"
    with recorder(directory, publish, "binance.") as taking:
        args = ("--symbols", "BTCUSDT,ETHUSDT", "--streams", "trade,depth", "--demo-rate", "2000")
        with demo(*args, shards=1, publish=publish, replay=publish + 1, books=publish + 2) as feed:
            wait_for("enough on the disk", lambda: len(reached(directory).topics) >= 4 and enough(directory))
            feed.stop()
        taking.stop()
        assert taking.process.returncode == 0, "".join(taking.raw)
    recorded = rows(directory)
    files = exported(directory, tmp_path / "out", "hftbacktest")
    for symbol in ("BTCUSDT", "ETHUSDT"):
        expected = known(recorded[f"binance.depth.{symbol}"], 0.01)
        of_symbol = [file for file in files if symbol in file.name]
        got, trades = read(python, tmp_path, of_symbol, list(expected), 0.01, 0.00001)
        assert differing(got, expected) == {}
        assert trades == len(recorded[f"binance.trade.{symbol}"])


def enough(directory: Path) -> bool:
    at = reached(directory).topics["binance.depth.BTCUSDT"]
    return at.sequence > 200
