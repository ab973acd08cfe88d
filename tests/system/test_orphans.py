"""The feed as the first process of a container: what others leave behind there becomes its own to bury."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

import psutil
import pytest

from tests.support.waiting import WAIT_S, wait_for
from tests.system.support import PROGRAM, demo

ALONE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


def test_as_the_first_process_it_buries_whoever_is_left_to_it() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may make a process the first one")
    assert shutil.which("unshare") is not None
    with demo(command=(*ALONE, *PROGRAM)) as program:
        program.wait_ready()
        (first,) = psutil.Process(program.process.pid).children()
        own = set(first.children())

        def left() -> set[psutil.Process]:
            return {process for process in first.children() if process not in own}

        subprocess.run(
            ["nsenter", f"--target={first.pid}", "--pid", "--mount", "sh", "-c", "for i in 1 2 3; do sleep 1000 & done"],
            check=True, timeout=WAIT_S,
        )  # fmt: skip
        orphans = wait_for("orphans", lambda: found if len(found := left()) == 3 else None)
        for orphan in orphans:
            orphan.kill()
        wait_for("their burial", lambda: not left())
        assert set(first.children()) == own, "its own children are looked after by whoever started them"
        first.send_signal(signal.SIGTERM)
        program.join()
        assert program.process.returncode == 0, "".join(program.raw)
