"""Binance USD-M: its own addresses and settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from k2workers import metrics
from k2workers.config import Settings, load
from k2workers.errors import ConfigError
from k2workers.processes.run_plan import RunPlan
from k2workers.venues.binance.usdm import BinanceUsdm

USDM = BinanceUsdm()


def test_its_own_addresses_and_limits_hold_unless_others_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path))
    (plan,) = RunPlan(Settings(venue=["binance_usdm"]), tmp_path, 0).markets
    (worker,) = [spec.settings for spec in plan.workers(["BTCUSDT"])]
    assert (worker.venue, worker.feed.url, worker.rest_url) == (
        "binance_usdm",
        "wss://fstream.binance.com",
        "https://fapi.binance.com",
    )
    assert (plan.allowance.weight.limit, plan.book_prefixes) == (2_400, ("binance_usdm.depth.",))
    assert worker.feed.slots == 2  # one for each class of streams
    given = load({"venue": "binance_usdm", "streams": "agg_trade", "binance_usdm_rest_url": "http://elsewhere"})
    assert given.of_venue("binance_usdm").rest_url == "http://elsewhere"


def test_a_book_of_more_levels_than_the_venue_gives_is_the_users_mistake() -> None:
    with pytest.raises(ConfigError, match=r"binance_usdm_book_levels = 5000: unknown; allowed: 100, 500, 1000"):
        load({"venue": "binance_usdm", "streams": "depth", "binance_usdm_book_levels": 5000})


@pytest.mark.parametrize("kind", ["kline_1s", "block_trade", "avg_price"])
def test_a_kind_of_spot_alone_is_the_users_mistake(kind: str) -> None:
    with pytest.raises(ConfigError, match=f"'{kind}' is not a kind of stream"):
        load({"venue": "binance_usdm", "streams": kind})


def test_what_is_marked_as_of_the_other_market_is_not_its_own() -> None:
    assert (USDM.stream_dialect.symbol_type, USDM.dialect.market, USDM.dialect.rest_path) == (1, USDM.name, "/fapi/v1")
