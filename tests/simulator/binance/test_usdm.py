"""The stand-in for USD-M futures as a whole: its rules, faults, and books as its control endpoints tell them."""

from __future__ import annotations

from k2workers.simulator import faults
from k2workers.simulator.binance.futures_endpoints import ENDPOINTS
from k2workers.simulator.binance.settings import UsdmSimulatorSettings
from k2workers.simulator.binance.usdm import UsdmStandIn
from tests.simulator.support import collect, running


def test_what_a_fault_acts_on_by_itself_is_the_markets_own() -> None:
    own = UsdmStandIn.fault_defaults
    assert {keys["path"] for keys in own.values() if "path" in keys} <= set(ENDPOINTS)
    assert faults.parse("status", own).values["status"] == "SETTLING"


def test_its_rules_are_those_of_the_documents() -> None:
    own = UsdmSimulatorSettings()
    assert (own.ping_interval_s, own.pong_timeout_s, own.messages_per_second) == (180.0, 600.0, 10)
    assert (own.streams_per_connection, own.weight_per_minute, own.max_age_s) == (1024, 2_400, 86_400.0)


async def test_the_whole_book_and_final_bars_are_told_beside_the_venues_own_calls() -> None:
    async with running("binance_usdm", symbols=1) as client:
        socket = await client.connect("/public/ws/btcusdt@depth@0ms")
        await collect(socket, lambda events: len(events) > 3)
        book = (await client.get("/_exchange/books"))["BTCUSDT"]
        assert list(book) == ["lastUpdateId", "E", "T", "bids", "asks"] and len(book["bids"]) > 20
        assert await client.get("/_exchange/bars?interval=1m") == {"BTCUSDT": []}
        status = await client.get("/_exchange/status")
        assert status["symbols"] == ["BTCUSDT"]


async def test_the_truth_of_changes_is_one_chain_and_trades_are_none() -> None:
    async with running("binance_usdm", symbols=1, unseen_trades=0.1) as client:
        socket = await client.connect("/public/ws/btcusdt@depth@100ms/btcusdt@trade")
        await collect(socket, lambda events: sum(event["e"] == "trade" for event in events) > 100)
        topics = (await client.get("/_exchange/truth"))["topics"]
        assert len(topics["btcusdt@depth@100ms"]["ranges"]) == 1 and topics["btcusdt@trade"]["ranges"] == []


async def test_messages_tell_their_market_where_that_is_asked_for() -> None:
    async with running("binance_usdm", symbol_type=True) as client:
        (event, *_) = await collect(await client.connect("/public/ws/btcusdt@bookTicker"), bool)
        assert (event["ps"], event["st"]) == ("BTCUSDT", 1)
