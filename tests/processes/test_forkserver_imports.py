"""What every child begins with: each module here is counted in the memory of every process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.waiting import WAIT_S

ROOT = Path(__file__).resolve().parents[2]

NOT_FOR_CHILDREN = {
    "aiohttp", "attr", "cyclopts", "k2workers.cli", "k2workers.config", "k2workers.processes.run_plan", "k2workers.simulator.exchange",
    "k2workers.supervision.supervisor", "k2workers.processes.topology", "psutil", "pygments", "rich",
}  # fmt: skip

SCRIPT = """
import gc, sys, threading
from k2workers.processes import bootstrap
for name in bootstrap.PRELOAD:
    __import__(name)
assert gc.get_freeze_count() > 10_000 and threading.active_count() == 1
print(*sys.modules)
"""


def test_children_share_what_they_need_and_nothing_else(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True, timeout=WAIT_S,
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
    )  # fmt: skip
    modules = set(found.stdout.split())
    assert {
        "k2workers.processes.worker", "k2workers.processes.aggregator", "httpcore", "uvloop", "websockets.asyncio.client", "zmq.asyncio",
    } <= modules  # fmt: skip
    assert NOT_FOR_CHILDREN & modules == set()
