"""Which topics go into which file."""

from __future__ import annotations

from k2workers.recording.exports.sources import HFTBACKTEST, TARDIS_CSV, FileSource, is_of_book, sources


def test_a_file_of_hftbacktest_holds_trades_and_book_of_a_symbol() -> None:
    found, left_out = sources(HFTBACKTEST, ["v.depth.A", "v.trade.A", "v.trade.B.C", "w.depth.A", "v.kline_1m.A"])
    assert found == [
        FileSource("events", "v", "A", ("v.trade.A", "v.depth.A")),
        FileSource("events", "v", "B.C", ("v.trade.B.C",)),
        FileSource("events", "w", "A", ("w.depth.A",)),
    ]
    assert left_out == {"v.kline_1m.A": "hftbacktest has no place for it"}


def test_of_topics_that_tell_the_same_the_one_that_tells_most_is_taken_and_the_others_are_named() -> None:
    found, left_out = sources(
        HFTBACKTEST, ["v.agg_trade.A", "v.trade.A", "v.depth_500ms.A", "v.depth.A", "v.depth_0ms.A"]
    )
    assert [source.topics for source in found] == [("v.trade.A", "v.depth_0ms.A")]
    assert left_out == {
        "v.agg_trade.A": "trade is there",
        "v.depth.A": "depth_0ms is there",
        "v.depth_500ms.A": "depth_0ms is there",
    }
    assert [source.topics for source in sources(HFTBACKTEST, ["v.agg_trade.A", "v.depth_500ms.A"])[0]] == [
        ("v.agg_trade.A", "v.depth_500ms.A")
    ]


def test_each_sort_of_tardis_csv_has_its_topics() -> None:
    kinds = ["trade", "depth", "book_ticker", "book_top", "mark_price", "open_interest", "ticker", "liquidation"]
    kinds += ["partial_depth_5", "partial_depth_5_1s", "book_20"]
    found, left_out = sources(TARDIS_CSV, [f"v.{kind}.A" for kind in kinds])
    assert {source.holds: source.topics for source in found} == {
        "trades": ("v.trade.A",),
        "incremental_book_L2": ("v.depth.A",),
        "book_ticker": ("v.book_ticker.A",),
        "quotes": ("v.book_top.A",),
        "derivative_ticker": ("v.mark_price.A", "v.open_interest.A", "v.ticker.A"),
        "liquidations": ("v.liquidation.A",),
        "book_snapshot_5": ("v.partial_depth_5.A",),
        "book_snapshot_20": ("v.book_20.A",),
    }
    assert left_out == {"v.partial_depth_5_1s.A": "partial_depth_5 is there"}


def test_a_market_without_mark_prices_has_no_derivative_ticker() -> None:
    found, left_out = sources(TARDIS_CSV, ["v.ticker.A", "status.rotation.0", "status.report"])
    assert found == []
    assert left_out == {
        "v.ticker.A": "tardis-csv has no place for it",
        "status.rotation.0": "tardis-csv has no place for it",
        "status.report": "it has no symbol",
    }


def test_topics_of_books_are_known() -> None:
    assert [is_of_book(topic) for topic in ("v.depth.A", "v.depth_0ms.A", "v.trade.depth")] == [True, True, False]
