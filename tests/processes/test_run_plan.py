"""What runs where: workers, their symbols and streams, for any number of shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from k2workers import metrics, venues
from k2workers.config import SETTINGS, Settings
from k2workers.errors import ConfigError
from k2workers.processes.child_settings import BooksSettings, WorkerSettings
from k2workers.processes.run_plan import RunPlan
from k2workers.rotation.schedule import HOUR_NS
from k2workers.venues.binance.settings import SpotSettings
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.venue_settings import VenueSettings
from tests.support.two_routes import TwoRoutes, register

DEFAULT_SYMBOLS: list[str] = SETTINGS["symbols"].default


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The workers' settings of a run, in order."""
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path))

    def settings_of(symbols: list[str], **settings: Any) -> list[WorkerSettings]:
        plan = RunPlan(Settings(**settings), tmp_path, origin_ns=0)
        return [spec.settings for spec in plan.workers(symbols)]

    return settings_of


@pytest.mark.parametrize("shards", range(1, 17))
def test_the_default_symbols_are_served_balanced_by_any_number_of_shards(workers: Any, shards: int) -> None:
    running: list[WorkerSettings] = workers(DEFAULT_SYMBOLS, shards=shards)
    sizes = [len(worker.symbols) for worker in running]
    assert len(sizes) == min(shards, len(DEFAULT_SYMBOLS))
    assert max(sizes) - min(sizes) <= 1
    assert sorted(name for worker in running for name in worker.symbols) == sorted(DEFAULT_SYMBOLS)
    assert all(BinanceSpot().stream_specs(worker.kinds, worker.symbols) for worker in running)
    # Rotation slots are those of the shards that run.
    slots = [(w.feed.shard, w.feed.slot, w.feed.slots) for w in running]
    assert slots == [(n, n, len(running)) for n in range(len(running))]


@pytest.mark.parametrize("symbols", [[], ["BTCUSDT"], DEFAULT_SYMBOLS])
def test_streams_of_the_whole_market_alone_are_one_worker(workers: Any, symbols: list[str]) -> None:
    (only,) = workers(symbols, shards=8, streams=["mini_ticker_all"])
    assert only.kinds == ("mini_ticker_all",)


def test_streams_of_the_whole_market_are_carried_once(workers: Any) -> None:
    running = workers(DEFAULT_SYMBOLS, shards=3, streams=["trade", "mini_ticker_all"])
    assert [worker.kinds for worker in running] == [("trade", "mini_ticker_all"), ("trade",), ("trade",)]


def test_streams_of_the_whole_market_count_in_what_a_connection_carries(workers: Any) -> None:
    symbols = [f"S{number}" for number in range(1024)]
    assert len(workers(symbols, shards=1, streams=["trade"])) == 1
    with pytest.raises(ConfigError, match="at least 2 shards"):
        workers(symbols, shards=1, streams=["trade", "mini_ticker_all"])


@pytest.mark.parametrize(
    ("settings", "endpoint"),
    [
        ({}, "tcp://127.0.0.1:5557"),
        ({"snapshot_endpoint": "tcp://0.0.0.0:7000"}, "tcp://0.0.0.0:7001"),
        ({"books_endpoint": "tcp://127.0.0.1:9"}, "tcp://127.0.0.1:9"),
    ],
)
def test_books_are_kept_of_the_kinds_that_are_changes_of_one(
    settings: dict[str, Any], endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path))
    plan = RunPlan(Settings(streams=["trade", "depth", "depth_1s", "partial_depth_5"], **settings), tmp_path, 0)
    books = plan.books("tcp://127.0.0.1:1", "tcp://127.0.0.1:2").settings
    assert isinstance(books, BooksSettings)
    assert (books.prefixes, books.books_endpoint) == (("binance.depth.", "binance.depth_1s."), endpoint)
    assert RunPlan(Settings(streams=["trade", "partial_depth_5"]), tmp_path, 0).book_prefixes == ()


def test_a_checkpoint_of_a_demonstration_is_of_its_run_alone_and_one_of_a_venue_of_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path))

    def source(address: str = "", **settings: Any) -> str:
        of_venues: dict[str, VenueSettings] = {"binance": SpotSettings(websocket_url=address)} if address else {}
        plan = RunPlan(Settings(**settings, of_venues=of_venues), tmp_path, origin_ns=0)
        named: list[str] = [plan.aggregator().settings.source for _ in range(2)]
        assert named[0] == named[1]
        return named[0]

    assert source(demo=True) != source(demo=True)
    assert source("wss://one") == source("wss://one") == "wss://one"


@pytest.mark.parametrize("native", ["auto", "off"])
def test_one_setting_turns_native_reading_and_publishing_off(
    native: Literal["auto", "off"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path))
    made = RunPlan(Settings(native=native), tmp_path, origin_ns=0)
    (worker,) = made.workers(["BTCUSDT"])
    assert (worker.settings.feed.native, made.aggregator().settings.native) == (native, native == "auto")


