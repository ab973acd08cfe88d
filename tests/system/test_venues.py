"""The whole program on another venue than the default one: what users see says which, and the names that they know stay."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from pathlib import Path
from typing import Any

import psutil

from k2workers import Message, Subscriber
from k2workers.events import Trade
from tests.support.venue import Venue
from tests.support.waiting import WAIT_S
from tests.system.support import Program, demo, feed, free_port, run_briefly, wait_for
from tests.venues.binance.test_us import as_documented


def test_the_second_spot_market_is_served_under_its_own_name() -> None:
    publish, replay = free_port(), free_port()

    async def some_trades() -> list[Trade]:
        endpoints = [f"tcp://127.0.0.1:{port}" for port in (publish, replay)]
        found = []
        async with Subscriber(["binance_us.trade.AAAUSDT"], endpoints[0], snapshot_endpoint=endpoints[1]) as subscriber:
            async with asyncio.timeout(WAIT_S):
                async for item in subscriber:
                    if isinstance(item, Message) and isinstance(item.event, Trade):
                        found.append(item.event)
                    if len(found) == 5:
                        break
        return found

    with Venue(["AAAUSDT"]) as venue:
        venue.units, venue.on_rest = False, as_documented
        venue.rate_limits[0]["limit"] = 1_200
        flags = ("--streams", "trade,depth", "--symbols", "AAAUSDT")
        with feed(
            venue, *flags, shards=1, publish=publish, replay=replay, market="binance_us",
            K2_BINANCE_US_CONNECTION_MAX_LIFETIME_HOURS="2",
        ) as program:  # fmt: skip
            program.wait_ready()
            trades = asyncio.run(some_trades())
            status = program.status()
            (up,) = wait_for("the worker's metrics", lambda: program.metrics("k2_binance_connection_up"))
            (limit,) = program.metrics("k2_rest_weight_limit").values()
            program.stop()
            assert program.process.returncode == 0, "".join(program.raw)
        assert all(not asked.query for asked in venue.handshakes)
        assert {asked.status for asked in venue.requests} == {200}
    numbers = [trade.first_id for trade in trades]
    assert numbers == list(range(numbers[0], numbers[0] + 5))
    assert all(abs(trade.trade_time_ns - time.time_ns()) < 3_600 * 10**9 for trade in trades)
    assert status["venue"] == "binance_us"
    assert 'exchange="binance_us"' in up
    assert limit == 1_200 * 0.8


def test_a_demonstration_of_it_rotates_under_the_names_that_users_grep_for(tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    flags = ("--venue", "binance_us", "--rotation-lifetime", "3", "--report", str(report))
    with demo(*flags, shards=1) as program:
        program.wait_ready()
        (line, *_) = wait_for("a rotation", lambda: program.logged("binance_connection_rotation_triggered"))
        wait_for("its end", lambda: program.status()["rotations"])
        counted = wait_for("its count", lambda: program.metrics("k2_binance_connection_rotations_total"))
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw)
    assert line["exchange"] == "binance_us"
    assert all('exchange="binance_us"' in name for name in counted)
    found = json.loads(report.read_text(encoding="utf-8"))
    truth = found["truth"]
    assert truth["received"] == truth["emitted"] > 0
    assert (truth["lost"], truth["duplicated"], truth["reordered"]) == (0, 0, 0)
    assert {topic["topic"].partition(".")[0] for topic in found["continuity"]} == {"binance_us"}


BOTH = ("--venue", "binance,binance_us")


def received(program: Program) -> dict[str, int]:
    """How many events the workers of each venue have received."""
    found: dict[str, int] = {}
    for row in program.status()["workers"]:
        found[row["venue"]] = found.get(row["venue"], 0) + row["events_received"]
    return found


def wait_flowing(program: Program, venue: str) -> None:
    """Wait until more events have come from there than now."""
    before = received(program).get(venue, 0)
    wait_for(f"events of {venue}", lambda: received(program).get(venue, 0) > before)


def reasons(program: Program) -> list[str]:
    """What keeps the feed from being ready; nothing also if the parent has too much to do to say it."""
    code, text = program.http("/readyz")
    return list(json.loads(text)["reasons"]) if code == 503 and text.startswith("{") else []


def test_two_venues_in_one_run_lose_nothing_and_all_their_workers_take_turns(tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    with demo(*BOTH, "--rotation-lifetime", "8", "--demo-rate", "500", "--report", str(report), shards=2) as program:
        program.wait_ready()
        wait_for(
            "two rotations of each shard",
            lambda: min(worker.get("rotations", 0) for worker in program.status()["workers"]) >= 2,
        )
        status = program.status()
        wait_for("the workers' metrics", lambda: len(program.metrics("k2_binance_connection_up")) == 4)
        weights = program.metrics("k2_rest_weight_limit")
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw)
    assert status["venue"] == "binance,binance_us"
    assert [(row["shard"], row["venue"]) for row in status["workers"]] == [
        (0, "binance"), (1, "binance"), (2, "binance_us"), (3, "binance_us"),
    ]  # fmt: skip
    assert {*status["children"]} == {
        "aggregator", "books", "witness", "exchange-binance", "exchange-binance_us", *(f"worker-{n}" for n in range(4)),
    }  # fmt: skip
    assert {venue for venue in status["venues"] for name in weights if f'exchange="{venue}"' in name} == {
        *status["venues"]
    }
    found = json.loads(report.read_text(encoding="utf-8"))
    truth = found["truth"]
    assert truth["received"] == truth["emitted"] > 0
    assert (truth["lost"], truth["duplicated"], truth["reordered"]) == (0, 0, 0)
    assert {topic["topic"].partition(".")[0] for topic in found["continuity"]} == {"binance", "binance_us"}
    assert [row["venue"] for row in found["workers"]] == [row["venue"] for row in status["workers"]]
    assert found["venue"] == "binance,binance_us"
    rotations = found["rotations"]
    assert {*rotations["by_shard"]} == {"0", "1", "2", "3"}
    assert rotations["max_concurrent"] == 1
    due: dict[int, list[float]] = {}
    for record in rotations["records"]:
        due.setdefault(record["shard"], []).append(record["started_ns"] / 1e9)
    assert spread_s(due) > 1, "each has a slot of its own, two seconds from the next"


def spread_s(due: dict[int, list[float]], lifetime_s: float = 8.0) -> float:
    """The least distance between the slots of two shards, each by the earliest of its rotations within a lifetime: late ones come late."""
    origin_s = min(at_s for times in due.values() for at_s in times)
    slots = sorted(min((at_s - origin_s) % lifetime_s for at_s in times) for times in due.values())
    slots.append(slots[0] + lifetime_s)
    return min(later - earlier for earlier, later in itertools.pairwise(slots))


def test_an_exchange_that_dies_is_found_again_where_it_was_and_the_other_venue_flows_on() -> None:
    with demo(*BOTH, "--demo-rate", "200", shards=1) as program:
        program.wait_ready()
        psutil.Process(program.pid_of("exchange-binance_us")).kill()
        wait_flowing(program, "binance")
        wait_for("a new connection", lambda: program.status()["workers"][1].get("reconnects", 0) > 0)
        wait_flowing(program, "binance_us")
        program.wait_ready()
        assert {line["child"] for line in program.logged("child_died")} == {"exchange-binance_us"}
        assert not [line for line in program.logged("connection_lost") if line["process"] == "worker-0"]


def test_a_venue_that_cannot_be_reached_at_the_start_is_named_and_joins_when_it_answers() -> None:
    port = free_port()
    flags: Any = (
        "--binance-us-websocket-url", f"ws://127.0.0.1:{port}", "--binance-us-rest-url", f"http://127.0.0.1:{port}",
        "--streams", "trade", "--binance-us-symbols", "BBBUSDT",
    )  # fmt: skip
    with Venue(["AAAUSDT"]) as here, feed(here, *flags, shards=1, venues=BOTH[1]) as program:
        wait_flowing(program, "binance")
        wait_for("the reason", lambda: reasons(program) == ["starting: waiting for symbols of binance_us"])
        assert {line["exchange"] for line in program.logged("venue_unreachable")} == {"binance_us"}
        with Venue(["BBBUSDT"], port=port):
            program.wait_ready()
            wait_flowing(program, "binance_us")
            rows = program.status()["workers"]
            assert [(row["shard"], row["venue"]) for row in rows] == [(0, "binance"), (1, "binance_us")]
            program.stop()
            assert program.process.returncode == 0, "".join(program.raw)


def test_symbols_that_one_venue_does_not_have_end_the_start_with_its_name() -> None:
    ended = run_briefly(
        *BOTH, "--demo", "--binance-us-symbols", "NOSUCH", "--http-port", "0", "--publish-endpoint",
        f"tcp://127.0.0.1:{free_port()}", "--snapshot-endpoint", f"tcp://127.0.0.1:{free_port()}", "--books-endpoint",
        f"tcp://127.0.0.1:{free_port()}",
    )  # fmt: skip
    assert ended.returncode == 2
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("k2workers: error: ")]
    assert line.startswith("k2workers: error: binance_us: symbols = 'NOSUCH': the venue lists no such symbol")
