"""The stand-in for USD-M futures as a whole: its rules, faults, and books as its control endpoints tell them."""

from __future__ import annotations

from collections import Counter

import pytest

from k2workers import venues
from k2workers.events import Event
from k2workers.simulator import faults
from k2workers.simulator.address_limits import NS
from k2workers.simulator.binance.contracts import COINM, USDM, Contracts, contracts_of
from k2workers.simulator.binance.futures_endpoints import ENDPOINTS
from k2workers.simulator.binance.futures_market import FuturesMarket, contract_names
from k2workers.simulator.binance.settings import UsdmSimulatorSettings
from k2workers.simulator.binance.talk import message
from k2workers.simulator.binance.usdm import UsdmStandIn
from k2workers.venues.binance.coinm import LACKING, LACKING_PREFIX
from k2workers.venues.binance.futures import FUTURES_LIMITS
from k2workers.venues.binance.futures_streams import ASKED, FUTURES_KINDS
from k2workers.venues.venue import Outcome
from tests.simulator.support import collect, running


def test_what_a_fault_acts_on_by_itself_is_the_markets_own() -> None:
    own = UsdmStandIn.fault_defaults
    assert {keys["path"] for keys in own.values() if "path" in keys} <= set(ENDPOINTS)
    assert faults.parse("status", own).values["status"] == "SETTLING"


def test_what_the_exchange_allows_is_what_the_feed_takes_for_allowed() -> None:
    own = UsdmSimulatorSettings()
    assert (
        own.streams_per_connection, own.connects_per_window, own.connect_window_s * NS, own.max_age_s * NS,
        own.ping_interval_s * NS, own.weight_per_minute,
    ) == (
        FUTURES_LIMITS.streams_per_connection, FUTURES_LIMITS.connects_per_window, FUTURES_LIMITS.connect_window_ns,
        FUTURES_LIMITS.max_connection_age_ns, FUTURES_LIMITS.ping_interval_ns, FUTURES_LIMITS.rest_weight_per_minute,
    )  # fmt: skip
    assert FUTURES_LIMITS.subscribe_rate < own.messages_per_second == 10 and own.pong_timeout_s == 600.0


async def test_the_whole_book_and_final_bars_are_told_beside_the_venues_own_calls() -> None:
    async with running("binance_usdm", symbols=1) as client:
        socket = await client.connect("/public/ws/btcusdt@depth@0ms")
        await collect(socket, lambda events: len(events) > 3)
        book = (await client.get("/_exchange/books"))["BTCUSDT"]
        assert list(book) == ["lastUpdateId", "E", "T", "bids", "asks"] and len(book["bids"]) > 20
        assert await client.get("/_exchange/bars?interval=1m") == {"BTCUSDT": []}
        status = await client.get("/_exchange/status")
        assert status["symbols"] == ["BTCUSDT"]


async def test_the_truth_of_changes_is_one_chain_and_that_of_trades_lacks_what_was_not_told() -> None:
    async with running("binance_usdm", symbols=1, unseen_trades=0.1) as client:
        socket = await client.connect("/public/ws/btcusdt@depth@100ms/btcusdt@trade")
        await collect(socket, lambda events: sum(event["e"] == "trade" for event in events) > 100)
        topics = (await client.get("/_exchange/truth"))["topics"]
        assert len(topics["btcusdt@depth@100ms"]["ranges"]) == 1 < len(topics["btcusdt@trade"]["ranges"])


@pytest.mark.parametrize("tells", [True, False])
async def test_messages_tell_their_market_unless_they_are_to_be_as_before(tells: bool) -> None:
    async with running("binance_usdm", **({} if tells else {"symbol_type": False})) as client:
        (event, *_) = await collect(await client.connect("/public/ws/btcusdt@bookTicker"), bool)
        assert (event.get("ps"), event.get("st")) == (("BTCUSDT", 1) if tells else (None, None))


START_NS = 1_790_000_000_500_000_000
SILENT = {"btcusdt@assetIndex", "btcusdt@compositeIndex", "defiusdt@assetIndex"}
"""Of these symbols the market has none: an asset's are named after the asset, and only an index has parts."""


@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize(
    ("venue", "contracts", "symbols"),
    [("binance_usdm", USDM, ["BTCUSDT", "DEFIUSDT"]), ("binance_coinm", COINM, ["BTCUSD_PERP"])],
)
def test_the_feed_reads_every_message_of_every_kind(
    venue: str, contracts: Contracts, symbols: list[str], tagged: bool
) -> None:
    feed = venues.load(venue)
    kinds = [kind for kind in FUTURES_KINDS if kind not in ASKED]
    kinds = [kind for kind in kinds if contracts is USDM or not kind.startswith((*LACKING, LACKING_PREFIX))]
    # Apart, for a stream of the whole market already holds those of single symbols.
    halves = [
        feed.stream_specs([kind for kind in kinds if kind.endswith("_all") is whole], symbols)
        for whole in (False, True)
    ]
    codecs = [feed.codec(specs) for specs in halves]
    names = {spec.name for specs in halves for spec in specs}
    market = FuturesMarket(contracts, 11, 2_000.0, 1, START_NS, set(names), unseen=0.01, tagged=tagged)
    read = Counter[str]()
    for tick in range(200 * 7):
        if tick == 900:
            market.symbols[contract_names(contracts, 2)[1][0]].be("SETTLING", listed=True)
        for number in range(2 * (tick == 300)):
            market.rarity(market.symbols[symbols[number % len(symbols)]], START_NS // 1_000, [])
        for emission in market.advance(START_NS + tick * 5_000_000):
            events: list[tuple[int, Event]] = []
            text = message(emission, (1_000, True))
            codec = codecs[emission.stream.startswith("!")]
            assert codec.decode(text, 1, events) is Outcome.EVENTS, text
            assert not codec.odd_elements, text
            topics = [codec.topics[number] for number, _ in events]
            assert {contracts_of(topic.symbol) for topic in topics if topic.kind != "asset_index"} <= {contracts}, text
            read[emission.stream] += len(events)
    assert {name for name, count in read.items() if count} == names - SILENT
