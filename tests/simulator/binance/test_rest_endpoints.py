"""REST over real sockets: replies that agree with the streams, weights, limits and error bodies."""

from __future__ import annotations

import json
import ssl
from typing import Any

import aiohttp
import pytest
import trustme

from k2workers.errors import ConfigError
from k2workers.simulator import Exchange, SimulatorSettings
from k2workers.simulator.binance import rest_endpoints
from k2workers.venues.binance.weights import SPOT_WEIGHTS
from tests.simulator.support import Client, collect, running


async def test_rest_trades_are_the_trades_of_the_stream() -> None:
    async with running() as client:
        socket = await client.connect("/ws/btcusdt@trade/btcusdt@aggTrade")
        events = await collect(socket, lambda events: len(events) > 300)
        for kind, path, key in (("trade", "historicalTrades", "id"), ("aggTrade", "aggTrades", "a")):
            seen = [event for event in events if event["e"] == kind]
            first = seen[0]["t" if kind == "trade" else "a"]
            rows = await client.get(f"/api/v3/{path}?symbol=BTCUSDT&fromId={first}&limit={len(seen)}")
            assert [row[key] for row in rows] == list(range(first, first + len(seen)))
            for row, event in zip(rows, seen, strict=True):
                price, maker, at = ("price", "isBuyerMaker", "time") if kind == "trade" else ("p", "m", "T")
                assert (row[price], row[maker], row[at]) == (event["p"], event["m"], event["T"])
        latest = await client.get("/api/v3/trades?symbol=BTCUSDT&limit=5")
        assert len(latest) == 5 and latest[-1]["id"] >= rows[-1]["l"]


async def test_a_book_from_snapshot_and_diffs_is_the_rest_book() -> None:
    async with running(rate=3000.0) as client:
        socket = await client.connect("/ws/btcusdt@depth@100ms")
        events = await collect(socket, lambda events: len(events) > 2)
        snapshot = await client.get("/api/v3/depth?symbol=BTCUSDT&limit=5000")
        book: dict[str, dict[str, str]] = {"b": dict(snapshot["bids"]), "a": dict(snapshot["asks"])}
        await client.post("/_exchange/stop_market")
        final = await client.get("/api/v3/depth?symbol=BTCUSDT&limit=5000")
        if events[-1]["u"] < final["lastUpdateId"]:
            events += await collect(socket, lambda more: bool(more) and more[-1]["u"] == final["lastUpdateId"])
        last = snapshot["lastUpdateId"]
        for event in (event for event in events if event["u"] > snapshot["lastUpdateId"]):
            assert event["U"] <= last + 1 <= event["u"]
            last = event["u"]
            for side, levels in book.items():
                levels.update(event[side])
        for side, rows in (("b", final["bids"]), ("a", final["asks"])):
            assert {p: q for p, q in book[side].items() if float(q)} == dict(rows)
        best = await client.get("/api/v3/ticker/bookTicker?symbol=BTCUSDT")
        assert [best["bidPrice"], best["bidQty"]] == final["bids"][0]


async def test_klines_and_exchange_info_have_the_venues_shape() -> None:
    async with running(symbols=8) as client:
        info = await client.get("/api/v3/exchangeInfo")
        assert [s["symbol"] for s in info["symbols"]][:2] == ["BTCUSDT", "ETHUSDT"]
        assert "币安人生USDT" in [s["symbol"] for s in info["symbols"]]
        chosen = await client.get('/api/v3/exchangeInfo?symbols=["ETHUSDT"]')
        assert [s["symbol"] for s in chosen["symbols"]] == ["ETHUSDT"]
        rows = await client.get("/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=2")
        assert len(rows[-1]) == 12 and rows[-1][6] == rows[-1][0] + 59_999
        assert await client.get("/api/v3/ping") == {}
        assert len(await client.get("/api/v3/ticker/bookTicker")) == 8


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("depth", -1102),
        ("depth?symbol=NOSUCH", -1121),
        ("depth?symbol=BTCUSDT&limit=x", -1100),
        ("trades?symbol=BTCUSDT&limit=0", -1130),
        ("klines?symbol=BTCUSDT&interval=7m", -1120),
        ("aggTrades?symbol=BTCUSDT&fromId=1&startTime=1", -1128),
        ('ticker/bookTicker?symbols=["BTCUSDT","BTCUSDT"]', -1151),
    ],
)
async def test_wrong_parameters_get_the_venues_code(path: str, code: int) -> None:
    async with running() as client:
        url = f"http://127.0.0.1:{client.port}/api/v3/{path}"
        async with client.session.get(url) as reply:
            assert reply.status == 400
            assert (await reply.json())["code"] == code


async def test_a_port_in_use_is_named() -> None:
    async with running() as client:
        with pytest.raises(ConfigError, match=f"port = {client.port}"):
            await Exchange(SimulatorSettings(port=client.port, symbols=1)).start()


async def test_tls_and_a_rest_port_of_its_own_work(tmp_path: Any) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    settings = SimulatorSettings(port=0, rest_port=0, symbols=1, tls_cert=str(cert), tls_key=str(key))
    exchange = Exchange(settings)
    ws_port, rest_port = await exchange.start()
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    try:
        assert ws_port != rest_port
        async with aiohttp.ClientSession() as session:
            url = f"wss://127.0.0.1:{ws_port}/ws/btcusdt@trade"
            async with session.ws_connect(url, ssl=trust) as socket:
                assert json.loads(await socket.receive_str())["e"] == "trade"
            async with session.get(f"https://127.0.0.1:{rest_port}/api/v3/ping", ssl=trust) as reply:
                assert await reply.json() == {}
    finally:
        await exchange.stop()


