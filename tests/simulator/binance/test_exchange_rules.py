"""exchangeInfo and executionRules: what other people's clients read of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.support import running

FLAGS = {
    "icebergAllowed", "ocoAllowed", "otoAllowed", "opoAllowed", "quoteOrderQtyMarketAllowed", "allowTrailingStop",
    "cancelReplaceAllowed", "amendAllowed", "pegInstructionsAllowed", "isSpotTradingAllowed", "isMarginTradingAllowed",
}  # fmt: skip
PRECISIONS = {
    "baseAssetPrecision", "quotePrecision", "quoteAssetPrecision", "baseCommissionPrecision", "quoteCommissionPrecision",
}  # fmt: skip


async def test_rate_limits_are_of_the_kinds_that_clients_know() -> None:
    async with running(weight_per_minute=1200) as client:
        limits = (await client.get("/api/v3/exchangeInfo"))["rateLimits"]
        assert [limit["rateLimitType"] for limit in limits] == ["REQUEST_WEIGHT", "ORDERS", "ORDERS", "RAW_REQUESTS"]
        assert {limit["interval"] for limit in limits} <= {"SECOND", "MINUTE", "DAY"}
        assert limits[0]["limit"] == 1200


async def test_a_symbol_has_every_flag_and_filter_of_the_venue() -> None:
    async with running(symbols=40) as client:
        for symbol in (await client.get("/api/v3/exchangeInfo"))["symbols"]:
            assert {key for key, value in symbol.items() if isinstance(value, bool)} == FLAGS
            assert {key for key in symbol if key.endswith("Precision")} == PRECISIONS
            assert symbol["defaultSelfTradePreventionMode"] in symbol["allowedSelfTradePreventionModes"]
            first, lot = symbol["filters"][:2]
            assert first["filterType"] == "PRICE_FILTER", "cryptofeed takes the tick from the first filter"
            kinds = {each["filterType"]: each for each in symbol["filters"]}
            assert kinds.keys() >= {
                "LOT_SIZE", "MARKET_LOT_SIZE", "NOTIONAL", "ICEBERG_PARTS", "PERCENT_PRICE_BY_SIDE", "TRAILING_DELTA",
                "MAX_NUM_ORDERS", "MAX_NUM_ALGO_ORDERS",
            }  # fmt: skip
            price = float((await client.get(f"/api/v3/ticker/price?symbol={symbol['symbol']}"))["price"])
            assert float(first["minPrice"]) < price < float(first["maxPrice"]) < 2**32
            assert float(lot["minQty"]) < float(lot["maxQty"])


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("", ["BTCUSDT", "ETHUSDT", "SOLUSDT"]),
        ("?symbol=ETHUSDT", ["ETHUSDT"]),
        ('?symbols=["SOLUSDT","BTCUSDT"]', ["SOLUSDT", "BTCUSDT"]),
        ("?permissions=SPOT", ["BTCUSDT", "ETHUSDT", "SOLUSDT"]),
        ('?permissions=["LEVERAGED","MARGIN"]', ["BTCUSDT", "ETHUSDT", "SOLUSDT"]),
        ("?permissions=LEVERAGED", []),
        ("?symbolStatus=TRADING", ["BTCUSDT", "ETHUSDT", "SOLUSDT"]),
        ("?symbolStatus=BREAK", []),
    ],
)
async def test_symbols_are_chosen_as_the_venue_does(asked: str, names: list[str]) -> None:
    async with running() as client:
        info = await client.get(f"/api/v3/exchangeInfo{asked}")
        assert [symbol["symbol"] for symbol in info["symbols"]] == names


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("symbol=NOSUCHUSDT", -1121),
        ('symbols=["BTCUSDT","NOSUCHUSDT"]', -1121),
        ('symbols=["BTCUSDT","A@BUSDT"]', -1100),
        ("symbol=btcusdt", -1100),
        ("symbols=[]", -1105),
        ("symbols=BTCUSDT", -1100),
        ("permissions=[SPOT", -1100),
        ("symbolStatus=ASLEEP", -1122),
        ('symbol=BTCUSDT&symbols=["BTCUSDT"]', -1128),
        ("symbol=BTCUSDT&permissions=SPOT", -1128),
        ("symbol=BTCUSDT&symbolStatus=TRADING", -1128),
    ],
)
async def test_one_wrong_name_or_combination_refuses_the_whole(asked: str, code: int) -> None:
    async with running() as client:
        answer: Any = await client.get(f"/api/v3/exchangeInfo?{asked}")
        assert answer["code"] == code


async def test_permission_sets_can_be_left_out() -> None:
    async with running(symbols=1) as client:
        (with_sets,) = (await client.get("/api/v3/exchangeInfo"))["symbols"]
        (without,) = (await client.get("/api/v3/exchangeInfo?showPermissionSets=false"))["symbols"]
        assert with_sets["permissionSets"] == [["SPOT", "MARGIN"]] and without["permissionSets"] == []


async def test_execution_rules_are_told_for_those_asked() -> None:
    async with running() as client:
        rules = await client.get("/api/v3/executionRules?symbol=BTCUSDT")
        assert [each["symbol"] for each in rules["symbolRules"]] == ["BTCUSDT"]
        assert rules["symbolRules"][0]["rules"][0]["ruleType"] == "PRICE_RANGE"
        assert len((await client.get("/api/v3/executionRules"))["symbolRules"]) == 3
