"""How a run comes up: what keeps it from that, and what only keeps one venue back. The whole of it is tested with ``topology``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from k2workers import metrics
from k2workers.config import Settings
from k2workers.errors import BootError, ConfigError
from k2workers.processes import run_plan
from k2workers.processes.market_feed import MarketFeed
from k2workers.processes.run_plan import RunPlan
from k2workers.processes.starting import Starting
from k2workers.venues.binance.settings import UsSettings
from tests.fakes import Careless
from tests.processes.test_market_feed import permitting
from tests.support.venue import Venue
from tests.support.waiting import WAIT_S, until


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the start of a run, with its supervisor and its feeds."""
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path))

    def make(**settings: Any) -> tuple[Starting, Any, list[MarketFeed]]:
        supervisor: Any = Careless()
        plan = RunPlan(Settings(**settings), tmp_path, origin_ns=0)
        feeds = [MarketFeed(market, supervisor) for market in plan.markets]
        return Starting(plan, supervisor, feeds, {}), supervisor, feeds

    return make


async def test_a_child_that_says_nothing_of_where_it_listens_does_not_serve(made: Any) -> None:
    starting, _, _ = made()
    with pytest.raises(BootError, match="aggregator said nothing of listening"):
        await starting.record(run_plan.AGGREGATOR, "listening")


async def test_a_mistake_about_one_venue_ends_the_start_but_not_another_that_has_served_while_it_was_silent(
    made: Any,
) -> None:
    with Venue(["AAAUSDT"]) as venue:
        own = UsSettings(rest_url=venue.rest_url, symbols=["BBBUSDT"])
        several = {"venue": ["binance", "binance_us"], "symbol_check_s": 1.0, "of_venues": {"binance_us": own}}
        starting, supervisor, (_, alone) = made(**several)
        async with permitting(supervisor):
            with pytest.raises(ConfigError, match="binance_us: symbols = 'BBBUSDT'"):
                await starting._chosen(alone)
        starting, supervisor, (other, late) = made(**several)
        other.waiting_for = ""  # quicker by a moment
        async with permitting(supervisor):
            with pytest.raises(ConfigError, match="binance_us: symbols = 'BBBUSDT'"):
                await starting._chosen(late)
        starting, supervisor, (other, late) = made(**several)
        other.waiting_for, late.symbols.kept_waiting = "", True
        async with permitting(supervisor), asyncio.timeout(WAIT_S):
            with capture_logs() as logs:
                choosing = asyncio.ensure_future(starting._chosen(late))
                await until(lambda: any(line["event"] == "venue_not_begun" for line in logs))
                venue.list("BBBUSDT")
                (spec,) = await choosing
    assert spec.settings.symbols == ("BBBUSDT",)
    said = next(line for line in logs if line["event"] == "venue_not_begun")
    assert said["exchange"] == "binance_us"
    assert "binance_us: symbols = 'BBBUSDT': the venue lists no such symbol" in said["error"]
