"""What an intake's lanes add up to."""

from __future__ import annotations

import pytest

from k2workers import native
from k2workers.continuity import renumbered
from k2workers.events import BookSnapshot, Trade, Void
from tests.feed.test_plain_lane import agg, depth, ticker, trade
from tests.native.differential import NOW_NS, Way, frame

KINDS = ("trade", "agg_trade", "book_ticker", "depth")


@pytest.fixture(
    params=[pytest.param(True, marks=pytest.mark.skipif(native.extension is None, reason="no native lane")), False]
)
def way(request: pytest.FixtureRequest) -> Way:
    return Way(native=request.param, kinds=KINDS, symbols=("AUSDT",))


def give(way: Way, *messages: bytes) -> None:
    for message in messages:
        way.read(1, frame(message), NOW_NS)


def test_every_figure_is_the_sum_over_its_topics(way: Way) -> None:
    intake = way.intake
    assert (intake.events, intake.books_missing(())) == (0, 0)
    give(
        way,
        trade(1),
        trade(2),
        trade(2),
        trade(6),
        agg(1, 1, 1),
        agg(2, 3, 3),
        ticker(1),
        ticker(2),
        depth(1, 2),
        b"{}",
        b"[",
    )
    intake.expire(2**62)
    assert (intake.gaps, intake.missing, intake.gaps_open, intake.repaired, intake.voids) == (1, 3, 1, 0, 0)
    intake.fill(0, [Trade(3, "1", "1", True, NOW_NS, NOW_NS, NOW_NS), Void(4, 4, NOW_NS)], 1)
    assert (intake.repaired, intake.voids, intake.gaps_open, intake.duplicates, intake.links_broken) == (1, 1, 1, 1, 1)
    assert intake.events_by_kind() == {"trade": 4, "agg_trade": 2, "book_ticker": 2, "depth": 1}
    assert intake.events == 9
    assert intake.duplicates_by_kind() == {"trade": 1, "agg_trade": 0, "book_ticker": 0, "depth": 0}
    assert intake.gaps_by_kind() == {"trade": 1, "agg_trade": 0, "book_ticker": 0, "depth": 0}
    assert intake.outliers_by_kind() == dict.fromkeys(KINDS, 0)
    assert intake.unreadable_by_kind() == {"unknown": 1, **dict.fromkeys(KINDS, 0)}
    assert (intake.books, intake.books_missing(()), intake.books_missing({3})) == (1, 1, 0)
    intake.take_book(3, BookSnapshot(2, [("1.0", "1.0")], [], 1))
    assert intake.books_missing(()) == 0


def test_what_was_read_natively_is_told_by_kind_and_the_rest_by_why(way: Way) -> None:
    give(way, trade(1), trade(2), trade(3), trade(9), b"{}")
    if way.intake.plain is None:
        assert (way.intake.taken_natively(), way.intake.left_to_python()) == ({}, {})
        return
    assert way.intake.taken_natively() == {"trade": 2, "agg_trade": 0, "book_ticker": 0, "depth": 0}
    left = {key: count for key, count in way.intake.left_to_python().items() if count}
    assert left == {("trade", "topic"): 1, ("trade", "order"): 1, ("unknown", "stream"): 1}


def test_where_its_topics_stand_is_told_in_their_numbering(way: Way) -> None:
    give(way, trade(1), trade(2), trade(5), ticker(7), depth(1, 2))
    way.intake.expire(2**62)
    number = way.venue.stream_specs(["trade"], ["AUSDT"])[0].continuity.number
    assert way.intake.reached()["binance.trade.AUSDT"] == (number, 5)
    assert way.intake.reached().keys() == {"binance.trade.AUSDT", "binance.depth.AUSDT"}
    assert way.intake.open_gaps() == {"binance.trade.AUSDT": (number, [(3, 4)])}
    way.intake.lanes[0].begin_anew(1, NOW_NS)
    assert way.intake.reached()["binance.trade.AUSDT"] == (number, 5), "the new numbering has not been pushed"
    way.intake.lanes[0].reopen(0, 0, NOW_NS)
    assert way.intake.open_gaps() == {"binance.trade.AUSDT": (renumbered(number), [(0, 0)])}
