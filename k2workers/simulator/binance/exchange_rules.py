"""Owns what the exchange says about its symbols: exchangeInfo and executionRules. All figures but tick and step are made up.

Clients read more of it than prices need: nautilus_trader refuses rate limits that it does not know, and symbols without
the flags and the greatest price and quantity; cryptofeed takes the tick from the first filter.
"""

from __future__ import annotations

import json
import time
from typing import Any

from k2workers.simulator.binance.payloads import SCALE, decimal
from k2workers.simulator.binance.query import ApiError, Query, Source, chosen
from k2workers.simulator.binance.symbol_market import SymbolMarket

PERMISSIONS = ("SPOT", "MARGIN")
_GREATEST_QTY = 9_000_000 * SCALE
_MOST_TICKS = 100_000_000
"""The greatest price, in ticks: prices start at some 1,000 to 6,000,000 of them."""


def exchange_info(source: Source, query: Query) -> Any:
    """GET /api/v3/exchangeInfo."""
    named = query.text("symbol") is not None or query.text("symbols") is not None
    wanted = query.text("permissions")
    if named and (wanted is not None or query.text("symbolStatus") is not None):
        raise ApiError(-1128, "Combination of optional parameters invalid.")
    allowed = set(PERMISSIONS if wanted is None else _permissions(wanted))
    markets = chosen(source.symbols, query) if named or allowed & set(PERMISSIONS) else []
    sets = [] if query.text("showPermissionSets") == "false" else [list(PERMISSIONS)]
    return {
        "timezone": "UTC",
        "serverTime": time.time_ns() // 1000 // query.unit,
        "rateLimits": [
            rate_limit("REQUEST_WEIGHT", "MINUTE", 1, source.weight_limit()),
            rate_limit("ORDERS", "SECOND", 10, 100),
            rate_limit("ORDERS", "DAY", 1, 200_000),
            rate_limit("RAW_REQUESTS", "MINUTE", 5, 300_000),
        ],
        "exchangeFilters": [],
        "symbols": [_symbol_info(market, sets) for market in markets],
    }


def _permissions(text: str) -> list[str]:
    """One name, or a JSON array of them."""
    if not text.startswith("["):
        return [text]
    try:
        names = json.loads(text)
    except ValueError:
        names = None
    if not isinstance(names, list):
        raise ApiError(-1100, "Illegal characters found in parameter 'permissions'.")
    return [str(name) for name in names]


def rate_limit(kind: str, interval: str, number: int, limit: int) -> dict[str, Any]:
    """A row of ``rateLimits``."""
    return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}


def _symbol_info(market: SymbolMarket, permission_sets: list[list[str]]) -> dict[str, Any]:
    return {
        "symbol": market.symbol,
        "status": market.status,
        "baseAsset": market.base,
        "baseAssetPrecision": 8,
        "quoteAsset": market.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": [
            "LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT",
        ],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True,
        "filters": _filters(market),
        "permissions": [],
        "permissionSets": permission_sets,
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT", "TRANSFER"],
    }  # fmt: skip


def _filters(market: SymbolMarket) -> list[dict[str, Any]]:
    step, most = decimal(market.step), decimal(_GREATEST_QTY // market.step * market.step)
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": decimal(market.tick),
            "maxPrice": decimal(market.tick * _MOST_TICKS),
            "tickSize": decimal(market.tick),
        },
        {"filterType": "LOT_SIZE", "minQty": step, "maxQty": most, "stepSize": step},
        {"filterType": "ICEBERG_PARTS", "limit": 100},
        {"filterType": "MARKET_LOT_SIZE", "minQty": decimal(0), "maxQty": most, "stepSize": decimal(0)},
        {
            "filterType": "TRAILING_DELTA",
            "minTrailingAboveDelta": 10,
            "maxTrailingAboveDelta": 2000,
            "minTrailingBelowDelta": 10,
            "maxTrailingBelowDelta": 2000,
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": "5",
            "bidMultiplierDown": "0.2",
            "askMultiplierUp": "5",
            "askMultiplierDown": "0.2",
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": decimal(5 * SCALE),
            "applyMinToMarket": True,
            "maxNotional": decimal(9_000_000 * SCALE),
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
        {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": 10},
    ]


def execution_rules(source: Source, query: Query) -> Any:
    """GET /api/v3/executionRules."""
    up, down = "1.1500", "0.8500"
    rule = {
        "ruleType": "PRICE_RANGE",
        "bidLimitMultUp": up,
        "bidLimitMultDown": down,
        "askLimitMultUp": up,
        "askLimitMultDown": down,
    }
    markets = chosen(source.symbols, query)
    return {"symbolRules": [{"symbol": market.symbol, "rules": [rule]} for market in markets]}
