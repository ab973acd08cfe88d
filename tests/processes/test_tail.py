"""``tail`` of a real feed: what it prints of what is wanted, and what it refuses."""

from __future__ import annotations

import csv
import json
import subprocess
import time
from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.support.waiting import wait_for
from tests.system.support import Program, demo, free_port, run_briefly


@pytest.fixture(scope="module")
def publish(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where a demonstration publishes that keeps a disk ring; all ports follow each other, as by default."""
    while True:
        first = free_port()
        if [free_port() for _ in range(3)] == [first + 1, first + 2, first + 3]:
            break
    ring = ["--disk-ring-gb", "0.1", "--disk-ring-dir", str(tmp_path_factory.mktemp("ring"))]
    ring += ["--disk-ring-endpoint", f"tcp://127.0.0.1:{first + 3}"]
    kinds = ["--symbols", "BTCUSDT,ETHUSDT", "--streams", "trade,depth"]
    with demo(*ring, *kinds, shards=1, publish=first, replay=first + 1, books=first + 2) as program:
        program.wait_ready()
        wait_for("the disk ring", lambda: sum(program.metrics("k2_disk_ring_batches_total").values()))
        yield first


def _tail(publish: int, *args: str) -> subprocess.CompletedProcess[str]:
    return run_briefly("tail", *args, "--endpoint", f"tcp://127.0.0.1:{publish}")


def test_only_events_that_meet_every_condition_are_printed_in_json_with_whole_times(publish: int) -> None:
    ended = _tail(
        publish, "binance.", "--where", "symbol=ETHUSDT", "--where", "quantity>0.01", "--json", "--count", "5"
    )
    rows = [json.loads(each) for each in ended.stdout.splitlines()]
    assert (ended.returncode, len(rows)) == (0, 5)
    assert {(row["topic"], row["type"]) for row in rows} == {("binance.trade.ETHUSDT", "Trade")}
    assert all(Decimal(row["quantity"]) > Decimal("0.01") for row in rows)
    assert all(abs(row["publish_ns"] - time.time_ns()) < 3_600 * 10**9 for row in rows)


def test_a_table_has_its_header_once_and_ends_in_words_at_another_type(publish: int) -> None:
    ended = _tail(publish, "binance.trade.", "--csv", "--count", "5")
    head, *rows = csv.reader(ended.stdout.splitlines())
    assert head[:5] == ["topic", "sequence", "publish_ns", "type", "trade_id"]
    assert (ended.returncode, len(rows), {len(row) for row in rows}) == (0, 5, {len(head)})
    refused = _tail(publish, "binance.", "--csv")
    assert refused.returncode == 2
    assert "k2workers: error: csv: " in refused.stderr and "allowed: topics of one kind" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_since_begins_with_what_was_published_then(publish: int) -> None:
    before_ns = time.time_ns()
    with Program(
        "tail", "binance.trade.BTCUSDT", "--json", "--since", "1h", "--endpoint", f"tcp://127.0.0.1:{publish}"
    ) as tail:
        wait_for("what is live", lambda: tail.log and tail.log[-1]["publish_ns"] > before_ns)
    ids = [row["trade_id"] for row in tail.log]
    assert tail.log[0]["publish_ns"] < before_ns, "from before it was asked for"
    assert ids == list(range(ids[0], ids[0] + len(ids)))
