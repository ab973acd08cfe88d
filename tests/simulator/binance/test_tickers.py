"""The calls that sum a symbol up: they agree with the klines and the streams, in the venue's shapes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from k2workers.simulator.binance.spot_symbol import SpotSymbol
from tests.simulator.support import collect, running

MINI = [
    "symbol", "openPrice", "highPrice", "lowPrice", "lastPrice", "volume", "quoteVolume", "openTime", "closeTime",
    "firstId", "lastId", "count",
]  # fmt: skip
FULL = [MINI[0], "priceChange", "priceChangePercent", "weightedAvgPrice", *MINI[1:]]
FULL_DAY = [
    *FULL[:4], "prevClosePrice", "lastPrice", "lastQty", "bidPrice", "bidQty", "askPrice", "askQty", "openPrice",
    "highPrice", "lowPrice", "volume", "quoteVolume", "openTime", "closeTime", "firstId", "lastId", "count",
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("ticker/24hr", FULL_DAY), ("ticker/24hr?type=MINI", MINI),
        ("ticker?windowSize=3d", FULL), ("ticker?windowSize=59m&type=MINI", MINI),
        ("ticker/tradingDay?timeZone=5:45", FULL), ("ticker/tradingDay?type=MINI", MINI),
        ("ticker/price", ["symbol", "price"]),
        ("ticker/bookTicker", ["symbol", "bidPrice", "bidQty", "askPrice", "askQty"]),
    ],
)  # fmt: skip
async def test_one_symbol_is_a_row_and_several_are_an_array_in_their_order(path: str, keys: list[str]) -> None:
    joined = "&" if "?" in path else "?"
    async with running() as client:
        row = await client.get(f"/api/v3/{path}{joined}symbol=BTCUSDT")
        assert list(row) == keys and row["symbol"] == "BTCUSDT"
        rows = await client.get(f'/api/v3/{path}{joined}symbols=["SOLUSDT","ETHUSDT"]')
        assert [row["symbol"] for row in rows] == ["SOLUSDT", "ETHUSDT"]


async def test_every_window_tells_the_same_of_a_market_that_stands_still() -> None:
    async with running() as client:
        socket = await client.connect("/ws/btcusdt@trade")
        await collect(socket, lambda events: len(events) > 300)
        await client.post("/_exchange/stop_market")
        rows = [
            await client.get(f"/api/v3/{path}symbol=BTCUSDT")
            for path in ("ticker/24hr?", "ticker?windowSize=1h&", "ticker?windowSize=7d&", "ticker?")
        ]
        for key in (
            "openPrice",
            "lastPrice",
            "volume",
            "quoteVolume",
            "firstId",
            "lastId",
            "count",
            "weightedAvgPrice",
        ):
            assert len({row[key] for row in rows}) == 1, key
        first, *_, last = rows
        assert first["count"] == first["lastId"] - first["firstId"] + 1 > 300
        assert first["closeTime"] - first["openTime"] == 86_400_000
        assert last["openTime"] % 60_000 == 0
        average = Decimal(first["quoteVolume"]) / Decimal(first["volume"])
        assert abs(Decimal(first["weightedAvgPrice"]) - average) < Decimal("0.001")
        price = await client.get("/api/v3/ticker/price?symbol=BTCUSDT")
        assert price == {"symbol": "BTCUSDT", "price": first["lastPrice"]}
        mean = await client.get("/api/v3/avgPrice?symbol=BTCUSDT")
        assert (mean["mins"], mean["price"]) == (5, first["weightedAvgPrice"])
        (trade,) = await client.get("/api/v3/trades?symbol=BTCUSDT&limit=1")
        assert mean["closeTime"] == trade["time"] and trade["price"] == first["lastPrice"]


async def test_the_trading_day_is_the_daily_bar_of_its_zone() -> None:
    async with running() as client:
        for zone in ("0", "8", "-5:30", "14"):
            row = await client.get(f"/api/v3/ticker/tradingDay?symbol=BTCUSDT&timeZone={zone}")
            (bar,) = await client.get(f"/api/v3/klines?symbol=BTCUSDT&interval=1d&timeZone={zone}&limit=1")
            assert (row["openTime"], row["closeTime"]) == (bar[0], bar[6])
            assert row["closeTime"] - row["openTime"] == 86_399_999


async def test_klines_of_any_zone_hold_the_same_trades() -> None:
    async with running() as client:
        socket = await client.connect("/ws/btcusdt@trade")
        await collect(socket, lambda events: len(events) > 100)
        await client.post("/_exchange/stop_market")
        for interval in ("1m", "15m", "4h", "1w", "1M"):
            plain = await client.get(f"/api/v3/uiKlines?symbol=BTCUSDT&interval={interval}")
            for zone in ("5:45", "-3", "0:07"):
                shifted = await client.get(f"/api/v3/klines?symbol=BTCUSDT&interval={interval}&timeZone={zone}")
                assert sum(bar[8] for bar in shifted) == sum(bar[8] for bar in plain) > 100


async def test_block_trades_are_told_by_id() -> None:
    async with running(symbols=1) as client:
        market = client.exchange.market.symbols["BTCUSDT"]
        assert isinstance(market, SpotSymbol)
        for qty in (10**8, 2 * 10**8):
            market.emit_block_trade(qty, 1_790_000_000_000_000, [])
        number = market.block_id
        (row,) = await client.get(f"/api/v3/historicalBlockTrades?symbol=BTCUSDT&fromId={number}")
        assert list(row) == ["id", "price", "qty", "quoteQty", "time", "isBuyerMaker"]
        assert (row["id"], row["qty"], row["time"]) == (number, "2.00000000", 1_790_000_000_000)
        assert (await client.get("/api/v3/historicalBlockTrades?symbol=BTCUSDT"))["code"] == -1102


async def test_the_reference_price_is_the_last_one() -> None:
    async with running() as client:
        await client.post("/_exchange/stop_market")
        price = await client.get("/api/v3/ticker/price?symbol=BTCUSDT")
        reference = await client.get("/api/v3/referencePrice?symbol=BTCUSDT")
        assert reference["referencePrice"] == price["price"] and reference["timestamp"] > 10**12
        how = await client.get("/api/v3/referencePrice/calculation?symbol=BTCUSDT")
        assert how["calculationType"] == "ARITHMETIC_MEAN"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("ticker", -1102), ("ticker/tradingDay", -1102), ("avgPrice", -1102), ("referencePrice", -1102),
        ("ticker?symbol=BTCUSDT&windowSize=60m", -1130), ("ticker?symbol=BTCUSDT&windowSize=1d2h", -1130),
        ("ticker/24hr?type=HUGE", -1139), ("ticker/tradingDay?symbol=BTCUSDT&timeZone=15", -1130),
        ("klines?symbol=BTCUSDT&interval=1d&timeZone=noon", -1130),
        ('ticker/price?symbol=BTCUSDT&symbols=["ETHUSDT"]', -1128),
        ("ticker/price?symbol=BTCUSDT&symbolStatus=HALT", -1220),
        ('ticker/24hr?symbols=["BTCUSDT","NOSUCH"]', -1121),
        ('ticker/bookTicker?symbols=["BTCUSDT","NOSUCH"]', -1121), ("ticker/bookTicker?symbol=NOSUCH", -1121),
    ],
)  # fmt: skip
async def test_wrong_parameters_get_the_venues_code(path: str, code: int) -> None:
    async with running() as client:
        assert (await client.get(f"/api/v3/{path}"))["code"] == code


async def test_more_than_a_hundred_symbols_are_too_many_for_a_window() -> None:
    async with running(symbols=101) as client:
        names: Any = ",".join(f'"{name}"' for name in client.exchange.market.symbols)
        assert (await client.get(f"/api/v3/ticker?symbols=[{names}]"))["code"] == -1101
        assert len(await client.get(f"/api/v3/ticker/price?symbols=[{names}]")) == 101
