"""The feed of one venue: what it asks, whom it names, and how it flows, next to others and alone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from k2workers import metrics
from k2workers.config import Settings
from k2workers.errors import ConfigError
from k2workers.network.venue_answers import Answer, Service
from k2workers.processes.market_feed import MarketFeed
from k2workers.processes.run_plan import RunPlan
from k2workers.supervision.child import ChildState
from k2workers.supervision.control_messages import Beat
from k2workers.venues.binance.settings import SpotSettings
from tests.fakes import Careless
from tests.support.told import worker_status
from tests.support.venue import Venue


@pytest.fixture
def feeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the feeds of a run, under one supervisor whose children are never started."""
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path))

    def made(**settings: Any) -> tuple[Careless, list[MarketFeed]]:
        supervisor: Any = Careless()
        plan = RunPlan(Settings(**settings), tmp_path, origin_ns=0)
        return supervisor, [MarketFeed(market, supervisor) for market in plan.markets]

    return made


@contextlib.asynccontextmanager
async def permitting(supervisor: Careless) -> AsyncIterator[None]:
    """The parent permits meanwhile whatever is asked for."""

    async def permit() -> None:
        while True:
            for permissions in supervisor.permissions.values():
                permissions.look(time.monotonic_ns())
            await asyncio.sleep(0.01)

    task = asyncio.ensure_future(permit())
    try:
        yield
    finally:
        task.cancel()


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (["binance"], "symbols = 'NOSUCH': the venue lists no such symbol"),
        (["binance", "binance_us"], "binance: symbols = 'NOSUCH': the venue lists no such symbol"),
    ],
)
async def test_a_mistake_names_the_venue_where_there_are_others(feeds: Any, run: list[str], words: str) -> None:
    with Venue(["AAAUSDT"]) as venue:
        own = SpotSettings(symbols=["NOSUCH"], rest_url=venue.rest_url)
        supervisor, (feed, *_) = feeds(venue=run, of_venues={"binance": own})
        async with permitting(supervisor):
            with pytest.raises(ConfigError) as told:
                await feed.choose()
    assert str(told.value).startswith(words)
    assert feed.waiting_for == "symbols"


async def test_symbols_that_do_not_fit_name_the_venue_too(feeds: Any) -> None:
    with Venue([f"S{number}USDT" for number in range(9)]) as venue:
        own = SpotSettings(symbols=["*"], rest_url=venue.rest_url)
        supervisor, (feed, _) = feeds(venue=["binance", "binance_us"], shards=1, of_venues={"binance": own})
        async with permitting(supervisor):
            (spec,) = await feed.choose()
            assert (spec.name, spec.connects_to, len(spec.settings.symbols)) == ("worker-0", "binance", 9)
            feed.plan.venue.limits = msgspec.structs.replace(feed.plan.venue.limits, streams_per_connection=4)
            del feed.plan._tightest
            with pytest.raises(ConfigError, match=r"^binance: shards = 1: 9 symbols with 4 streams each do not fit"):
                await feed.choose()


def test_what_it_received_and_wants_is_its_own_workers(feeds: Any) -> None:
    supervisor, (spot, us) = feeds(venue=["binance", "binance_us"], streams=["trade"])
    for number, feed in enumerate((spot, us)):
        name = f"worker-{number}"
        feed.shards[name] = number
        supervisor.children[name] = ChildState(pid=number, alive=True, ready=True, restarts=0, last_beat_s=0.1)
        status = worker_status(shard=number, weight_wanted=10 + number)
        supervisor.beats[name] = Beat(name, number, {"events_received": number}, status, 1)
    assert [feed.received() for feed in (spot, us)] == [0, 1]
    assert [feed.rest_weight().wanted for feed in (spot, us)] == [10, 11]
    assert [(flow.apart, [*flow.workers]) for flow in (spot.flow(), us.flow())] == [
        ("binance", ["worker-0"]), ("binance_us", ["worker-1"]),
    ]  # fmt: skip
    supervisor.beats["worker-1"] = Beat("worker-1", 99, {}, worker_status(), 1)
    assert us.flow().workers == {"worker-1": None}, "an earlier life told it"


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (["binance"], "the venue answers connect with 429"),
        (["binance", "binance_us"], "binance answers connect with 429"),
    ],
)
def test_what_stands_between_a_venue_and_us_is_said_with_its_name_where_there_are_others(
    feeds: Any, run: list[str], words: str
) -> None:
    _, (feed, *others) = feeds(venue=run)
    assert feed.obstacles() == []
    feed.permissions.gate.answered(Service.CONNECT, Answer(429, retry_after_s=9.0), 0, time.monotonic_ns())
    feed.symbols.failure = "it cannot be reached"
    named = "" if len(run) == 1 else "binance: "
    assert feed.obstacles() == [words, f"{named}it cannot be reached"]
    assert all(other.obstacles() == [] for other in others)
