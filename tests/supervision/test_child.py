"""What a child does with itself."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

from k2workers.feed.feed_settings import FeedSettings
from k2workers.processes import aggregator, worker
from k2workers.supervision.child import DRAIN_LIMIT_S, settle_memory
from k2workers.supervision.supervisor import SupervisorPolicy
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
PARENT = """
import asyncio, sys
from k2workers.supervision.child import ChildSpec
from k2workers.supervision.supervisor import Supervisor, SupervisorPolicy
async def main(folder):
    ignore = lambda *_: None
    supervisor = Supervisor(f"ipc://{folder}/control", SupervisorPolicy(), on_record=ignore, on_dead=ignore, on_fatal=ignore)
    supervisor.start()
    supervisor.launch(ChildSpec(name="slow", target="tests.supervision.children:drain_slowly", settings=f"{folder}/last"))
    await supervisor.wait_ready("slow")
    print("ready", flush=True)
    await asyncio.Event().wait()
if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
"""


def test_a_child_whose_parent_is_gone_has_the_same_time_to_end_as_any(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script), str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        try:
            assert "ready\n" in iter(parent.stdout.readline, "")
        finally:
            parent.kill()
    wait_for("its last work done", (tmp_path / "last").exists)


def test_what_a_child_waits_for_while_it_ends_takes_less_than_it_is_given() -> None:
    policy = SupervisorPolicy()
    assert policy.drain_limit_s == DRAIN_LIMIT_S
    closing_s = FeedSettings.__struct_defaults__[
        FeedSettings.__struct_fields__.index("close_timeout_s") - len(FeedSettings.__struct_fields__)
    ]
    assert 2 * (closing_s + worker.DRAIN_S) <= DRAIN_LIMIT_S, "on a busy machine too"
    assert 2 * aggregator.DRAIN_LIMIT_S <= DRAIN_LIMIT_S


def test_a_settled_child_is_left_alone_by_the_collector() -> None:
    thresholds = gc.get_threshold()
    try:
        settle_memory()
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold() == (50_000, 20, 100)
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
