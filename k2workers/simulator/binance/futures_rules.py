"""Owns what futures exchangeInfo says. All figures but tick and step are made up; keys are the documents'."""

from __future__ import annotations

import time
from typing import Any

from k2workers.simulator.binance.contracts import FAR_US, type_of
from k2workers.simulator.binance.exchange_rules import rate_limit
from k2workers.simulator.binance.futures_market import INDEX, ONBOARD_US
from k2workers.simulator.binance.futures_query import FuturesQuery
from k2workers.simulator.binance.futures_replies import FuturesSource
from k2workers.simulator.binance.futures_symbol import FuturesSymbol

_MOST_TICKS = 100_000_000
_MOST_STEPS = 1_000_000_000


def exchange_info(source: FuturesSource, query: FuturesQuery) -> Any:
    """Takes no parameters."""
    markets = [market for market in source.symbols.values() if market.listed]
    inverse = any(market.contracts.inverse for market in markets)
    return {
        "timezone": "UTC",
        "serverTime": time.time_ns() // 1000 // query.unit,
        **({} if inverse else {"futuresType": "U_MARGINED"}),
        "rateLimits": [
            rate_limit("REQUEST_WEIGHT", "MINUTE", 1, source.weight_limit()),
            rate_limit("ORDERS", "MINUTE", 1, 1200),
            rate_limit("ORDERS", "SECOND", 10, 300),
        ],
        "exchangeFilters": [],
        **({} if inverse else {"assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}]}),
        "symbols": [_symbol_info(market) for market in markets],
    }


def _symbol_info(market: FuturesSymbol) -> dict[str, Any]:
    contracts, texts = market.contracts, market.texts
    status = "contractStatus" if contracts.inverse else "status"
    return {
        "symbol": market.symbol,
        "pair": market.pair,
        "contractType": type_of(market.symbol),
        "deliveryDate": FAR_US // 1000,
        "onboardDate": ONBOARD_US // 1000,
        status: market.status,
        **({"contractSize": contracts.size(market.base)} if contracts.inverse else {}),
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": market.base,
        "quoteAsset": market.quote,
        "marginAsset": contracts.margin(market.base),
        "pricePrecision": texts.price_digits,
        "quantityPrecision": texts.qty_digits,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "INDEX" if market.base == INDEX else "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.015000",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10_000,
        "filters": _filters(market),
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "permissionSets": ["GRID", "COPY"],
    }  # fmt: skip


def _filters(market: FuturesSymbol) -> list[dict[str, Any]]:
    texts = market.texts
    tick, step = texts.price(market.tick), texts.quantity(market.step)
    most = texts.quantity(market.step * _MOST_STEPS)
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": texts.price(market.tick * _MOST_TICKS), "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": step, "maxQty": most, "stepSize": step},
        {"filterType": "MARKET_LOT_SIZE", "minQty": step, "maxQty": most, "stepSize": step},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500", "multiplierDown": "0.9500", "multiplierDecimal": "4"},
    ]  # fmt: skip
