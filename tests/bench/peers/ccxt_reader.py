"""ccxt pro: unified trades from ``watch_trades_for_symbols``, awaited again and again as its manual shows.

As fast as its documentation has it: orjson, uvloop, ``newUpdates`` (each trade once). Its cache of trades holds as many as there
are: with its default of 1,000 a symbol it overwrites trades that were not yet delivered. Each call gives the new trades of one
symbol; those of a symbol that was passed over wait for its next trade. At the end there is none: the rest is taken from its cache.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import ccxt.pro
import uvloop
from meter import CHANNELS, PeerMeter, asked

ASKED = asked()
METER = PeerMeter(ASKED)
NAMES = [f"{symbol.removesuffix('USDT')}/USDT" for symbol in ASKED.symbols]
LOOK_S = 0.01
"""How often to look whether only the rest is left."""


async def main() -> None:
    """Read until the meter ends the process."""
    exchange = ccxt.pro.binance(
        {
            "newUpdates": True,
            "options": {"tradesLimit": ASKED.events},
            **({"cafile": ASKED.ca_bundle} if ASKED.ca_bundle else {}),
        }
    )
    exchange.urls["api"]["ws"]["spot"] = f"{ASKED.base_url}/ws"
    exchange.set_markets([_market(exchange, symbol) for symbol in ASKED.symbols])  # it would ask the exchange
    delivered: Counter[str] = Counter()

    def take(trades: list[dict[str, object]]) -> None:
        delivered[str(trades[0]["symbol"])] += len(trades)
        if METER.count(len(trades)):
            METER.finish(int(exchange.trades[NAMES[(ASKED.events - 1) % len(NAMES)]][-1]["id"]))

    async def take_the_rest() -> None:
        while sum(map(len, exchange.trades.values())) < ASKED.events:
            await asyncio.sleep(LOOK_S)
        for name in NAMES:
            if rest := exchange.trades[name][delivered[name] :]:
                take(rest)

    rest = asyncio.create_task(take_the_rest())
    while not rest.done():
        take(await exchange.watch_trades_for_symbols(NAMES, params={"name": CHANNELS[ASKED.kind]}))
    await rest


def _market(exchange: ccxt.pro.binance, symbol: str) -> dict[str, object]:
    base = symbol.removesuffix("USDT")
    market: dict[str, object] = exchange.safe_market_structure(
        {
            "id": symbol, "lowercaseId": symbol.lower(), "symbol": f"{base}/USDT", "base": base, "quote": "USDT",
            "baseId": base, "quoteId": "USDT", "type": "spot", "spot": True, "contract": False, "active": True,
            "precision": {"price": 0.01, "amount": 0.00001},
        }
    )  # fmt: skip
    return market


if __name__ == "__main__":
    uvloop.run(main())
