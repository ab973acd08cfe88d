"""The generated market: ids, books and bars agree with each other, and a seed makes it repeatable."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from k2workers.simulator.binance.generated_market import actions_per_second, symbol_names
from k2workers.simulator.binance.market import Market
from k2workers.simulator.binance.payloads import decimal
from k2workers.simulator.binance.stream_names import is_valid

START_NS = 1_790_000_000_500_000_000
TICK_NS = 5_000_000
US = 1


def run(market: Market, ticks: int, start: int = 0) -> list[tuple[str, Any]]:
    """(stream, payload) of all events of so many ticks."""
    events = []
    for tick in range(start, start + ticks):
        for emission in market.advance(START_NS + tick * TICK_NS):
            payload = json.loads(emission.render(US))
            events.append((emission.stream, payload))
    return events


def market_of(*suffixes: str, symbols: int = 3, rate: float = 3000.0, seed: int = 1) -> Market:
    wanted = {f"{name.lower()}@{suffix}" for name, _, _ in symbol_names(symbols) for suffix in suffixes}
    return Market(symbols, rate, seed, START_NS, wanted)


def of(events: list[tuple[str, Any]], stream: str) -> list[Any]:
    return [payload for name, payload in events if name == stream]


def test_the_same_seed_and_times_make_the_same_market() -> None:
    assert run(market_of("trade", "depth@100ms"), 300) == run(market_of("trade", "depth@100ms"), 300)
    assert run(market_of("trade", seed=2), 300) != run(market_of("trade"), 300)


def test_trade_ids_rise_by_one_and_aggregates_chain_over_them() -> None:
    events = run(market_of("trade", "aggTrade"), 600)
    trades, aggs = of(events, "btcusdt@trade"), of(events, "btcusdt@aggTrade")
    assert len(trades) > 500
    assert all(b["t"] == a["t"] + 1 for a, b in itertools.pairwise(trades))
    assert all(b["a"] == a["a"] + 1 and b["f"] == a["l"] + 1 for a, b in itertools.pairwise(aggs))
    assert (aggs[0]["f"], aggs[-1]["l"]) == (trades[0]["t"], trades[-1]["t"])
    assert all(a["T"] <= b["T"] for a, b in itertools.pairwise(trades))
    assert all(trade["E"] >= trade["T"] for trade in trades)


@pytest.mark.parametrize("suffix", ["depth@100ms", "depth"])
def test_diffs_chain_and_build_the_book_that_partial_depth_and_ticker_show(suffix: str) -> None:
    market = market_of(suffix, "depth20@100ms", "depth20", "bookTicker")
    symbol = market.symbols["ETHUSDT"]
    book = {"b": dict(symbol.bids.quantity), "a": dict(symbol.asks.quantity)}
    last = symbol.update_id
    partial: dict[int, Any] = {}
    tickers: dict[int, Any] = {}
    compared = 0
    for stream, event in run(market, 1500):
        if stream.startswith("ethusdt@depth20"):
            partial[event["lastUpdateId"]] = event
        elif stream == "ethusdt@bookTicker":
            assert event["u"] > max(tickers, default=0)
            tickers[event["u"]] = event
        elif stream == f"ethusdt@{suffix}":
            assert event["U"] == last + 1
            last = event["u"]
            assert event["b"] or event["a"]
            assert event["b"] == sorted(event["b"], key=lambda row: -float(row[0]))
            for side in ("b", "a"):
                for price, qty in event[side]:
                    book[side][int(price.replace(".", ""))] = int(qty.replace(".", ""))
            shown = tickers.get(last)
            if shown is not None:
                compared += 1
                bid = max(price for price, qty in book["b"].items() if qty)
                ask = min(price for price, qty in book["a"].items() if qty)
                assert (decimal(bid), decimal(book["b"][bid])) == (shown["b"], shown["B"])
                assert (decimal(ask), decimal(book["a"][ask])) == (shown["a"], shown["A"])
                assert bid < ask
    assert compared > 3
    final = {price: qty for price, qty in book["b"].items() if qty}
    assert set(partial) and all(len(event["bids"]) == 20 for event in partial.values())
    newest = partial[max(partial)]
    if newest["lastUpdateId"] == last:
        best = sorted(final, reverse=True)[:20]
        assert newest["bids"] == [[decimal(price), decimal(final[price])] for price in best]


def test_every_bar_closes_once_and_follows_its_predecessor() -> None:
    events = run(market_of("kline_1s", "kline_1m", "kline_1d@+08:00", "trade"), 200 * 70)
    seconds = [event["k"] for event in of(events, "btcusdt@kline_1s")]
    assert len(seconds) == 70 and all(bar["x"] for bar in seconds)
    assert all(b["t"] == a["T"] + 1 for a, b in itertools.pairwise(seconds))
    traded = [bar for bar in seconds if bar["n"]]
    assert all(b["f"] == a["L"] + 1 for a, b in itertools.pairwise(traded))
    assert all(bar["n"] == bar["L"] - bar["f"] + 1 for bar in traded)
    minutes = [event["k"] for event in of(events, "btcusdt@kline_1m")]
    closed = [bar for bar in minutes if bar["x"]]
    assert len(closed) in (1, 2)
    inside = [bar for bar in seconds if closed[-1]["t"] <= bar["t"] <= closed[-1]["T"]]
    assert closed[-1]["n"] == sum(bar["n"] for bar in inside)
    assert {event["k"]["i"] for event in of(events, "btcusdt@kline_1d@+08:00")} == {"1d"}


def test_a_second_without_trades_is_still_a_bar() -> None:
    market = market_of("kline_1s")
    market.running = False
    bars = [event["k"] for event in of(run(market, 600), "btcusdt@kline_1s")]
    assert [(bar["f"], bar["L"], bar["n"], bar["x"]) for bar in bars] == [(-1, -1, 0, True)] * 3


def test_once_a_second_streams_say_what_the_market_did() -> None:
    suffixes = ("miniTicker", "ticker", "ticker_1h", "ticker_4h", "ticker_1d", "avgPrice", "referencePrice")
    market = market_of(*suffixes)
    market._wanted.update({"!miniTicker@arr", "!ticker_1h@arr", "!ticker@arr"})
    events = run(market, 1000)
    for suffix in suffixes:
        assert len(of(events, f"btcusdt@{suffix}")) == 5
    assert of(events, "!miniTicker@arr")[0][0]["e"] == "24hrMiniTicker"
    assert of(events, "!ticker_1h@arr")[0][0]["e"] == "1hTicker"
    assert not of(events, "!ticker@arr")
    last = of(events, "btcusdt@ticker")[-1]
    assert last["n"] == last["L"] - last["F"] + 1


def test_about_the_asked_rate_is_made() -> None:
    events = run(market_of("trade", "aggTrade", "bookTicker", "depth@100ms", symbols=40, rate=2000), 2000)
    assert 1700 < len(events) / 10 < 2300
    assert actions_per_second(0.0, [1.0]) < 1e-6


def test_times_come_in_the_unit_asked_for() -> None:
    market = market_of("trade")
    emission = next(e for tick in range(100) for e in market.advance(START_NS + tick * TICK_NS))
    micro, milli = json.loads(emission.render(1)), json.loads(emission.render(1000))
    assert milli["E"] == micro["E"] // 1000 and milli["t"] == micro["t"]


def test_stream_names_are_told_apart_from_nonsense() -> None:
    good = (
        "btcusdt@trade",
        "币安人生usdt@depth20@100ms",
        "x@kline_1M@+08:00",
        "!ticker@arr",
        "!ticker_4h@arr",
    )
    bad = ("btcusdt", "btcusdt@nothing", "btc usdt@trade", "!bookTicker", "btcusdt@kline_7m", "@trade")
    assert all(map(is_valid, good)) and not any(map(is_valid, bad))


def test_a_market_that_falls_lacks_the_nearest_bids_and_keeps_the_last_one() -> None:
    market = Market(1, 1_000.0, 1, START_NS, set(), depth=300)
    (symbol,) = market.symbols.values()
    before, update_id = symbol.bids.top(400), symbol.update_id
    assert len(before) == len(symbol.asks) == 300
    symbol.walk(100)
    assert (symbol.bids.top(400), symbol.update_id) == (before[100:], update_id + 100)
    symbol.walk(1_000)
    assert symbol.bids.top(400) == before[-1:]
