"""What the exchange remembers is bounded by count and by age, whatever happens for however long."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from functools import cache
from itertools import count
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from k2workers.simulator import SimulatorSettings
from k2workers.simulator.address_limits import PerAddress
from k2workers.simulator.binance import first_look, payloads, replay_market
from k2workers.simulator.binance.bars import INTERVALS, KEPT_US, SECOND, Bars
from k2workers.simulator.binance.market import Market
from k2workers.simulator.binance.symbol_market import SymbolMarket
from k2workers.simulator.fault_set import FaultSet
from k2workers.simulator.hub import MOST_RANGES, Hub, Truth
from k2workers.simulator.stand_in import Emission
from tests.simulator.support import collect, running

START_NS = 1_790_000_000_500_000_000
TICK_NS = 50_000_000
HISTORY, AGE_S = 400, 6


@cache
def lived(seconds: int) -> Market:
    """A market of eight symbols, after so many seconds and some 4,000 events in each."""
    market = Market(8, 4000.0, 1, START_NS, set(), HISTORY, AGE_S)
    for tick in range(seconds * 1_000_000_000 // TICK_NS):
        market.advance(START_NS + tick * TICK_NS)
    return market


def rows_of(market: SymbolMarket) -> list[tuple[list[Any], int]]:
    return [(market.trades, 3), (market.aggs, 5), (market.blocks, 3)]


def test_trades_are_kept_by_count_and_by_age() -> None:
    market = lived(60)
    now_us = (START_NS + 60_000_000_000) // 1000
    for symbol in market.symbols.values():
        for rows, field in rows_of(symbol):
            assert len(rows) <= HISTORY * 9 // 8
            assert all(row[field] > now_us - (AGE_S * 9 // 8 + 1) * SECOND for row in rows[:1])
            assert rows == sorted(rows, key=itemgetter(0))
    busiest, *_, quietest = market.symbols.values()
    assert len(busiest.trades) >= HISTORY and len(busiest.aggs) >= HISTORY, "the count is what bounds the busiest"
    assert 0 < len(quietest.aggs) < HISTORY, "the age is what bounds the quietest"
    assert quietest.trades[0][3] < now_us - (AGE_S - 1) * SECOND


def test_a_book_does_not_grow_with_time() -> None:
    assert max(len(side) for symbol in lived(60).symbols.values() for side in (symbol.bids, symbol.asks)) < 200


def test_closed_bars_are_kept_for_eight_days_and_a_thousand_at_most() -> None:
    bars = Bars(START_NS // 1000, 1)
    for series in (bars.seconds, *bars.series.values()):
        most = series.closed.maxlen
        assert most is not None and most <= (1500 if series.interval == "1m" else 1000)
        assert most == 2 or most * INTERVALS[series.interval] <= KEPT_US
    last_us = START_NS // 1000 + 4000 * SECOND
    while bars.live.end_us <= last_us:
        bars.close_second(lambda _series, _bar: None)
    kept = bars.rows("1s")
    assert len(kept) == 1001 and kept[0].open_us >= last_us - 1001 * SECOND


def test_what_nobody_hears_is_remembered_as_ranges() -> None:
    truth = Truth("trade", chained=True)
    truth.count(1, 1)
    for number in range(2, 50_000):
        truth.miss(number, number)
    truth.count(50_000, 50_000)
    assert (truth.emitted, truth.ranges, truth.ranges_forgotten) == (50_000, [[1, 50_000]], 0)


def test_a_chain_that_always_breaks_is_counted_whole_though_its_oldest_ranges_are_forgotten() -> None:
    truth = Truth("trade", chained=True)
    for number in range(0, 6 * MOST_RANGES, 2):
        truth.count(number, number)
    for number in range(6 * MOST_RANGES, 12 * MOST_RANGES, 2):
        truth.miss(number, number)
    truth.count(10**9, 10**9)
    assert truth.emitted == 6 * MOST_RANGES + 1
    assert len(truth.ranges) == MOST_RANGES and truth.ranges[-1] == [10**9, 10**9]
    assert truth.as_json()["ranges_forgotten"] == truth.emitted - MOST_RANGES


def recorded(path: Path, names: Sequence[str], rows: int) -> str:
    """So many trades, aggregate and block trades of each symbol."""
    lines = []
    for number in range(1, rows + 1):
        at_us = START_NS // 1000 + number * 1_000
        for name in names:
            texts = {
                "trade": payloads.trade(name, number, 7, 7, at_us, at_us, True, 1000),
                "aggTrade": payloads.agg_trade(name, (number, 7, 7, number, number, at_us, True), at_us, 1000),
                "blockTrade": payloads.block_trade(name, number, 7, 7, at_us, True, 1000),
            }
            lines += [
                f'{at_us}000 {{"stream":"{name.lower()}@{kind}","data":{text}}}\n' for kind, text in texts.items()
            ]
    path.write_bytes(gzip.compress("".join(lines).encode()))
    return str(path)


def test_a_replay_remembers_so_many_rows_of_all_symbols_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_look, "LINES", 10)
    monkeypatch.setattr(first_look, "MIN_LINES", 10)
    monkeypatch.setattr(replay_market, "HISTORY", 400)
    files = recorded(tmp_path / "a.gz", ["AAAUSDT"], 500), recorded(tmp_path / "b.gz", ["BBBUSDT", "CCCUSDT"], 300)
    market = replay_market.ReplayMarket(files, 0.0, set(), 0.0)
    market.subscribed(0)
    most = 0
    for now_ns in count(1):
        market.advance(now_ns)
        held = [[len(rows) for rows, _ in rows_of(symbol)] for symbol in market.symbols.values()]
        most = max(most, *map(sum, zip(*held, strict=True)))
        if market.finished:
            break
    assert 400 <= most <= 450
    for symbol in market.symbols.values():
        for rows, _ in rows_of(symbol):
            newest = 500 if symbol.symbol == "AAAUSDT" else 300
            assert 133 <= len(rows) <= 149 and [row[0] for row in rows] == list(
                range(newest - len(rows) + 1, newest + 1)
            )


class Listener:
    """A connection that takes everything and keeps nothing."""

    form, open = (1000, True), True

    def __init__(self) -> None:
        self.pending: list[bytes] = []
        self.delayed: list[bytes] = []
        self.muted: str | None = None

    def flush(self) -> None:
        self.pending.clear()


def test_any_number_of_names_and_connections_leaves_nothing_behind() -> None:
    faults = FaultSet(1)
    hub = Hub(faults, SimulatorSettings().stand_in(faults))
    hub.subscribe(Listener(), ["real@trade"])
    hub.deliver([Emission("real@trade", 1, 1, lambda _: "{}")])
    for number in range(5_000):
        listener = Listener()
        names = [f"made-up-{number}", "real@trade"]
        hub.subscribe(listener, names)
        hub.unsubscribe(listener, names)
    assert hub.wanted == {"real@trade"} == set(hub._subscribers)
    assert len(hub._subscribers["real@trade"]) == 1


def test_addresses_not_seen_for_longest_are_forgotten() -> None:
    limits = PerAddress(list[int], most=3)
    for address in ("a", "b", "c"):
        limits.of(address).append(1)
    limits.of("a")
    limits.of("d")
    assert len(limits) == 3
    assert limits.of("a") == [1] and limits.of("b") == []


async def test_the_status_tells_what_is_remembered_and_the_bounds() -> None:
    async with running(history=400, history_s=30.0) as client:
        socket = await client.connect("/ws/btcusdt@trade/btcusdt@kline_1s")
        await collect(socket, lambda events: len(events) > 100 and events[-1]["e"] == "kline")
        memory = (await client.get("/_exchange/status"))["memory"]
        assert memory["rows_per_symbol_at_most"] == 450 and memory["row_age_s_at_most"] == 34
        assert memory["rows_of_a_kind_at_most"] == 3 * 450
        assert memory["trades"] > 50 and memory["agg_trades"] > 10 and memory["bars"] > 0 and memory["ranges"] == 1


async def test_the_status_of_a_replay_tells_its_own_bounds(tmp_path: Path) -> None:
    async with running(replay=(recorded(tmp_path / "a.gz", ["AAAUSDT", "BBBUSDT"], 3),)) as client:
        memory = (await client.get("/_exchange/status"))["memory"]
        assert memory["rows_of_a_kind_at_most"] == replay_market.HISTORY * 9 // 8
        assert memory["rows_per_symbol_at_most"] == replay_market.HISTORY // 2 * 9 // 8
        assert memory["row_age_s_at_most"] == 24 * 3600 * 9 // 8 + 1
