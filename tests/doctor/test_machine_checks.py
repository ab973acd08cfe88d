"""What the doctor says of a machine: real sockets, locks, limits and file systems."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from k2workers import config, native
from k2workers.config import Settings
from k2workers.doctor import machine_checks
from k2workers.doctor.diagnosis import Diagnosis, Grade
from k2workers.doctor.examination import examine_all
from k2workers.processes import places
from k2workers.processes.run_plan import RunPlan
from tests.support.namespace import on_small_file_system, where_nothing_can_be_written
from tests.support.waiting import WAIT_S
from tests.system.support import PROGRAM, ROOT, free_port


def settings_with(**given: Any) -> Settings:
    ports = {
        "http_port": free_port(),
        "publish_endpoint": f"tcp://127.0.0.1:{free_port()}",
        "snapshot_endpoint": f"tcp://127.0.0.1:{free_port()}",
        "books_endpoint": f"tcp://127.0.0.1:{free_port()}",
    }
    return config.load({**ports, **given}, environ={})


async def examined(settings: Settings) -> dict[str, list[Diagnosis]]:
    by_check: dict[str, list[Diagnosis]] = {}
    for finding in await examine_all(machine_checks.checks(RunPlan(settings, Path(), origin_ns=0)), WAIT_S):
        assert finding.venue == ""
        by_check.setdefault(finding.check, []).append(finding)
    return by_check


async def test_where_a_feed_could_run_nothing_fails_and_nothing_is_left_behind(tmp_path: Path) -> None:
    run_dir, checkpoint = tmp_path / "run", tmp_path / "checkpoint"
    found = await examined(settings_with(run_dir=str(run_dir), checkpoint=str(checkpoint)))
    assert [*found] == ["versions", "native", "files", "places", "ports", "exposure", "shared_memory", "room"]
    assert not [finding for those in found.values() for finding in those if finding.grade is Grade.FAILED]
    assert list(tmp_path.iterdir()) == []
    assert "pyzmq" in found["versions"][0].found and "libzmq 4." in found["versions"][0].found


@pytest.mark.parametrize("own", [{}, {"disk_ring_dir": "there/is/none"}])
async def test_of_the_directories_of_a_disk_ring_nothing_is_left_either(
    own: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = await examined(settings_with(run_dir=str(tmp_path / "run"), disk_ring_gb=0.1, **own))
    assert [finding.grade for finding in found["places"]] == [Grade.OK]
    assert list(tmp_path.iterdir()) == []


async def test_a_disk_ring_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    settings = settings_with(run_dir=str(tmp_path / "run"), disk_ring_gb=0.1, disk_ring_dir="/proc/none")
    free, ring = (await examined(settings))["places"]
    assert (free.grade, ring.grade) == (Grade.OK, Grade.WARNING)
    assert "'/proc/none': cannot be written" in ring.found


async def test_a_directory_that_was_there_stays(tmp_path: Path) -> None:
    assert (await examined(settings_with(run_dir=str(tmp_path))))["places"][0].grade is Grade.OK
    assert tmp_path.is_dir()


async def test_what_another_feed_has_is_told_with_whose_it_is(tmp_path: Path) -> None:
    settings = settings_with(run_dir=str(tmp_path / "run"), checkpoint=str(tmp_path / "checkpoint"))
    with places.held(settings):
        found = (await examined(settings))["places"]
        assert (tmp_path / "run").is_dir()
    assert [finding.grade for finding in found] == [Grade.FAILED] * 2
    for finding in found:
        assert f"pid {os.getpid()}" in finding.found
        assert "runs already" in finding.advice


async def test_a_port_that_is_taken_is_told_with_who_holds_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        http, publish = one.getsockname()[1], other.getsockname()[1]
        found = (await examined(settings_with(http_port=http, publish_endpoint=f"tcp://127.0.0.1:{publish}")))["ports"]
    first, second = found
    assert f"http_port = {http}: Address already in use" in first.found
    assert "publish_endpoint" in second.found
    assert all(f"held by pid {os.getpid()} (" in finding.advice for finding in found)


async def test_of_a_feed_that_holds_ports_with_many_processes_only_the_first_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        heir = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "input()", stdin=subprocess.PIPE, pass_fds=[other.fileno()]
        )
        try:
            http, publish = one.getsockname()[1], other.getsockname()[1]
            other.close()
            settings = settings_with(http_port=http, publish_endpoint=f"tcp://127.0.0.1:{publish}")
            found = (await examined(settings))["ports"]
        finally:
            heir.kill()
            await heir.wait()
    assert len(found) == 2
    for finding in found:
        assert finding.advice.startswith(f"held by pid {os.getpid()} (")
        assert f"pid {heir.pid}" not in finding.advice


async def test_an_address_that_is_not_this_machines() -> None:
    found = (await examined(settings_with(http_host="192.0.2.1", books_endpoint="tcp://192.0.2.1:5557")))["ports"]
    assert ["http_host = '192.0.2.1'" in found[0].found, "no such address" in found[1].found] == [True, True]


async def test_what_other_machines_can_reach_is_a_warning() -> None:
    (found,) = (await examined(settings_with(http_host="0.0.0.0")))["exposure"]
    assert found.grade is Grade.WARNING
    assert found.found == "other machines can connect: http_host = '0.0.0.0'"


async def test_python_alone_is_a_warning_unless_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "extension", None)
    monkeypatch.setattr(native, "why_not", "it is not built")
    (found,) = (await examined(settings_with()))["native"]
    assert (found.grade, "gcc" in found.advice) == (Grade.WARNING, True)
    (found,) = (await examined(settings_with(native="off")))["native"]
    assert found.grade is Grade.SKIPPED


async def test_a_python_newer_than_all_that_were_tried_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_checks, "NEWEST_TESTED", (3, 10))
    (found,) = (await examined(settings_with()))["versions"]
    assert (found.grade, "3.10" in found.advice) == (Grade.WARNING, True)


def told(*before: str, **environment: str) -> dict[str, dict[str, str]]:
    """What the command finds under ``before``, by check."""
    ports = ["--http-port", "0", "--publish-endpoint", "tcp://127.0.0.1:*", "--snapshot-endpoint", "tcp://127.0.0.1:*"]
    ended = subprocess.run(
        [*before, *PROGRAM, "doctor", "--demo", "--json", *ports],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=WAIT_S, check=False,
    )  # fmt: skip
    assert ended.stderr == ""
    return {finding["check"]: finding for finding in json.loads(ended.stdout)["findings"]}


def test_a_low_limit_of_open_files_is_told_with_the_one_that_would_do() -> None:
    limited = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300)); os.execvp(sys.argv[1], sys.argv[1:])"
    found = told(sys.executable, "-c", limited)["files"]
    assert found["grade"] == "warning"
    assert found["found"] == "300 files may be open, 84 peers can connect to each port"
    assert "LimitNOFILE=" in found["advice"] and "932" in found["advice"]


def test_a_small_file_system_is_told_with_what_is_free(tmp_path: Path) -> None:
    found = told(*on_small_file_system(tmp_path), K2_RUN_DIR=str(tmp_path))["room"]
    # A little less than its megabyte while another check has its lock there.
    assert found["found"].startswith((f"{tmp_path}: 1 MB free", f"{tmp_path}: 0 MB free"))
    assert found["grade"] == "warning"


async def test_a_disk_ring_that_may_outgrow_its_disk_is_a_warning(tmp_path: Path) -> None:
    folder = tmp_path / "ring"
    places_of_it = {
        "run_dir": str(tmp_path / "run"),
        "checkpoint": str(tmp_path / "checkpoint"),
        "disk_ring_dir": str(folder),
    }
    ring = (await examined(settings_with(disk_ring_gb=0.1, **places_of_it)))["room"][-1]
    assert (ring.grade, "take 95 MB" in ring.found) == (Grade.OK, True)
    assert (await examined(settings_with(disk_ring_gb=100_000, **places_of_it)))["room"][-1].grade is Grade.WARNING
    folder.mkdir()
    with (folder / "part").open("wb") as held:
        held.truncate(100_000_000)
    (folder / "removed").symlink_to("nowhere")  # as a file that the feed, or another check, has just removed
    assert "take 0 MB" in (await examined(settings_with(disk_ring_gb=0.1, **places_of_it)))["room"][-1].found


def test_a_machine_where_nothing_can_be_written_is_told_of_in_words() -> None:
    ended = subprocess.run(
        [*where_nothing_can_be_written(), *PROGRAM, "doctor", "--demo"],
        cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert ended.stderr == "k2workers: error: no directory can be written; name one with TMPDIR\n"
