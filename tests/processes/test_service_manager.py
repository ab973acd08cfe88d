"""What a service manager is told, over a real socket of the kind that systemd gives."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from k2workers.processes.service_manager import ServiceManager


class Manager:
    """Listens as systemd does. ``environ`` is what it gives to a service."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0"))
        self.socket.settimeout(60)
        self.environ = {"NOTIFY_SOCKET": address}

    def heard(self) -> list[str]:
        return self.socket.recv(4_096).decode().split("\n")


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify") if request.param == "path" else f"@k2-{tmp_path.name}-{os.getpid()}")
    yield made
    made.socket.close()


def test_ready_is_told_once_every_stream_flows_and_what_is_wrong_later_takes_it_from_nobody(manager: Manager) -> None:
    reasons = ["starting: waiting for symbols"]
    service = ServiceManager(manager.environ, lambda: reasons)
    assert service.listens
    service.tell()
    assert manager.heard() == ["STATUS=not ready: starting: waiting for symbols", "EXTEND_TIMEOUT_USEC=180000000"]
    reasons.clear()
    service.tell()
    assert manager.heard() == ["READY=1", "STATUS=ready: every stream flows"]
    reasons.extend(["process_down: worker-0", "gaps_open: 3"])
    service.tell()
    assert manager.heard() == ["STATUS=not ready: process_down: worker-0; gaps_open: 3"]
    service.tell_end()
    assert manager.heard()[0] == "STOPPING=1"


@pytest.mark.parametrize("reasons", [[], ["process_down: worker-0"]])
def test_of_a_run_that_ends_only_its_life_is_told(manager: Manager, reasons: list[str]) -> None:
    watched = {**manager.environ, "WATCHDOG_USEC": "1000000"}
    service = ServiceManager(watched, lambda: reasons)
    service.tell_end()
    assert manager.heard()[0] == "STOPPING=1"
    service.tell()
    assert manager.heard() == ["WATCHDOG=1"]
    unwatched = ServiceManager(manager.environ, lambda: reasons)
    unwatched.tell_end()
    manager.heard()
    unwatched.tell()
    manager.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.heard()


def test_a_watchdog_hears_us_well_before_it_bites(manager: Manager) -> None:
    watched = {**manager.environ, "WATCHDOG_USEC": "1500000", "WATCHDOG_PID": str(os.getpid())}
    service = ServiceManager(watched, lambda: ["starting"])
    assert service.period_s == 0.5
    service.tell()
    assert manager.heard()[-1] == "WATCHDOG=1"
    assert ServiceManager({**watched, "WATCHDOG_USEC": "30000000"}, list).period_s == 1.0


@pytest.mark.parametrize("other", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": ""}])
def test_a_watchdog_of_another_process_or_none_is_not_fed(manager: Manager, other: dict[str, str]) -> None:
    service = ServiceManager({**manager.environ, "WATCHDOG_USEC": "1000000", **other}, list)
    service.tell()
    assert "WATCHDOG=1" not in manager.heard()


def test_one_that_is_busy_costs_no_time_and_is_told_again(manager: Manager) -> None:
    service = ServiceManager(manager.environ, lambda: ["x" * 10_000])
    for _ in range(1_000):  # far more than the kernel keeps for a reader: it does not wait
        service.tell()
    assert len(manager.heard()[0]) == 500


def test_where_there_is_none_nothing_is_told(tmp_path: Path) -> None:
    service = ServiceManager({}, list)
    assert not service.listens
    service.tell_end()
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}, list).tell()
