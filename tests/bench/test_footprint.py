"""The tree that the benchmark measures stays the tree that we think it is, and small."""

from __future__ import annotations

from pathlib import Path

from tests.bench import footprint

WORKER_MB = 50
"""A fifth above what it is: enough for other versions of Python, too little for one more library."""


def test_a_feed_is_its_parent_the_forkserver_and_lean_children(tmp_path: Path) -> None:
    seconds, memory = footprint.start(2, tmp_path, secure=False, rest_s=0)
    assert 0 < seconds["first_event_s"] <= seconds["every_shard_s"]
    assert set(memory) == {"parent", "forkserver", "resource_tracker", "aggregator", "books", "worker-0", "worker-1"}
    children = [figures["rss_mb"] for name, figures in memory.items() if name != "parent"]
    assert max(children) < WORKER_MB
    assert footprint.summed(memory)["pss_mb"] < footprint.summed(memory)["rss_mb"]