@pytest.mark.parametrize(
    ("venue", "setting", "address"),
    [
        ("binance_us", "websocket_url", "wss://stream.binance.com:9443"),
        ("binance_us", "rest_url", "https://api.binance.com/"),
        ("binance", "rest_url", "https://api.binance.us"),
    ],
)
def test_events_of_one_venue_are_never_published_as_those_of_another(
    venue: str, setting: str, address: str, tmp_path: Path
) -> None:
    of_venues = {venue: msgspec.convert({setting: address}, venues.settings_struct(venue))}
    with pytest.raises(ConfigError, match=f"the address {address} is that of"):
        RunPlan(Settings(venue=venue, of_venues=of_venues), tmp_path, 0)
    RunPlan(Settings(venue=venue, demo=True, of_venues=of_venues), tmp_path, 0)


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path))
    return lambda **settings: RunPlan(Settings(**settings), tmp_path, origin_ns=0)


def test_workers_are_pointed_to_another_venue(plan: Any) -> None:
    made = plan(demo=True)
    made.point_to("ws://127.0.0.1:81", "http://127.0.0.1:82")
    (worker, *_) = made.workers(["BTCUSDT", "ETHUSDT"])
    assert (worker.settings.feed.url, worker.settings.rest_url) == ("ws://127.0.0.1:81", "http://127.0.0.1:82")


def test_a_worker_gets_what_is_set_of_its_venue(plan: Any) -> None:
    own = SpotSettings(rest_url="http://r", ca_bundle="ca.pem", book_levels=500, connection_max_lifetime_hours=2.0)
    made = plan(of_venues={"binance": msgspec.structs.replace(own, rest_weight_share=0.25)})
    worker = made.workers(["BTCUSDT"])[0].settings
    assert (worker.rest_url, worker.ca_bundle, worker.book_levels) == ("http://r", "ca.pem", 500)
    assert worker.feed.lifetime_ns == 2 * 3_600 * 10**9
    assert made.weight.share == 0.25


def test_streams_of_symbols_are_all_but_those_of_the_whole_market(plan: Any) -> None:
    streams = plan(streams=["trade", "mini_ticker_all"]).streams_of(["BTCUSDT", "ETHUSDT"])
    assert [spec.name for spec in streams] == ["btcusdt@trade", "ethusdt@trade"]


@pytest.mark.parametrize(
    ("streams", "room"), [(["trade"], 1024), (["trade", "depth"], 512), (["trade", "mini_ticker_all"], 1023)]
)
def test_the_room_of_a_worker_is_what_its_streams_leave_of_a_connection(
    plan: Any, streams: list[str], room: int
) -> None:
    assert plan(streams=streams).room == room
    assert plan(streams=["mini_ticker_all"]).room > 10**9, "no symbol takes a stream"


def test_each_route_of_each_shard_has_a_turn_to_rotate_and_all_are_spread_evenly(
    plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, "binance")
    # Only the first shard carries the stream of the whole market, and with it a second route.
    made = plan(demo=True, shards=3, streams=["trade", "mini_ticker_all"]).workers(["A", "B", "C"])
    assert [(spec.settings.feed.slot, spec.settings.feed.slots) for spec in made] == [(0, 4), (2, 4), (3, 4)]
    planned = plan(demo=True, shards=3, streams=["trade", "depth"])
    made = planned.workers(["A", "B", "C"])
    assert [(spec.settings.feed.slot, spec.settings.feed.slots) for spec in made] == [(0, 6), (2, 6), (4, 6)]
    assert {spec.settings.alone.every_s for spec in made} == {planned.budget.share_ns(6) / 1e9}


def test_a_shard_holds_as_many_symbols_as_fit_on_its_fullest_route(plan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "binance")
    monkeypatch.setattr(TwoRoutes, "streams_on_market", 10)
    symbols = [f"S{number}" for number in range(20)]
    streams = ["trade", "depth", "book_ticker", "mini_ticker_all"]
    made = plan(demo=True, shards=2, streams=streams)
    assert made.room == 10
    assert [len(spec.settings.symbols) for spec in made.workers(symbols)] == [10, 10]
    with pytest.raises(
        ConfigError, match="1 streams each do not fit into 10 streams a connection; allowed: at least 3"
    ):
        made.workers([*symbols, "ONE_MORE"])
    monkeypatch.setattr(TwoRoutes, "streams_on_market", 2_000)
    assert plan(demo=True, streams=streams).room == (1_024 - 1) // 2, "now the other one is the fullest"


def test_the_lifetime_is_that_of_the_route_that_the_venue_cuts_first(
    plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, "binance")
    monkeypatch.setattr(TwoRoutes, "market_lives_ns", HOUR_NS)
    made = plan(demo=True, streams=["trade", "depth"]).workers(["A"])
    assert made[0].settings.feed.lifetime_ns <= HOUR_NS * 9 // 10


def test_processes_end_in_the_order_in_which_data_flows(plan: Any) -> None:
    made = plan(demo=True)
    demonstration = made.demonstration
    feed = [made.workers(["BTCUSDT"])[0], made.aggregator(), demonstration.witness("", ""), demonstration.exchange()]
    orders = [spec.stop_order for spec in feed]
    assert orders == sorted({*orders})
    assert made.books("", "").stop_order == demonstration.witness("", "").stop_order


def test_whom_a_peer_has_ended_is_behind_a_screen_in_its_later_lives(plan: Any, tmp_path: Path) -> None:
    made = plan()
    for spec in (made.aggregator(), made.books("tcp://127.0.0.1:1", "tcp://127.0.0.1:2")):
        assert spec.settings.screened_in == ""
        assert spec.after_abort.screened_in == str(tmp_path)
        changed = {"screened_in": "", "connections": spec.settings.connections}
        assert msgspec.structs.replace(spec.after_abort, **changed) == spec.settings
