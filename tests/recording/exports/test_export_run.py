"""A recording goes through an export and says the same: read back with gzip and numpy, and compared with the books as they were."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from k2workers.errors import ConfigError
from k2workers.events import BookSnapshot
from k2workers.recording import layout
from k2workers.recording.conversion import convert
from k2workers.recording.exports.export_run import ExportSettings, export
from k2workers.recording.exports.exported import Exported
from k2workers.recording.exports.hftbacktest import BUY, CLEAR, EXCHANGE, LOCAL, TRADE
from k2workers.recording.exports.recorded_topic import Window
from k2workers.recording.exports.sources import HFTBACKTEST, TARDIS_CSV
from tests.recording.exports.support import BOOK, MIDNIGHT_NS, NEXT_DAY, SYMBOL, TRADES, Best, Market, record
from tests.recording.support import CHANGES, DAY, TOPIC, change, journal_in, put, trade

SECOND_NS = 10**9


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Market]:
    """Some twenty seconds around midnight."""
    to, market = tmp_path_factory.mktemp("recorded"), Market(1, MIDNIGHT_NS - 8 * SECOND_NS)
    record(to, market, 300)
    return to, market


def exported(directory: Path, to: Path, form: str, *topics: str, **more: Any) -> tuple[Exported, list[str]]:
    heard: list[str] = []
    return export(ExportSettings(directory=directory, to=to, form=form, topics=topics, **more), heard.append), heard


def table(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class ReadBook:
    """A book as a stranger keeps it, from levels alone."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[float, float]] = {"bid": {}, "ask": {}}

    def clear(self) -> None:
        for side in self.sides.values():
            side.clear()

    def set(self, side: str, price: float, amount: float) -> None:
        self.sides[side].pop(price, None)
        if amount:
            self.sides[side][price] = amount

    @property
    def best(self) -> tuple[float | None, float | None]:
        return max(self.sides["bid"], default=None), min(self.sides["ask"], default=None)


