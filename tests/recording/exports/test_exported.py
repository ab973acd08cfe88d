"""The words for what an export has and has not."""

from __future__ import annotations

from k2workers.recording.exports.exported import Exported, FileMade, lines
from k2workers.recording.id_audit import DayFigures


def test_each_file_says_what_it_lacks() -> None:
    file = FileMade(
        "a.npz",
        ("v.trade.A", "v.depth.A"),
        1_234,
        99,
        unused={"changes without a book": 2},
        local_times_later_ns=1_500_000,
    )
    file.add(DayFigures(named=3, gaps=1))
    file.add(DayFigures(named=4, losses=2, late=5))
    assert list(lines(Exported(True, [file], {}, {}, 0))) == [
        "a.npz: entries 1,234, of v.trade.A and v.depth.A, named 7, missing 0, gaps 1, losses 2, late 5, changes without a book 2, local times 1.5 ms later",
        "whole: files 1, entries 1,234, named 7, missing 0, twice 0",
    ]


def test_what_is_in_no_file_is_told_too() -> None:
    files = [FileMade("a.npz", ("v.trade.A",), named=1)]
    left_out = {
        "v.kline_1m.A": "no place",
        "v.kline_1m.B": "no place",
        "v.agg_trade.A": "trade is there",
        "status.report": "no place",
    }
    assert list(lines(Exported(False, files, {"v/x.parquet": "gone"}, left_out, 12))) == [
        "a.npz: not made, nothing for it is there, of v.trade.A, named 1, missing 0",
        "left out: status.report (1), v.kline_1m (2): no place",
        "left out: v.agg_trade (1): trade is there",
        "damaged: v/x.parquet: gone",
        "journal: 12 bytes that the recorder has not made into files yet are not exported",
        "NOT WHOLE: files 0, entries 0, named 1, missing 0, twice 0",
    ]
