"""The disk ring of the running program: a subscriber that was away for longer than the memory ring holds, through a kill of the aggregator, misses nothing."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path

from k2workers import Lost, MessageBatch, Position, Subscriber
from tests.support.waiting import wait_for
from tests.system.support import Program, demo, free_port

COUNTED = ("trade", "agg_trade")
"""Kinds whose ids the exchange counts by one: nothing else is needed to see that all of them came once."""


class Reader:
    """A program that remembers which ids it was given."""

    def __init__(self, publish: int, replay: int, disk: int) -> None:
        self._endpoints = {
            "endpoint": f"tcp://127.0.0.1:{publish}", "snapshot_endpoint": f"tcp://127.0.0.1:{replay}",
            "books_endpoint": None, "disk_ring_endpoint": f"tcp://127.0.0.1:{disk}",
        }  # fmt: skip
        self.ids: dict[str, Counter[int]] = {}
        self.lost: list[Lost] = []
        self.position: Position | None = None
        self.through_ns = 0
        """When the newest batch was published."""

    def run(self, seconds_of_feed: float) -> None:
        """Until batches come that are published so long after now."""
        until_ns = time.time_ns() + int(seconds_of_feed * 1e9)
        with Subscriber(["binance."], position=self.position, **self._endpoints) as subscriber:  # type: ignore[arg-type]
            for item in subscriber.batches():
                self._take(item)
                if self.through_ns >= until_ns:
                    break
            self.position = Position.from_bytes(subscriber.position().to_bytes())

    def _take(self, item: MessageBatch | Lost) -> None:
        if isinstance(item, Lost):
            self.lost.append(item)
            return
        self.through_ns = max(self.through_ns, item.publish_ns)
        if item.topic.split(".")[1] in COUNTED:
            ids = self.ids.setdefault(item.topic, Counter())
            ids.update(event.first_id for event in item.events)

    def assert_whole(self) -> None:
        assert self.lost == []
        assert len(self.ids) > 20
        for topic, ids in self.ids.items():
            assert set(ids.values()) == {1}, f"{topic}: an id more than once"
            assert len(ids) == max(ids) - min(ids) + 1, f"{topic}: ids are missing"


def written(program: Program) -> float:
    return sum(program.metrics("k2_disk_ring_batches_total").values())


def test_a_subscriber_that_was_away_misses_nothing_though_the_aggregator_was_killed_meanwhile(tmp_path: Path) -> None:
    publish, replay, disk = free_port(), free_port(), free_port()
    flags = ["--replay-ring-mb", "1", "--replay-ring-s", "3", "--demo-rate", "1500", "--disk-ring-gb", "0.1"]
    folder = tmp_path / "ring"
    with demo(
        *flags, "--disk-ring-dir", str(folder), "--disk-ring-endpoint", f"tcp://127.0.0.1:{disk}", publish=publish, replay=replay
    ) as program:  # fmt: skip
        program.wait_ready()
        wait_for("the disk ring", lambda: written(program) > 0)
        reader = Reader(publish, replay, disk)
        reader.run(1.0)
        gone = reader.through_ns
        pid = program.pid_of("aggregator")
        os.kill(pid, signal.SIGKILL)
        wait_for("another aggregator", lambda: program.status()["children"]["aggregator"]["pid"] not in {pid, None})
        program.wait_ready()
        before = written(program)
        wait_for("more on the disk", lambda: written(program) > before + 2_000)
        wait_for("a while", lambda: time.time_ns() - gone > 5 * 10**9)
        ring = program.status()["disk_ring"]
        assert (ring["bytes"] > 0, "error" in ring) == (True, False)
        reader.run(0.5)
        reader.assert_whole()
        assert reader.position is not None and len(reader.position.left) == 1
        program.stop()
    assert any(folder.glob("*.ring"))
