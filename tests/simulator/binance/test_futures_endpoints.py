"""Futures REST: shapes, weights, refusals, and that it says what the streams do."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.simulator.support import Client, collect, running

S = "symbol=BTCUSDT"
BARS = [int, str, str, str, str, str, int, str, int, str, str, str]
TRADE = ["id", "price", "qty", "quoteQty", "time", "isBuyerMaker", "isRPITrade"]
DAY = [
    "symbol",
    "priceChange",
    "priceChangePercent",
    "weightedAvgPrice",
    "lastPrice",
    "lastQty",
    "openPrice",
    "highPrice",
    "lowPrice",
    "volume",
    "quoteVolume",
    "openTime",
    "closeTime",
    "firstId",
    "lastId",
    "count",
]
PREMIUM = [
    "symbol",
    "markPrice",
    "indexPrice",
    "estimatedSettlePrice",
    "lastFundingRate",
    "interestRate",
    "nextFundingTime",
    "time",
]

SHAPES = [
    ("ping", 1, []),
    ("time", 1, ["serverTime"]),
    (f"depth?{S}&limit=50", 2, ["lastUpdateId", "E", "T", "bids", "asks"]),
    (f"depth?{S}&limit=100", 5, ["lastUpdateId", "E", "T", "bids", "asks"]),
    (f"depth?{S}", 10, ["lastUpdateId", "E", "T", "bids", "asks"]),
    (f"depth?{S}&limit=1000", 20, ["lastUpdateId", "E", "T", "bids", "asks"]),
    (f"trades?{S}", 5, TRADE),
    (f"aggTrades?{S}", 20, ["a", "p", "q", "nq", "f", "l", "T", "m"]),
    (f"klines?{S}&interval=1m&limit=99", 1, BARS),
    (f"klines?{S}&interval=1m&limit=499", 2, BARS),
    (f"klines?{S}&interval=1m", 5, BARS),
    (f"klines?{S}&interval=1m&limit=1500", 10, BARS),
    ("continuousKlines?pair=BTCUSDT&contractType=PERPETUAL&interval=1m&limit=1", 1, BARS),
    (f"ticker/24hr?{S}", 1, DAY),
    ("ticker/24hr", 40, DAY),
    (f"ticker/price?{S}", 1, ["symbol", "price", "time"]),
    ("ticker/price", 2, ["symbol", "price", "time"]),
    (f"ticker/bookTicker?{S}", 2, ["symbol", "bidPrice", "bidQty", "askPrice", "askQty", "time"]),
    ("ticker/bookTicker", 5, ["symbol", "bidPrice", "bidQty", "askPrice", "askQty", "time"]),
    (f"premiumIndex?{S}", 1, PREMIUM),
    ("premiumIndex", 10, PREMIUM),
    (f"fundingRate?{S}", 0, ["symbol", "fundingTime", "fundingRate", "markPrice"]),
    ("fundingRate", 0, ["symbol", "fundingTime", "fundingRate", "markPrice"]),
    (
        "fundingInfo",
        0,
        ["symbol", "adjustedFundingRateCap", "adjustedFundingRateFloor", "fundingIntervalHours", "disclaimer"],
    ),
    (f"constituents?{S}", 2, ["symbol", "time", "constituents"]),
    (f"openInterest?{S}", 1, ["symbol", "openInterest", "time"]),
]


async def traded(client: Client) -> list[Any]:
    """Trades that were told."""
    socket = await client.connect("/public/ws/btcusdt@trade")
    return await collect(socket, lambda events: len(events) > 20)


async def test_replies_have_the_documented_keys_and_weights() -> None:
    async with running("binance_usdm") as client:
        await traded(client)
        for path, weight, keys in SHAPES:
            before = client.exchange.rest_log.used_weight
            reply = await client.get(f"/fapi/v1/{path}")
            row = reply[0] if isinstance(reply, list) else reply
            found = [type(value) for value in row] if keys is BARS else list(row)
            assert found == keys, path
            assert client.exchange.rest_log.used_weight - before == weight, path


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"historicalTrades?{S}", 401, -2014),
        ("depth?symbol=NOSUCH", 400, -1121),
        (f"depth?{S}&limit=25", 400, -4021),
        (f"trades?{S}&limit=1001", 400, -1130),
        (f"aggTrades?{S}&fromId=1&startTime=1", 400, -1128),
        (f"aggTrades?{S}&startTime=1&endTime=3600002", 400, -1127),
        (f"klines?{S}&interval=1s", 400, -1120),
        ("continuousKlines?pair=BTCUSDT&contractType=NEXT_QUARTER&interval=1m", 400, -1121),
        ("klines?interval=1m", 400, -1102),
        (f"depth?{S}&limit=x", 400, -1100),
    ],
)
async def test_what_is_wrong_is_refused_in_the_venues_words(path: str, status: int, code: int) -> None:
    async with running("binance_usdm", rate=10.0) as client:
        async with client.session.get(f"http://127.0.0.1:{client.port}/fapi/v1/{path}") as reply:
            assert (reply.status, (await reply.json())["code"]) == (status, code)
        async with client.session.get(f"http://127.0.0.1:{client.port}/api/v3/time") as reply:
            assert reply.status == 404


async def test_trades_by_id_want_a_key_and_lack_what_was_never_told() -> None:
    async with running("binance_usdm", unseen_trades=0.1) as client:
        events = await traded(client)
        first, last = events[0]["t"], events[-1]["t"]
        path = f"http://127.0.0.1:{client.port}/fapi/v1/historicalTrades?{S}&fromId={first}&limit=500"
        async with client.session.get(path, headers={"X-MBX-APIKEY": "any"}) as reply:
            rows = [row for row in await reply.json() if row["id"] <= last]
        assert [row["id"] for row in rows] == [event["t"] for event in events]
        assert [(row["price"], row["qty"], row["time"]) for row in rows] == [(e["p"], e["q"], e["T"]) for e in events]


async def test_aggregates_are_found_by_id_and_by_time() -> None:
    async with running("binance_usdm") as client:
        socket = await client.connect("/market/ws/btcusdt@aggTrade")
        events = await collect(socket, lambda events: len(events) > 20)
        first = events[3]
        rows = await client.get(f"/fapi/v1/aggTrades?{S}&fromId={first['a']}&limit=5")
        keys = ["a", "p", "q", "nq", "f", "l", "T", "m"]
        assert rows == [{key: event[key] for key in keys} for event in events[3:8]]
        (row, *_) = await client.get(f"/fapi/v1/aggTrades?{S}&startTime={first['T']}&endTime={first['T'] + 1_000}")
        assert row["T"] >= first["T"] and row["a"] <= first["a"]


async def test_the_book_over_rest_continues_in_the_stream() -> None:
    async with running("binance_usdm") as client:
        socket = await client.connect("/public/ws/ethusdt@depth@100ms")
        await collect(socket, lambda events: len(events) > 2)
        book = await client.get("/fapi/v1/depth?symbol=ETHUSDT&limit=1000")
        last = book["lastUpdateId"]
        events = await collect(socket, lambda events: bool(events) and events[-1]["u"] > last)
        (following,) = [event for event in events if event["u"] > last]
        assert following["pu"] <= last and (following["U"] <= last or following["pu"] == last)
        for side, sign in (("bids", -1), ("asks", 1)):
            prices = [float(price) for price, _ in book[side]]
            assert prices == sorted(prices, key=lambda price: sign * price) and len(prices) > 40


async def test_the_list_of_contracts_has_what_clients_read() -> None:
    async with running("binance_usdm", symbols=11) as client:
        info = await client.get("/fapi/v1/exchangeInfo")
        assert info["rateLimits"][0]["limit"] == 2_400 and info["futuresType"] == "U_MARGINED"
        rows = {row["symbol"]: row for row in info["symbols"]}
        first = rows["BTCUSDT"]
        assert (first["pair"], first["contractType"], first["status"], first["marginAsset"]) == (
            "BTCUSDT",
            "PERPETUAL",
            "TRADING",
            "USDT",
        )
        assert first["deliveryDate"] > time.time() * 1_000
        filters = {row["filterType"]: row for row in first["filters"]}
        assert filters["PRICE_FILTER"]["tickSize"] == "0.01" and filters["LOT_SIZE"]["stepSize"] == "0.00001"
        assert rows["DEFIUSDT"]["underlyingType"] == "INDEX" and len(rows) == 11


async def test_a_contract_that_does_not_trade_says_so() -> None:
    async with running("binance_usdm", faults=("status:symbol=ETHUSDT", "delist:symbol=SOLUSDT")) as client:
        rows = {row["symbol"]: row["status"] for row in (await client.get("/fapi/v1/exchangeInfo"))["symbols"]}
        assert rows == {"BTCUSDT": "TRADING", "ETHUSDT": "SETTLING"}
        assert {row["symbol"] for row in await client.get("/fapi/v1/fundingInfo")} == set(rows)
