"""The systemd unit: verified by systemd's own tools, and a feed under what can be had of its sandbox without systemd, told on as by systemd."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from k2workers.processes.service_manager import MORE_TIME_S
from tests.support.waiting import WAIT_S, wait_for
from tests.system.support import PROGRAM, ROOT, Program
from tests.system.test_setup import fresh

UNIT = ROOT / "config/k2workers.service"
LINES = [
    line.partition("=") for line in UNIT.read_text(encoding="utf-8").splitlines() if "=" in line and line[0] != "#"
]
INSTALLED = "/opt/k2workers"

MOST_EXPOSED = 20
"""In tenths, by `systemd-analyze security`: 100 is everything, and a usual service has 96."""

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")


def values(name: str) -> list[str]:
    return [value for key, _, value in LINES if key == name]


def analyzed(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *words],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
        env={**os.environ, "SYSTEMD_PAGER": ""},
    )


@needs_systemd
def test_systemd_finds_nothing_wrong_with_the_unit_and_little_that_it_may_do(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text(encoding="utf-8").replace(INSTALLED, str(ROOT)), encoding="utf-8")
    verified = analyzed("verify", "--man=no", str(unit))
    ours = [
        line for line in verified.stderr.splitlines() if UNIT.name in line
    ]  # others' units may have faults of their own
    assert ours == []
    unit.write_text(UNIT.read_text(encoding="utf-8") + "\nTypo=1\n", encoding="utf-8")
    assert "Typo" in analyzed("verify", "--man=no", str(unit)).stderr
    judged = analyzed("security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(UNIT))
    assert judged.returncode == 0, judged.stdout


def test_the_unit_and_the_program_agree() -> None:
    assert values("Type") == ["notify"]
    assert values("TimeoutStartSec") == [str(MORE_TIME_S)]
    assert values("RestartPreventExitStatus") == ["2"]  # a mistake of the user's, see cli.main
    assert values("ExecStart") == [f"{INSTALLED}/.venv/bin/python -m k2workers"]


def test_the_first_command_in_front_of_the_unit_makes_what_it_starts(tmp_path: Path) -> None:
    there = fresh(tmp_path / "checkout")
    (first,) = re.findall(rf"(?m)^#   (cd {INSTALLED} && .*)$", UNIT.read_text(encoding="utf-8"))
    subprocess.run(
        ["sh", "-ec", first.replace(INSTALLED, str(there))], check=True, timeout=2 * WAIT_S, capture_output=True
    )
    (started,) = values("ExecStart")
    said = subprocess.run(
        [*started.replace(INSTALLED, str(there)).split(), "--shards", "2"],
        cwd=there, check=True, timeout=WAIT_S, capture_output=True, text=True,
    )  # fmt: skip
    assert said.stdout == "--shards 2\n"
    assert [*there.glob("k2workers/__pycache__/*.pyc")]


SANDBOXED = """
import ctypes, os, sys
PR_SET_MDWE, REFUSE_EXEC_GAIN, PR_SET_NO_NEW_PRIVS = 65, 1, 38
libc = ctypes.CDLL(None, use_errno=True)
for option in (PR_SET_MDWE, PR_SET_NO_NEW_PRIVS):
    if libc.prctl(option, REFUSE_EXEC_GAIN, 0, 0, 0):
        sys.exit(f"prctl {option}: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[1], sys.argv[1:])
"""


def knows_mdwe() -> bool:
    """Whether this kernel can refuse memory that is written and executed (6.3 or newer), as MemoryDenyWriteExecute does."""
    return bool(ctypes.CDLL(None).prctl(66, 0, 0, 0, 0) >= 0)


def sandboxed() -> tuple[str, ...]:
    """What to put before a command that shall see no more of /proc than ProtectProc and ProcSubset show, and execute nothing that it has written."""
    if os.geteuid() != 0:
        return ()
    mounted = "mount -t proc -o subset=pid,hidepid=invisible proc /proc"
    denied = (sys.executable, "-c", SANDBOXED) if knows_mdwe() else ()
    return ("unshare", "--mount", "sh", "-c", f'{mounted} && exec "$@"', "sh", *denied)


@pytest.fixture
def manager() -> Iterator[socket.socket]:
    with (
        tempfile.TemporaryDirectory(prefix="k2-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening,
    ):
        listening.bind(f"{folder}/notify")
        listening.settimeout(WAIT_S)
        yield listening


def test_a_feed_in_the_sandbox_tells_when_it_is_ready_that_it_lives_and_that_it_ends(manager: socket.socket) -> None:
    heard: list[list[str]] = []

    def hear(word: str) -> bool:
        heard.append(manager.recv(4_096).decode().split("\n"))
        return word in heard[-1]

    ports = ("--http-port", "0", "--publish-endpoint", "tcp://127.0.0.1:*", "--snapshot-endpoint", "tcp://127.0.0.1:*")
    told = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "30000000"}
    with Program(
        "--demo", "--shards", "1", "--log-format", "json", *ports, command=(*sandboxed(), *PROGRAM), **told
    ) as program:
        wait_for("the word that it is ready", lambda: hear("READY=1"))
        assert program.http("/readyz")[0] == 200
        before = heard[:-1]
        assert before
        assert all(
            f"EXTEND_TIMEOUT_USEC={MORE_TIME_S}000000" in each and "STATUS=not ready: " in each[0] for each in before
        )
        program.process.send_signal(signal.SIGTERM)
        wait_for("the word that it ends", lambda: hear("STOPPING=1"))
        assert all("WATCHDOG=1" in each for each in heard[:-1])
        program.join()
    assert program.process.returncode == 0, "".join(program.raw)
    assert not [line for line in program.log if line["level"] == "error"]


def members(group: str) -> set[str]:
    """The system calls of a group of systemd's, with those of the groups in it."""
    found: set[str] = set()
    for line in map(str.strip, analyzed("syscall-filter", group).stdout.splitlines()):
        if line.startswith("@") and line != group:
            found |= members(line)
        elif line and line[0] not in "@#":
            found.add(line)
    return found


@pytest.mark.long
@needs_systemd
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_no_process_calls_what_the_unit_forbids(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    ports = ("--http-port", "0", "--publish-endpoint", "tcp://127.0.0.1:*", "--snapshot-endpoint", "tcp://127.0.0.1:*")
    strace = ("strace", "--follow-forks", "--summary-only", f"--output={calls}")
    flags = ("--demo", "--shards", "2", "--duration", "30", "--log-format", "json")  # strace lets no signal end it
    with Program(*flags, *ports, command=(*strace, *PROGRAM)) as program:
        program.join()
    assert program.process.returncode == 0, "".join(program.raw)
    made = {line.split()[-1] for line in calls.read_text(encoding="utf-8").splitlines()[2:] if line.strip()} - {"total"}
    may: set[str] = set()
    for value in values("SystemCallFilter"):
        named = {
            call for word in value.removeprefix("~").split() for call in (members(word) if word[0] == "@" else {word})
        }
        may = may - named if value[0] == "~" else may | named
    assert "execve" in made
    assert {call for call in made if not call.startswith("-")} - may == set()