def as_known(market: Market, unit_ns: int = 1) -> dict[int, tuple[float | None, float | None]]:
    """The last of what was known of the book at each time of ours."""
    return {best.at_ns // unit_ns: _numbers(best) for best in market.best}


def _numbers(best: Best) -> tuple[float | None, float | None]:
    bid, ask = (None if price is None else float(price) for price in (best.bid, best.ask))
    return bid, ask


def walked(data: Any, flag: int, times: str) -> Iterator[tuple[int, tuple[float | None, float | None]]]:
    """The best prices after each time, for the exchange or for the listener."""
    book, at_ns = ReadBook(), 0
    for event in data[(data["ev"] & flag) > 0]:
        if at_ns and event[times] != at_ns:
            yield at_ns, book.best
        at_ns, what = int(event[times]), int(event["ev"])
        if what & 0xFF == CLEAR:
            book.clear()
        elif what & 0xFF != TRADE:
            book.set("bid" if what & BUY else "ask", float(event["px"]), float(event["qty"]))
    yield at_ns, book.best


def test_hftbacktest_gets_the_books_that_were_known_and_each_trade(
    recorded: tuple[Path, Market], tmp_path: Path
) -> None:
    directory, market = recorded
    found, _ = exported(directory, tmp_path, HFTBACKTEST)
    assert found.whole
    assert [file.name for file in found.files] == [f"binance_{SYMBOL}_{day}.npz" for day in (DAY, NEXT_DAY)]
    data = np.concatenate([np.load(tmp_path / file.name)["data"] for file in found.files])
    known = as_known(market)
    got = {at_ns: best for at_ns, best in walked(data, LOCAL, "local_ts") if at_ns in known}
    assert len(got) == len(known) > 250
    assert (None, None) in known.values()
    assert {at_ns: (best, known[at_ns]) for at_ns, best in got.items() if best != known[at_ns]} == {}
    traded = data[(data["ev"] & 0xFF) == TRADE]
    for flag in (EXCHANGE, LOCAL):
        assert ((traded["ev"] & flag) > 0).sum() == market.trade_id - 500


def test_the_exchange_has_the_same_books_at_its_own_times(recorded: tuple[Path, Market], tmp_path: Path) -> None:
    directory, market = recorded
    found, _ = exported(directory, tmp_path, HFTBACKTEST, BOOK)
    data = np.concatenate([np.load(tmp_path / file.name)["data"] for file in found.files])
    assert [best for _, best in walked(data, EXCHANGE, "exch_ts")] == _without_repeats(market)
    first = np.load(tmp_path / found.files[1].name)["data"]
    assert int(first["ev"][0]) & 0xFF == CLEAR


def _without_repeats(market: Market) -> list[tuple[float | None, float | None]]:
    return [_numbers(best) for best in market.at_venue.values()]


def test_tardis_csv_gives_the_same_books_and_trades(recorded: tuple[Path, Market], tmp_path: Path) -> None:
    directory, market = recorded
    found, heard = exported(directory, tmp_path, TARDIS_CSV)
    assert found.whole
    assert [file.name for file in found.files] == [
        f"binance_{holds}_{day}_{SYMBOL}.csv.gz"
        for holds in ("trades", "incremental_book_L2")
        for day in (DAY, NEXT_DAY)
    ]
    trades, changes = (
        [row for file in found.files if word in file.name for row in table(tmp_path / file.name)]
        for word in ("trades", "book")
    )
    assert sorted(int(row["id"]) for row in trades) == list(range(501, market.trade_id + 1))
    assert {row["symbol"] for row in (*trades, *changes)} == {SYMBOL}
    known, book, was_snapshot, checked = as_known(market, 1_000), ReadBook(), False, 0
    for number, row in enumerate(changes):
        whole = row["is_snapshot"] == "true"
        if whole and not was_snapshot:
            book.clear()
        was_snapshot = whole
        book.set(row["side"], float(row["price"]), float(row["amount"]))
        if number + 1 == len(changes) or changes[number + 1]["local_timestamp"] != row["local_timestamp"]:
            checked += 1
            assert book.best == known[int(row["local_timestamp"])]
    assert checked > 250
    local = [int(row["local_timestamp"]) for row in changes]
    assert local == sorted(local)
    assert sum(line.startswith(f"missing: {TRADES}: ids") for line in heard) == 3


def test_from_a_time_on_and_up_to_another(recorded: tuple[Path, Market], tmp_path: Path) -> None:
    directory, market = recorded
    window = Window(MIDNIGHT_NS - 3 * SECOND_NS, MIDNIGHT_NS + 2 * SECOND_NS)
    found, _ = exported(directory, tmp_path, TARDIS_CSV, BOOK, window=window)
    rows = [row for file in found.files for row in table(tmp_path / file.name)]
    times = [int(row["local_timestamp"]) * 1_000 for row in rows]
    assert rows[0]["is_snapshot"] == "true"
    assert window.from_ns <= times[0] < window.from_ns + SECOND_NS
    assert window.until_ns - SECOND_NS < times[-1] < window.until_ns
    book = ReadBook()
    for row in rows:
        if int(row["local_timestamp"]) == times[0] // 1_000:
            book.set(row["side"], float(row["price"]), float(row["amount"]))
    assert book.best == as_known(market, 1_000)[times[0] // 1_000]


def test_one_damaged_file_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    directory, to = tmp_path / "recorded", tmp_path / "out"
    record(directory, market := Market(2, MIDNIGHT_NS + SECOND_NS), 120)
    path = layout.file_of(directory, BOOK, NEXT_DAY, 2)
    path.write_bytes(path.read_bytes()[:-1])
    found, heard = exported(directory, to, HFTBACKTEST)
    assert not found.whole
    assert list(found.damaged) == [path.relative_to(directory).as_posix()]
    assert any(line.startswith(f"damaged: {path}") for line in heard)
    (file,) = found.files
    assert file.missing > 0
    known = as_known(market)
    got = [
        at_ns
        for at_ns, best in walked(np.load(to / file.name)["data"], LOCAL, "local_ts")
        if at_ns in known and best != known[at_ns]
    ]
    lost = [best.at_ns for best in market.best]
    assert all(lost[len(lost) // 3 - 2] <= at_ns <= lost[len(lost) * 2 // 3 + 2] for at_ns in got)


def test_what_is_there_is_replaced_knowingly_or_not_at_all(tmp_path: Path) -> None:
    directory, to = tmp_path / "recorded", tmp_path / "out"
    record(directory, Market(3, MIDNIGHT_NS), 12)
    found, _ = exported(directory, to, TARDIS_CSV)
    name = to / found.files[1].name
    whole = name.read_bytes()
    name.write_bytes(b"mine")
    (to / found.files[0].name).unlink()
    with pytest.raises(ConfigError, match="it is there already; allowed: another directory, or --replace"):
        exported(directory, to, TARDIS_CSV)
    assert [path.read_bytes() for path in to.iterdir()] == [b"mine"]
    exported(directory, to, TARDIS_CSV, replace=True)
    assert name.read_bytes() == whole


def test_where_nothing_can_be_written_nothing_is_left(tmp_path: Path) -> None:
    directory = tmp_path / "recorded"
    record(directory, Market(3, MIDNIGHT_NS), 12)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        exported(directory, tmp_path / "file" / "out", HFTBACKTEST)


def test_a_recording_without_such_topics_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none that hftbacktest has a place for"):
        exported(tmp_path, tmp_path / "out", HFTBACKTEST)


def test_a_day_of_which_nothing_can_be_made_is_told(tmp_path: Path) -> None:
    made = journal_in(tmp_path / "in")
    put(made, BOOK, change(11, 11), change(12, 12), continuity=CHANGES)
    put(made, TOPIC, trade(1))
    made.commit(b"p")
    put(made, TOPIC, trade(2))
    made.roll(b"")
    put(made, TOPIC, trade(3))
    made.commit(b"p")
    convert(tmp_path / "in", made.number)
    found, _ = exported(tmp_path / "in", tmp_path / "out", TARDIS_CSV)
    assert [(file.name, file.entries, file.unused) for file in found.files] == [
        (f"binance_incremental_book_L2_1970-01-01_{SYMBOL}.csv.gz", 0, {"changes without a book": 2}),
        ("venue_trades_1970-01-01_AB%2FC.csv.gz", 2, {}),
    ]
    assert found.journal_bytes > 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["venue_trades_1970-01-01_AB%2FC.csv.gz"]


def test_a_manifest_that_cannot_be_read_makes_its_files_damaged(tmp_path: Path) -> None:
    directory = tmp_path / "in"
    record(directory, Market(4, MIDNIGHT_NS), 12)
    layout.manifest_of(directory, TRADES, NEXT_DAY).write_text("{")
    found, _ = exported(directory, tmp_path / "out", TARDIS_CSV)
    assert not found.whole
    assert len(found.damaged) == 1 + len(layout.files_under(directory)[0]) // 2
    assert {file.name for file in found.files} == {f"binance_incremental_book_L2_{NEXT_DAY}_{SYMBOL}.csv.gz"}


def test_a_book_that_begins_is_in_its_file(tmp_path: Path) -> None:
    made = journal_in(tmp_path / "in")
    put(made, BOOK, BookSnapshot(9, [("1.00", "5")], [], 7), continuity=CHANGES)
    made.roll(b"")
    convert(tmp_path / "in", made.number)
    found, _ = exported(tmp_path / "in", tmp_path / "out", HFTBACKTEST)
    assert [(file.entries, file.missing) for file in found.files] == [(2, 0)]
