"""Processes that others leave to us; a container's first process is in ``system/test_orphans.py``."""

from __future__ import annotations

import os
import sys

import psutil

from k2workers.supervision.orphans import Orphans
from tests.support.waiting import wait_for


def ending(code: int) -> int:
    """The pid of a child that ends with this exit code."""
    return os.posix_spawn(sys.executable, [sys.executable, "-c", f"raise SystemExit({code})"], {})


def dead(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_those_that_came_later_are_buried_and_our_own_are_left_to_whoever_started_them() -> None:
    own = ending(3)
    orphans = Orphans()
    others = [ending(0), ending(1)]
    for pid in (own, *others):
        wait_for("its end", lambda pid=pid: dead(pid))
    for _ in range(2):
        orphans.bury()
    assert [psutil.pid_exists(pid) for pid in others] == [False, False]
    assert os.waitstatus_to_exitcode(os.waitpid(own, 0)[1]) == 3


def test_one_that_still_runs_is_let_alone_until_it_ends() -> None:
    orphans = Orphans()
    reads, writes = os.pipe()
    pid = os.posix_spawn(
        sys.executable, [sys.executable, "-c", "input()"], {}, file_actions=[(os.POSIX_SPAWN_DUP2, reads, 0)]
    )
    orphans.bury()
    assert psutil.pid_exists(pid)
    os.write(writes, b"\n")
    os.close(writes)
    os.close(reads)
    wait_for("its end", lambda: dead(pid))
    orphans.bury()
    assert not psutil.pid_exists(pid)
