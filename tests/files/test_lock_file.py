"""Locks between programs: real files, real processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from k2workers.files import lock_file
from k2workers.files.lock_file import LockFile, described, listener_at
from tests.support.waiting import wait_for

HOLDER = """
import sys
from pathlib import Path
from k2workers.files.lock_file import LockFile
lock = LockFile(Path(sys.argv[1]))
assert lock.take() == ""
print("held", flush=True)
sys.stdin.read()
"""


def test_who_comes_second_is_told_who_has_it_and_gets_it_when_that_one_is_dead(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        second = LockFile(path)
        owner = second.take()
        assert owner.startswith(f"pid {holder.pid} (")
        assert Path(sys.executable).name in owner
        assert not second.held
        holder.kill()
    assert second.take() == ""
    assert second.held
    second.close()
    second.close()
    assert not path.exists()


def test_an_owner_whose_words_found_no_room_is_another_program(tmp_path: Path) -> None:
    first, second = LockFile(tmp_path / "lock"), LockFile(tmp_path / "lock")
    assert first.take() == ""
    (tmp_path / "lock").write_text("")
    assert second.take() == "another program"
    first.close()


def test_a_lock_whose_file_was_removed_is_not_held_and_can_be_taken_again(tmp_path: Path) -> None:
    lock, other = LockFile(tmp_path / "lock"), LockFile(tmp_path / "lock")
    assert lock.take() == ""
    (tmp_path / "lock").unlink()
    assert not lock.held
    assert lock.take() == ""
    assert lock.held
    (tmp_path / "lock").unlink()
    assert other.take() == ""
    lock.close()
    assert other.held, "what is another's now is not removed"
    other.close()


def test_a_place_where_no_file_can_be_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LockFile(tmp_path / "missing" / "lock").take()


def test_a_process_is_told_by_its_number_and_its_command_which_may_be_long(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sleep", "1000"]) as other:
        try:
            wait_for("its words", lambda: described(other.pid) == f"pid {other.pid} (sleep 1000)")
        finally:
            other.kill()
    assert described(other.pid) == f"pid {other.pid}"
    monkeypatch.setattr(sys, "orig_argv", ["python", "x" * 5_000])
    assert len(described(os.getpid())) < lock_file.COMMAND_CHARS + 50


def test_who_listens_at_a_path_is_found_and_a_file_that_nobody_hears_is_nobody(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    assert listener_at(path) == ""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        assert listener_at(path) == described(os.getpid())
        assert listener_at(path) == described(os.getpid()) or listener_at(path) == "another program"
    assert listener_at(path) == ""
