"""One venue of a run: its workers, their symbols and streams, for any number of shards, alone and next to other venues."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from k2workers import metrics, venues
from k2workers.config import Settings
from k2workers.errors import ConfigError
from k2workers.processes.child_settings import WorkerSettings
from k2workers.processes.market_plan import MarketPlan
from k2workers.processes.run_plan import RunPlan
from k2workers.rotation import schedule
from k2workers.rotation.schedule import HOUR_NS
from k2workers.supervision.child import ChildSpec
from k2workers.supervision.permissions import permissions_of
from k2workers.venues.binance.settings import SpotSettings, UsSettings
from k2workers.venues.binance.spot import BinanceSpot
from tests.support.two_routes import TwoRoutes, register

DEFAULT_SYMBOLS = [*SpotSettings.usual_symbols]
BOTH = ["binance", "binance_us"]


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The workers' settings of a run, in order."""
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path))

    def settings_of(symbols: list[str], **settings: Any) -> list[WorkerSettings]:
        (market,) = RunPlan(Settings(**settings), tmp_path, origin_ns=0).markets
        return [spec.settings for spec in market.workers(symbols)]

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
        RunPlan(Settings(venue=[venue], of_venues=of_venues), tmp_path, 0)
    RunPlan(Settings(venue=[venue], demo=True, of_venues=of_venues), tmp_path, 0)


@pytest.fixture
def plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[MarketPlan]]:
    """Makes the plans of all venues of a run."""
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path))
    return lambda **settings: RunPlan(Settings(**settings), tmp_path, origin_ns=0).markets


@pytest.fixture
def plan(plans: Callable[..., list[MarketPlan]]) -> Any:
    return lambda **settings: plans(**settings)[0]


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
    assert made.allowance.weight.share == 0.25


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
    assert {spec.settings.alone.every_s for spec in made} == {planned.allowance.budget.share_ns(6) / 1e9}


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


def of_feeds(specs: list[ChildSpec]) -> list[tuple[str, str, int, int, int]]:
    return [
        (spec.name, spec.connects_to, spec.settings.feed.shard, spec.settings.feed.slot, spec.settings.feed.slots)
        for spec in specs
    ]


@pytest.mark.parametrize("late", [0, 1])
def test_workers_of_several_venues_have_numbers_and_slots_of_the_whole_run_whichever_answers_first(
    plans: Any, late: int
) -> None:
    made = plans(venue=BOTH, shards=2, of_venues={"binance_us": UsSettings(shards=3)})
    found = {}
    for market in (made[1 - late], made[late]):
        found[market.name] = of_feeds(market.workers(DEFAULT_SYMBOLS))
    assert found == {
        "binance": [(f"worker-{n}", "binance", n, n, 5) for n in (0, 1)],
        "binance_us": [(f"worker-{n}", "binance_us", n, n, 5) for n in (2, 3, 4)],
    }


def test_no_two_workers_of_a_run_are_ever_due_together(plans: Any) -> None:
    feeds = [spec.settings.feed for market in plans(venue=BOTH, shards=4) for spec in market.workers(DEFAULT_SYMBOLS)]
    due = sorted(feed.next_due_ns(0) for feed in feeds)
    assert len(feeds) == 8
    assert {later - earlier for earlier, later in itertools.pairwise(due)} == {4 * HOUR_NS // 8}


def test_a_venue_with_another_lifetime_has_slots_of_its_own(plans: Any) -> None:
    other = {"binance_us": UsSettings(connection_max_lifetime_hours=2.0)}
    feeds = [
        [spec.settings.feed for spec in market.workers(DEFAULT_SYMBOLS)]
        for market in plans(venue=BOTH, shards=2, of_venues=other)
    ]
    assert [[(feed.slot, feed.slots, feed.lifetime_ns // HOUR_NS) for feed in each] for each in feeds] == [
        [(0, 2, 4), (1, 2, 4)], [(0, 2, 2), (1, 2, 2)],
    ]  # fmt: skip


def test_each_venue_asks_for_what_is_said_of_it_and_connects_alone_within_its_own_window(plans: Any) -> None:
    own = {"binance_us": UsSettings(symbols=["LTCUSDT"], streams=["trade"], shards=1, rest_weight_share=0.5)}
    spot, us = plans(venue=BOTH, shards=2, streams=["depth"], symbols=["BTCUSDT"], of_venues=own)
    assert [(market.symbols, market.streams, market.shards) for market in (spot, us)] == [
        (["BTCUSDT"], ["depth"], 2), (["LTCUSDT"], ["trade"], 1),
    ]  # fmt: skip
    assert [(market.allowance.rest_pool, market.allowance.weight.share) for market in (spot, us)] == [
        ("binance", 0.8), ("binance_us", 0.5),
    ]  # fmt: skip
    assert (spot.book_prefixes, us.book_prefixes) == (("binance.depth.",), ())
    (worker,) = us.workers(["LTCUSDT"])
    assert (worker.settings.venue, worker.settings.kinds) == ("binance_us", ("trade",))
    assert worker.settings.alone.every_s == us.allowance.budget.share_ns(1) / 1e9, (
        "only its own connections count there"
    )
    assert [market.apart for market in (spot, us)] == BOTH


def test_the_slots_of_a_venue_are_those_of_its_own_lifetime_even_if_the_other_one_is_cut_sooner(
    plans: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, "binance")
    monkeypatch.setattr(TwoRoutes, "market_lives_ns", 10 * schedule.VENUE_CUT_MARGIN_NS)
    spot, us = plans(venue=BOTH, shards=1, streams=["trade", "depth"])
    feeds = [market.workers(["A"])[0].settings.feed for market in (spot, us)]
    assert [(feed.slot, feed.slots) for feed in feeds] == [(0, 2), (0, 1)]


def test_each_route_of_each_venue_has_a_slot_and_those_of_other_venues_follow(plans: Any) -> None:
    made = plans(venue=["binance", "binance_usdm"], shards=2, streams=["agg_trade", "depth"])
    feeds = [spec.settings.feed for market in made for spec in market.workers(DEFAULT_SYMBOLS)]
    assert [(feed.shard, feed.slot, feed.slots) for feed in feeds] == [(0, 0, 6), (1, 1, 6), (2, 2, 6), (3, 4, 6)]


def test_markets_whose_weight_is_counted_together_spend_from_one_pool(plans: Any) -> None:
    made = plans(venue=["binance", "binance_usdm", "binance_coinm"])
    spot, usdm, coinm = permissions_of([market.allowance for market in made], lambda *_: None).values()
    assert usdm.weight is coinm.weight is not spot.weight
    assert usdm.budget is not coinm.budget, "each has an address of its own to connect to"
