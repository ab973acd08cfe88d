"""The generated market of futures: ids, chains, books and texts, and what of it is told of the whole market."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from k2workers.simulator.binance.contracts import COINM, USDM, Contracts
from k2workers.simulator.binance.futures_market import ALL_MARKET, FuturesMarket, contract_names
from k2workers.simulator.binance.futures_payloads import digits_of, fixed

START_NS = 1_790_000_000_500_000_000
TICK_NS = 5_000_000
MS = 1_000
PERPETUAL = {USDM: "btcusdt", COINM: "btcusd_perp"}


def market_of(
    *names: str,
    contracts: Contracts = USDM,
    symbols: int = 3,
    rate: float = 3_000.0,
    unseen: float = 0.0,
    tagged: bool = False,
) -> FuturesMarket:
    return FuturesMarket(contracts, symbols, rate, 1, START_NS, set(names), unseen=unseen, tagged=tagged)


def run(market: FuturesMarket, ticks: int) -> Iterator[tuple[str, Any]]:
    """(stream, payload) of all events of so many ticks."""
    for tick in range(ticks):
        for emission in market.advance(START_NS + tick * TICK_NS):
            yield emission.stream, json.loads(emission.render(MS))


def events_of(name: str, ticks: int = 600, **how: Any) -> list[Any]:
    return [payload for _, payload in run(market_of(name, **how), ticks)]


BAR_KEYS = ["t", "T", "s", "i", "f", "L", "o", "c", "h", "l", "v", "n", "x", "q", "V", "Q", "B"]
KEYS = {
    "trade": "e E T s t p q X m",
    "aggTrade": "e E a s p q nq f l T m",
    "bookTicker": "e u s b B a A T E",
    "depth@100ms": "e E T s U u pu b a",
    "depth5@100ms": "e E T s U u pu b a",
    "markPrice": "e E s p ap P i r T",
    "markPrice@1s": "e E s p ap P i r T",
    "miniTicker": "e E s c o h l v q",
    "ticker": "e E s p P w c Q o h l v q O C F L n",
    "kline_1m": "e E s k",
}
PAIRED = {"bookTicker", "depth@100ms", "depth5@100ms", "miniTicker", "ticker"}


@pytest.mark.parametrize("suffix", KEYS)
@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize("contracts", [USDM, COINM], ids=["usdm", "coinm"])
def test_keys_stand_as_the_venue_writes_them(suffix: str, tagged: bool, contracts: Contracts) -> None:
    symbol = PERPETUAL[contracts]
    (event, *_) = events_of(f"{symbol}@{suffix}", contracts=contracts, tagged=tagged)
    keys = KEYS[suffix].split()
    if suffix in PAIRED and (tagged or contracts is COINM):
        keys.insert(keys.index("s") + 1, "ps")
        assert event["ps"] == symbol.upper().partition("_")[0]
    if tagged and not suffix.startswith("kline"):
        keys.append("st")
        assert event["st"] == contracts.symbol_type
    assert list(event) == keys
    if suffix.startswith("kline"):
        assert list(event["k"]) == BAR_KEYS


@pytest.mark.parametrize("suffix", ["depth", "depth@0ms", "depth@100ms", "depth@500ms"])
def test_changes_chain_by_the_id_before_them_and_build_the_book(suffix: str) -> None:
    market = market_of(f"ethusdt@{suffix}", f"btcusdt@{suffix}", "ethusdt@depth20@100ms", "ethusdt@bookTicker")
    symbol = market.symbols["ETHUSDT"]
    texts, last = symbol.texts, symbol.update_id
    book = {
        key: {texts.price(price): texts.quantity(qty) for price, qty in side.quantity.items()}
        for key, side in (("b", symbol.bids), ("a", symbol.asks))
    }
    holes = compared = 0
    best: dict[int, Any] = {}
    for stream, event in run(market, 1_200):
        if stream == "ethusdt@bookTicker":
            best[event["u"]] = event
        elif stream == f"ethusdt@{suffix}":
            assert event["pu"] == last < event["U"] <= event["u"]
            holes += event["U"] > last + 1
            last = event["u"]
            assert event["b"] == sorted(event["b"], key=lambda row: float(row[0]))
            assert event["a"] == sorted(event["a"], key=lambda row: float(row[0]))
            for side in ("b", "a"):
                book[side].update(dict(event[side]))
            if last in best:
                compared += 1
                bid = max((price for price, qty in book["b"].items() if float(qty)), key=float)
                ask = min((price for price, qty in book["a"].items() if float(qty)), key=float)
                shown = best[last]
                assert (bid, book["b"][bid], ask, book["a"][ask]) == (shown["b"], shown["B"], shown["a"], shown["A"])
    assert holes > 3 and compared > 2


def test_update_ids_are_those_of_all_contracts_together() -> None:
    market = market_of("btcusdt@bookTicker", "ethusdt@bookTicker", "solusdt@bookTicker")
    ids = [event["u"] for _, event in run(market, 300)]
    assert len(ids) > 200 and all(earlier < later for earlier, later in itertools.pairwise(ids))


def test_best_levels_come_best_first_and_chain_as_changes_do() -> None:
    events = events_of("btcusdt@depth10@500ms", 1_000)
    assert len(events) > 5
    for earlier, later in itertools.pairwise(events):
        assert later["pu"] == earlier["u"]
        bids, asks = ([float(price) for price, _ in later[side]] for side in ("b", "a"))
        assert bids == sorted(bids, reverse=True) and asks == sorted(asks) and bids[0] < asks[0]
        assert len(bids) == len(asks) == 10


def test_aggregates_chain_by_their_own_id_alone_where_trades_are_not_told() -> None:
    market = market_of("btcusdt@trade", "btcusdt@aggTrade", unseen=0.05)
    events = list(run(market, 600))
    trades = [event for stream, event in events if stream.endswith("@trade")]
    aggs = [event for stream, event in events if stream.endswith("@aggTrade")]
    steps = [later["t"] - earlier["t"] for earlier, later in itertools.pairwise(trades)]
    assert set(steps) == {1, 2} and 0 < steps.count(2) < len(steps) / 4
    assert all(later["a"] == earlier["a"] + 1 for earlier, later in itertools.pairwise(aggs))
    broken = sum(later["f"] != earlier["l"] + 1 for earlier, later in itertools.pairwise(aggs))
    assert broken == steps.count(2) and all(agg["nq"] == agg["q"] for agg in aggs)
    assert {trade["X"] for trade in trades} == {"MARKET"}
    assert all(trade["E"] >= trade["T"] for trade in trades)


def test_ids_begin_anew_for_one_contract_alone() -> None:
    market = market_of("btcusdt@depth@100ms", "ethusdt@depth@100ms")
    before = list(run(market, 200))
    market.symbols["BTCUSDT"].renumber(1)
    after = [
        (emission.stream, json.loads(emission.render(MS)))
        for tick in range(200, 400)
        for emission in market.advance(START_NS + tick * TICK_NS)
    ]
    chains = {
        name: [event for stream, event in events if stream.startswith(name)]
        for events in (after,)
        for name in ("btcusdt", "ethusdt")
    }
    assert chains["btcusdt"][0]["pu"] == 0 and chains["btcusdt"][0]["U"] < 100
    assert all(
        later["pu"] == earlier["u"] for events in chains.values() for earlier, later in itertools.pairwise(events)
    )
    last = [event for stream, event in before if stream.startswith("ethusdt")][-1]
    assert chains["ethusdt"][0]["pu"] == last["u"]


def test_bars_are_told_four_times_a_second_and_once_when_they_end() -> None:
    market = market_of("btcusdt@kline_1m", "btcusdt_perpetual@continuousKline_1m", symbols=1, rate=200.0)
    events = list(run(market, 200 * 65))
    for name, kind in (("btcusdt@kline_1m", "kline"), ("btcusdt_perpetual@continuousKline_1m", "continuous_kline")):
        bars = [event for stream, event in events if stream == name]
        assert {event["e"] for event in bars} == {kind} and 200 < len(bars) < 270
        ended = [event["k"] for event in bars if event["k"]["x"]]
        assert len(ended) in (1, 2) and all(
            later["t"] == earlier["T"] + 1 for earlier, later in itertools.pairwise(ended)
        )
    assert list(bars[0]) == ["e", "E", "ps", "ct", "k"] and "s" not in bars[0]["k"]


def test_what_is_pushed_by_the_clock_is_pushed_as_often_as_documented() -> None:
    every_s = {"markPrice": 3, "markPrice@1s": 1, "miniTicker": 2, "ticker": 2}
    events = list(run(market_of(*(f"btcusdt@{suffix}" for suffix in every_s), "btcusd@assetIndex"), 200 * 12))
    counts = {suffix: sum(stream == f"btcusdt@{suffix}" for stream, _ in events) for suffix in every_s}
    assert counts == {suffix: 12 // seconds for suffix, seconds in every_s.items()}
    assert sum(stream == "btcusd@assetIndex" for stream, _ in events) == 12


@pytest.mark.parametrize("contracts", [USDM, COINM], ids=["usdm", "coinm"])
def test_streams_of_the_whole_market_tell_of_both_markets(contracts: Contracts) -> None:
    names = [name for name, _, _ in ALL_MARKET]
    events = list(run(market_of(*names, contracts=contracts, symbols=12), 200 * 12))
    for name in ("!miniTicker@arr", "!ticker@arr", "!markPrice@arr", "!markPrice@arr@1s"):
        messages = [event for stream, event in events if stream == name]
        assert {row["st"] for row in messages[0]} == {1, 2}
        symbols = [row["s"] for row in messages[-1]]
        assert len(set(symbols)) == len(symbols) and {"BTCUSDT", "BTCUSD_PERP"} <= set(symbols)
    best = [event for stream, event in events if stream == "!bookTicker"]
    assert {row["st"] for row in best} == {1, 2} and len(best) == 15 * len({row["E"] for row in best})
    indexes = [event for stream, event in events if stream == "!assetIndex@arr"]
    assert len(indexes) == 12 and list(indexes[0][0]) == ["e", "E", "s", "i", "b", "a", "B", "A", "q", "g", "Q", "G"]


def test_a_forced_order_is_told_within_a_second_and_of_several_the_largest() -> None:
    market = market_of("btcusdt@forceOrder", "!forceOrder@arr")
    symbol = market.symbols["BTCUSDT"]
    for size in (2, 9, 4):
        market.rarity(symbol, START_NS // 1_000, [])
        assert symbol.liquidation is not None
        symbol.liquidate(symbol.liquidation._replace(qty=size * 10**11))
    told = [(stream, event) for stream, event in run(market, 201) if event["o"]["q"].startswith("9000")]
    assert [stream for stream, _ in told] == ["!forceOrder@arr", "btcusdt@forceOrder"]
    order = ["s", "S", "o", "f", "q", "p", "ap", "X", "l", "z", "T"]
    assert [list(event["o"]) for _, event in told] == [[*order, "ps", "st"], order]


def test_a_new_state_of_a_contract_is_told_once() -> None:
    market = market_of("!contractInfo", "btcusdt@trade")
    market.symbols["BTCUSDT"].be("SETTLING", listed=True)
    events = list(run(market, 600))
    ((stream, told),) = events
    assert (stream, list(told)) == ("!contractInfo", ["e", "E", "s", "ps", "ct", "dt", "ot", "cs", "st"])
    assert (told["s"], told["cs"], told["st"]) == ("BTCUSDT", "SETTLING", 1)


def test_only_a_contract_on_an_index_tells_what_it_is_made_of() -> None:
    events = list(run(market_of("defiusdt@compositeIndex", "btcusdt@compositeIndex", symbols=11), 800))
    assert {stream for stream, _ in events} == {"defiusdt@compositeIndex"} and len(events) == 4
    assert len(events[0][1]["c"]) == 10


def test_names_are_those_of_the_market() -> None:
    assert [name for name, _, _ in contract_names(USDM, 2)] == ["BTCUSDT", "ETHUSDT"]
    assert [name for name, _, _ in contract_names(COINM, 2)] == ["BTCUSD_PERP", "ETHUSD_PERP"]


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(12_345_678, 8, "0.12345678"), (-150_000_000, 2, "-1.50"), (300_000_000, 0, "3"), (100_000_000, 10, "1.0000000000"), (10, 3, "0.000")],
)  # fmt: skip
def test_values_have_the_decimals_of_the_contract(value: int, digits: int, text: str) -> None:
    assert fixed(value, digits) == text


def test_steps_tell_how_many_decimals_there_are() -> None:
    assert {step: digits_of(step) for step in (1, 10**3, 10**8, 5 * 10**6)} == {1: 8, 10**3: 5, 10**8: 0, 5 * 10**6: 2}