async def used_weight(client: Client, path: str) -> int:
    before = client.exchange.rest_log.used_weight
    await client.get(path)
    return client.exchange.rest_log.used_weight - before


async def test_every_call_costs_what_the_table_says() -> None:
    async with running(symbols=101, weight_per_minute=100_000) as client:
        names = [f'"{name}"' for name in client.exchange.market.symbols]
        several = {count: f"symbols=[{','.join(names[:count])}]" for count in (1, 2, 20, 21, 60, 100, 101)}
        one = "symbol=BTCUSDT"
        asked = {
            "ping": {"": 1},
            "time": {"": 1},
            "exchangeInfo": {"": 20, one: 20},
            "executionRules": {one: 2, several[2]: 4, several[60]: 40, "": 40},
            "depth": {one: 5, f"{one}&limit=500": 25, f"{one}&limit=1000": 50, f"{one}&limit=5000": 250},
            "trades": {one: 25},
            "historicalTrades": {one: 25},
            "historicalBlockTrades": {f"{one}&fromId=0": 25},
            "aggTrades": {one: 4},
            "klines": {f"{one}&interval=1m": 2},
            "uiKlines": {f"{one}&interval=1m": 2},
            "avgPrice": {one: 2},
            "referencePrice": {one: 2},
            "referencePrice/calculation": {one: 2},
            "ticker/24hr": {one: 2, several[1]: 2, several[20]: 2, several[21]: 40, several[100]: 40, several[101]: 80, "": 80},
            "ticker/tradingDay": {one: 4, several[2]: 8, several[60]: 200},
            "ticker": {one: 4, several[2]: 8, several[60]: 200},
            "ticker/price": {one: 2, several[1]: 4, "": 4},
            "ticker/bookTicker": {one: 2, several[1]: 4, "": 4},
        }  # fmt: skip
        for path, cases in asked.items():
            found = [await used_weight(client, f"/api/v3/{path}?{query}") for query in cases]
            assert found == list(cases.values()), path
        assert asked.keys() == rest_endpoints.ENDPOINTS.keys()
        assert [path for path in asked if f"\n{path} " not in (rest_endpoints.__doc__ or "")] == []


async def test_a_request_costs_what_the_feed_counts_for_it() -> None:
    # Each side has its own table, or one that is wrong could not be found by the other.
    async with running(symbols=101, weight_per_minute=100_000) as client:
        names = [f'"{name}"' for name in client.exchange.market.symbols]
        one = "symbol=BTCUSDT"
        counted = {
            f"historicalTrades?{one}": SPOT_WEIGHTS.trades, f"trades?{one}": SPOT_WEIGHTS.trades, f"aggTrades?{one}": SPOT_WEIGHTS.aggregates,
            f"klines?{one}&interval=1m": SPOT_WEIGHTS.bars, "exchangeInfo": SPOT_WEIGHTS.symbols, "ticker/bookTicker": SPOT_WEIGHTS.best_prices,
            "ticker/24hr": SPOT_WEIGHTS.all_statistics,
            **{f"depth?{one}&limit={levels}": SPOT_WEIGHTS.of_book(levels) for levels in (100, 101, 500, 501, 1000, 1001, 5000)},
            **{f"ticker/24hr?symbols=[{','.join(names[:count])}]": SPOT_WEIGHTS.of_statistics(count) for count in (1, 20, 21, 100, 101)},
        }  # fmt: skip
        assert {path: await used_weight(client, f"/api/v3/{path}") for path in counted} == counted


async def test_an_unknown_path_is_not_found_as_at_the_venues_proxy() -> None:
    async with running() as client:
        for method, path in (("GET", "/api/v3/nothing"), ("GET", "/api/v1/time"), ("POST", "/api/v3/order")):
            async with client.session.request(method, f"http://127.0.0.1:{client.port}{path}") as reply:
                assert (reply.status, reply.content_type) == (404, "text/html")
        log = (await client.get("/_exchange/status"))["rest"]
        assert (log["by_path"], log["by_status"]) == ({"unknown": 3}, {"404": 3})


async def test_the_exchange_tells_its_final_bars_at_no_weight_as_the_stream_and_rest_do() -> None:
    async with running() as client:
        socket = await client.connect("/ws/btcusdt@kline_1s")
        events = await collect(socket, lambda events: len(events) > 1)
        final = {event["k"]["t"]: event["k"] for event in events}
        known = (await client.get("/_exchange/bars?interval=1s"))["BTCUSDT"]
        rows = {row[0]: row for row in await client.get("/api/v3/klines?symbol=BTCUSDT&interval=1s")}
        for row in known:
            assert row == rows[row[0]]
        same = [row for row in known if row[0] in final]
        assert len(same) == len(final)
        assert all(row[1:6] == [final[row[0]][key] for key in "ohlcv"] for row in same)
        assert "allowed are" in (await client.get("/_exchange/bars?interval=7m"))["msg"]
