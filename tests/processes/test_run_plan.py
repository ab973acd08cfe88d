"""What runs beside the workers: the aggregator and the books process, whose they are, and where they listen."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from k2workers import metrics
from k2workers.config import Settings
from k2workers.errors import ConfigError
from k2workers.processes.child_settings import BooksSettings, DiskRingSettings
from k2workers.processes.run_plan import RunPlan
from k2workers.venues.binance.settings import SpotSettings, UsSettings
from k2workers.venues.venue_settings import VenueSettings

BOTH = ["binance", "binance_us"]


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path))
    return lambda **settings: RunPlan(Settings(**settings), tmp_path, origin_ns=0)


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

    def sources(address: str = "", **settings: Any) -> dict[str, str]:
        of_venues: dict[str, VenueSettings] = {"binance": SpotSettings(websocket_url=address)} if address else {}
        plan = RunPlan(Settings(**settings, of_venues=of_venues), tmp_path, origin_ns=0)
        named: list[dict[str, str]] = [plan.aggregator().settings.sources for _ in range(2)]
        assert named[0] == named[1]
        return named[0]

    assert sources(demo=True) != sources(demo=True)
    assert sources("wss://one") == sources("wss://one") == {"binance": "wss://one"}
    assert sources("wss://one", venue=BOTH) == {"binance": "wss://one", "binance_us": UsSettings().websocket_url}
    assert sources(demo=True, venue=BOTH).keys() == {*BOTH}


@pytest.mark.parametrize("native", ["auto", "off"])
def test_one_setting_turns_native_reading_and_publishing_off(
    native: Literal["auto", "off"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path))
    made = RunPlan(Settings(native=native), tmp_path, origin_ns=0)
    (worker,) = made.markets[0].workers(["BTCUSDT"])
    assert (worker.settings.feed.native, made.aggregator().settings.native) == (native, native == "auto")


def test_processes_end_in_the_order_in_which_data_flows(plan: Any) -> None:
    made = plan(demo=True)
    demonstration = made.demonstration
    feed = [
        made.markets[0].workers(["BTCUSDT"])[0], made.aggregator(), demonstration.witness("", ""),
        demonstration.exchange("binance"),
    ]  # fmt: skip
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


def test_one_aggregator_and_one_books_process_serve_all_venues(plan: Any) -> None:
    made = plan(venue=BOTH, shards=3, streams=["depth"], of_venues={"binance_us": UsSettings(shards=1)})
    assert made.books("", "").settings.prefixes == ("binance.depth.", "binance_us.depth.")
    assert made.shards == 4
    few = made.aggregator().settings.bundle_endpoint
    assert {spec.settings.bundle_endpoint for market in made.markets for spec in market.workers(["A", "B"])} == {few}


def test_topics_of_books_are_made_of_the_first_kind_of_changes_of_each_venue(plan: Any) -> None:
    streams = ["trade", "depth_1s", "depth"]
    made = plan(venue=BOTH, streams=streams, book_topics=["book_top", "book_5"], book_pace_ms=0.5)
    topics = made.books("tcp://127.0.0.1:1", "tcp://127.0.0.1:2").settings.topics
    assert (topics.kinds, topics.pace_ns) == (("book_top", "book_5"), 500_000)
    assert topics.prefixes == ("binance.depth_1s.", "binance_us.depth_1s.")
    assert topics.bundle_endpoint == made.aggregator().settings.bundle_endpoint
    assert plan(streams=streams).books("", "").settings.topics is None
    with pytest.raises(ConfigError, match="book_topics = book_top: they are made of changes of books"):
        plan(streams=["trade"], book_topics=["book_top"])


@pytest.mark.parametrize(
    ("settings", "endpoint", "folder"),
    [
        ({}, "tcp://127.0.0.1:5558", "{0}/checkpoint-ring"),
        ({"books_endpoint": "tcp://127.0.0.1:9", "checkpoint": "/k2/c"}, "tcp://127.0.0.1:10", "/k2/c-ring"),
        ({"books_endpoint": "ipc:///k2/books", "disk_ring_dir": "/k2/ring"}, "ipc:///k2/books-disk", "/k2/ring"),
        ({"disk_ring_endpoint": "tcp://127.0.0.1:9"}, "tcp://127.0.0.1:9", "{0}/checkpoint-ring"),
    ],
)
def test_the_disk_ring_is_kept_if_it_is_asked_for(
    settings: dict[str, Any], endpoint: str, folder: str, tmp_path: Path, plan: Any
) -> None:
    made = plan(disk_ring_gb=2.0, disk_ring_hours=1.5, venue=BOTH, **settings)
    ring = made.disk_ring("tcp://127.0.0.1:1", "tcp://127.0.0.1:2")
    kept = ring.settings
    assert isinstance(kept, DiskRingSettings)
    assert (kept.disk_ring_endpoint, kept.folder) == (endpoint, folder.format(tmp_path))
    assert (kept.prefixes, kept.max_bytes, kept.max_age_s) == (
        ("binance.", "binance_us.", "status."),
        2 * 10**9,
        5_400.0,
    )
    assert (ring.vital, made.aggregator().settings.ring_on_disk) == (False, True)
    without = plan(**settings)
    assert (without.disk_ring("", ""), without.aggregator().settings.ring_on_disk) == (None, False)
