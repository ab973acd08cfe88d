"""What the silence of topics is judged by: the topics that there are, what came of them, which streams are refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from k2workers.feed.intake import Intake
from k2workers.feed.message_block import MessageBlock
from k2workers.feed.silence import FIRST_LOOK_NS, SETTLE_NS, MarketView, Silence
from k2workers.feed.topic_watch import DENIALS, TopicWatch, Unserved
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.binance.usdm import BinanceUsdm
from k2workers.venues.market_evidence import SymbolSeen
from k2workers.venues.venue import StreamSpec

SPOT = BinanceSpot()
SECOND_NS = 1_000_000_000
AT_US = 1_700_000_000_000_000


def specs(*kinds: str) -> list[StreamSpec]:
    return SPOT.stream_specs(kinds, ["AUSDT", "BUSDT"])


class Watched:
    """A watch, and an intake that gets the messages of a line."""

    def __init__(self, served: Sequence[StreamSpec], venue: BinanceSpot = SPOT) -> None:
        self.intake = Intake(
            venue.codec(served),
            hold_ns=0,
            push=lambda _: None,
            on_reply=lambda *_: None,
            on_notice=lambda _: None,
            observe_latency=lambda _: None,
        )
        self.intake.resume({})
        self.silence = Silence()
        self.watch = TopicWatch(self.silence, self.intake, served, venue.evidence)

    def bring(self, stream: str, data: Any) -> None:
        self.intake.on_messages(
            1, MessageBlock.of([msgspec.json.encode({"stream": stream, "data": data})]), AT_US * 1_000
        )

    def trade(self, symbol: str, number: int) -> None:
        data = {
            "e": "trade",
            "E": AT_US,
            "s": symbol,
            "t": number,
            "p": "1.0",
            "q": "1.0",
            "T": AT_US,
            "m": True,
            "M": True,
        }
        self.bring(f"{symbol.lower()}@trade", data)

    def top(self, symbol: str, bid: str) -> None:
        self.bring(
            f"{symbol.lower()}@bookTicker", {"u": 1, "s": symbol, "b": bid, "B": "1.0", "a": "101.00", "A": "2.0"}
        )


def test_a_stream_is_seen_once_it_has_brought_something_and_one_of_the_whole_market_with_the_first_symbol() -> None:
    whole = SPOT.stream_specs(["trade", "mini_ticker_all"], ["AUSDT", "BUSDT"])
    watched = Watched(whole)
    assert watched.watch.streams_seen == 0
    watched.trade("BUSDT", 7)
    assert watched.watch.streams_seen == 1
    row = {"e": "24hrMiniTicker", "E": AT_US, "s": "AUSDT", "c": "1", "o": "2", "h": "3", "l": "4", "v": "5", "q": "6"}
    watched.bring("!miniTicker@arr", [row])
    assert watched.watch.streams_seen == 2


def test_streams_that_are_added_are_watched_and_seen() -> None:
    first, second = specs("trade")
    watched = Watched([first])
    watched.watch.look((), 0)
    assert watched.silence.served == 1
    watched.watch.add_streams([second])
    watched.intake.add_streams([second])
    watched.watch.look((), 0)
    assert watched.silence.served == 2
    watched.trade("BUSDT", 7)
    assert watched.watch.streams_seen == 1


def test_a_topic_whose_stream_is_refused_is_no_riddle() -> None:
    watched = Watched(specs("trade"))
    watched.watch.look((), 0)
    assert watched.silence.unproven == {0, 1}
    watched.watch.look({"busdt@trade": "no"}, 0)
    assert watched.silence.unproven == {0}
    assert watched.watch.unserved == {
        "binance.trade.AUSDT": Unserved.UNPROVEN, "binance.trade.BUSDT": Unserved.REFUSED,
    }  # fmt: skip
    watched.trade("AUSDT", 7)
    watched.watch.look({}, watched.intake.heard_ns[0])
    assert watched.watch.unserved == {"binance.trade.BUSDT": Unserved.UNPROVEN}, "it is no longer refused"


@pytest.mark.parametrize(("kind", "quiet"), [("trade", {0}), ("book_ticker", {0})])
def test_what_a_look_shows_is_compared_with_the_newest_trade_or_the_best_prices_that_came(
    kind: str, quiet: set[int]
) -> None:
    watched = Watched(specs(kind))
    watched.watch.look((), 0)
    for symbol in ("AUSDT", "BUSDT"):
        watched.trade(symbol, 7) if kind == "trade" else watched.top(symbol, "99.500")
    now_ns = max(watched.intake.heard_ns) + 20 * SECOND_NS
    watched.watch.look((), now_ns)
    view = MarketView(now_ns, {"AUSDT": SymbolSeen(7, "99.5 101"), "BUSDT": SymbolSeen(8, "99.6 101")})
    watched.watch.seen(view, now_ns)
    assert watched.silence.quiet == quiet


def test_only_a_topic_that_never_brought_anything_begins_after_the_trade_that_the_first_look_showed() -> None:
    watched = Watched(specs("trade"))
    watched.trade("BUSDT", 3)
    now_ns = watched.intake.heard_ns[1] + FIRST_LOOK_NS
    watched.watch.look((), now_ns)
    silent = set[int]()
    for trade in (5, 6, 7):
        now_ns += 6 * SECOND_NS
        shown = {symbol: SymbolSeen(trade, None) for symbol in ("AUSDT", "BUSDT")}
        watched.watch.seen(MarketView(now_ns, shown), now_ns)
        silent.update(watched.watch.look((), now_ns + SETTLE_NS).silent)
    assert silent == {0, 1}
    assert [lane.last_id for lane in watched.intake.lanes] == [5, 3]


@pytest.mark.parametrize(("venue", "beside"), [(BinanceUsdm(), True), (SPOT, False)])
def test_a_trade_that_looks_show_and_no_aggregate_has_is_no_silence_of_aggregates(
    venue: BinanceSpot, beside: bool
) -> None:
    watched = Watched(venue.stream_specs(["agg_trade"], ["AUSDT"]), venue)
    aggregate = {"e": "aggTrade", "E": AT_US // 1_000, "a": 4, "s": "AUSDT", "p": "1.0", "q": "1.0", "f": 7, "l": 7, "T": AT_US // 1_000, "m": True}  # fmt: skip
    watched.bring("ausdt@aggTrade", aggregate)
    now_ns = max(watched.intake.heard_ns)
    found = []
    for _ in range(DENIALS + 4):  # one line after the other, and each time REST has nothing
        for _ in range(2):
            now_ns += 20 * SECOND_NS
            watched.watch.look((), now_ns)
            watched.watch.seen(MarketView(now_ns, {"AUSDT": SymbolSeen(8, None)}), now_ns)
            found.append(watched.watch.look((), now_ns + SETTLE_NS))
        if found[-1].rotate or found[-2].rotate:
            watched.silence.renewed(now_ns)
        watched.watch.fetched(0, False, now_ns)
    assert found[1].silent or found[0].silent
    assert (watched.silence.silent, watched.silence.quiet) == ((set(), {0}) if beside else ({0}, set()))
    watched.watch.seen(MarketView(now_ns + SECOND_NS, {"AUSDT": SymbolSeen(9, None)}), now_ns + SECOND_NS)
    watched.watch.look((), now_ns + SECOND_NS + SETTLE_NS)
    assert watched.silence.silent == {0}, "another one must be asked for again"
    watched.watch.fetched(0, True, now_ns)
