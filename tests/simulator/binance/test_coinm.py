"""The stand-in for COIN-M futures: names, contracts as quantities, and streams on whichever route."""

from __future__ import annotations

import pytest

from k2workers.simulator.binance.contracts import COINM, USDM, asset_of, contracts_of, pair_of, type_of
from tests.simulator.support import ask, collect, running


@pytest.mark.parametrize(
    ("symbol", "asset", "pair", "kind", "contracts"),
    [
        ("BTCUSDT", "BTC", "BTCUSDT", "PERPETUAL", USDM), ("BTCUSD_PERP", "BTC", "BTCUSD", "PERPETUAL", COINM),
        ("BTCUSD_261225", "BTC", "BTCUSD", "CURRENT_QUARTER", COINM), ("ETHUSDT_261225", "ETH", "ETHUSDT", "CURRENT_QUARTER", USDM),
        ("ETHBTC", "ETHBTC", "ETHBTC", "PERPETUAL", USDM), ("BTCUSDC", "BTC", "BTCUSDC", "PERPETUAL", USDM),
    ],
)  # fmt: skip
def test_names_of_contracts(symbol: str, asset: str, pair: str, kind: str, contracts: object) -> None:
    assert (asset_of(symbol), pair_of(symbol), type_of(symbol), contracts_of(symbol)) == (asset, pair, kind, contracts)


@pytest.mark.parametrize("path", ["/ws", "/market/ws", "/public/ws"])
async def test_every_stream_comes_on_every_route(path: str) -> None:
    async with running("binance_coinm") as client:
        socket = await client.connect(path)
        names = ["btcusd_perp@aggTrade", "btcusd_perp@bookTicker", "btcusd_perp@depth@100ms"]
        assert (await ask(socket, {"method": "SUBSCRIBE", "params": names, "id": 1}))["result"] is None
        await collect(
            socket, lambda events: {event["e"] for event in events} == {"aggTrade", "bookTicker", "depthUpdate"}
        )


async def test_quantities_are_contracts_and_are_worth_coin() -> None:
    async with running("binance_coinm") as client:
        socket = await client.connect("/ws/btcusd_perp@aggTrade")
        events = await collect(socket, lambda events: len(events) > 10)
        assert all(event["q"].isdecimal() for event in events)
        (row,) = await client.get("/dapi/v1/trades?symbol=BTCUSD_PERP&limit=1")
        assert abs(float(row["baseQty"]) - 100 * int(row["qty"]) / float(row["price"])) < 1e-7
        (day,) = await client.get("/dapi/v1/ticker/24hr?symbol=BTCUSD_PERP")
        assert (day["pair"], day["volume"].isdecimal()) == ("BTCUSD", True)
        assert abs(float(day["weightedAvgPrice"]) - 100 * int(day["volume"]) / float(day["baseVolume"])) < 1
        (price,) = await client.get("/dapi/v1/ticker/price?symbol=BTCUSD_PERP")
        assert list(price) == ["symbol", "ps", "price", "time"]
        interest = await client.get("/dapi/v1/openInterest?symbol=BTCUSD_PERP")
        assert interest["contractType"] == "PERPETUAL"


async def test_the_list_of_contracts_has_the_words_of_this_market() -> None:
    async with running("binance_coinm", symbols=2) as client:
        info = await client.get("/dapi/v1/exchangeInfo")
        rows = {row["symbol"]: row for row in info["symbols"]}
        assert {name: row["contractSize"] for name, row in rows.items()} == {"BTCUSD_PERP": 100, "ETHUSD_PERP": 10}
        first = rows["BTCUSD_PERP"]
        assert (first["contractStatus"], first["marginAsset"], first["quoteAsset"]) == ("TRADING", "BTC", "USD")
        book = await client.get("/dapi/v1/depth?symbol=BTCUSD_PERP&limit=5")
        assert list(book) == ["lastUpdateId", "symbol", "pair", "E", "T", "bids", "asks"]
