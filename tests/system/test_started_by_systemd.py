"""The unit as an operator has it: installed by the commands in its head, started and watched by a real systemd, under its whole sandbox."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import pytest

from tests.support import machine
from tests.support.machine import INSTALLED, Machine
from tests.support.waiting import wait_for
from tests.system.test_service import UNIT

pytestmark = [pytest.mark.long, pytest.mark.timeout(1_800)]  # a base and the packages, some hundred MB

HEAD = [line.removeprefix("#   ") for line in UNIT.read_text(encoding="utf-8").splitlines() if line.startswith("#   ")]

ENVIRONMENT = """K2_BINANCE_WEBSOCKET_URL=ws://127.0.0.1:9443
K2_BINANCE_REST_URL=http://127.0.0.1:9443
K2_SYMBOLS=*
K2_SHARDS=2
K2_DISK_RING_GB=1
"""
VENUE = f"systemd-run --quiet --unit=venue --working-directory={INSTALLED} {INSTALLED}/.venv/bin/python -m k2workers simulate --symbols 6 --rate 300"

DEADLY = "[Service]\nSystemCallErrorNumber=kill\n"
"""With it a call that the unit refuses ends the process that makes it, instead of going by unseen."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    if why_not := machine.why_not():
        pytest.skip(why_not)
    with contextlib.closing(Machine(tmp_path_factory.mktemp("machine"))) as made:
        made.write("/etc/k2workers/environment", ENVIRONMENT)
        made.write("/etc/systemd/system/k2workers.service.d/deadly.conf", DEADLY)
        setup, *others = HEAD
        made.run(setup, network=True)
        made.run(VENUE)
        wait_for("the venue", lambda: made.tried("curl --fail --silent 127.0.0.1:9443/api/v3/ping").returncode == 0)
        for command in others:
            made.run(command)
        yield made


@pytest.fixture
def started(installed: Machine) -> Machine:
    installed.tried(VENUE)
    installed.run("systemctl start k2workers")
    return installed


def said(of: Machine, what: str) -> str:
    return of.run(f"systemctl show --property={what} --value k2workers")


def ready(of: Machine) -> bool:
    return of.tried("curl --fail --silent 127.0.0.1:9091/readyz").returncode == 0


def journal(of: Machine, since: str) -> str:
    return of.run(f"journalctl --sync && journalctl --unit=k2workers --output=cat --no-pager --after-cursor='{since}'")


def now(of: Machine) -> str:
    """A place in the journal."""
    return of.run("journalctl --lines=0 --show-cursor").rpartition("-- cursor: ")[2]


def test_it_runs_as_its_own_user_with_no_power_and_writes_only_its_own_directories(started: Machine) -> None:
    assert ready(started)
    assert said(started, "StatusText") == "ready: every stream flows"
    status = started.run(f"cat /proc/{said(started, 'MainPID')}/status")
    facts = {name: value.split() for name, _, value in (line.partition(":") for line in status.splitlines())}
    assert facts["Uid"] == [started.run("id --user k2workers")] * 4
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == (["1"], ["2"])
    assert not any(int(facts[name][0], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"))
    assert started.run("ls /run/k2workers").startswith("run-")
    kept = ["checkpoint", "checkpoint-ring", "checkpoint.lock"]
    wait_for("its first checkpoint", lambda: started.run("ls /var/lib/k2workers").split() == kept)


def test_it_is_active_once_it_is_ready_and_a_venue_that_is_down_fails_no_start(started: Machine) -> None:
    started.run("systemctl stop k2workers venue")
    started.run("systemctl start --no-block k2workers")
    wait_for("the reason", lambda: said(started, "StatusText") == "not ready: starting: waiting for symbols")
    assert said(started, "ActiveState") == "activating"
    started.run(VENUE)
    wait_for("its start", lambda: said(started, "ActiveState") == "active")
    assert ready(started)
    assert said(started, "NRestarts") == "0"


def test_a_restart_goes_on_from_the_checkpoint(started: Machine) -> None:
    since = now(started)
    started.run("systemctl restart k2workers")
    assert '"event": "resumed"' in journal(started, since)
    assert ready(started)


def test_a_worker_that_is_killed_costs_no_restart_of_the_unit(started: Machine) -> None:
    since, first = now(started), said(started, "MainPID")
    children = json.loads(started.run("curl --silent 127.0.0.1:9091/status"))["children"]
    started.run(f"kill -KILL {children['worker-0']['pid']}")
    wait_for("its end", lambda: '"event": "child_died"' in journal(started, since))
    wait_for("all as before", lambda: ready(started))
    assert (said(started, "MainPID"), said(started, "ActiveState")) == (first, "active")
    assert journal(started, since).count('"event": "child_died"') == 1


def test_a_parent_that_stands_still_is_ended_tells_where_and_is_started_anew(started: Machine) -> None:
    since, first = now(started), said(started, "MainPID")
    started.run(f"kill -STOP {first}")
    wait_for(
        "another one", lambda: said(started, "MainPID") not in {"0", first} and said(started, "ActiveState") == "active"
    )
    told = journal(started, since)
    assert "Watchdog timeout" in told
    assert "Fatal Python error: Aborted" in told
    assert f'File "{INSTALLED}/k2workers/processes/' in told
    assert '"event": "resumed"' in told
    assert ready(started)


def test_a_stop_is_clean_and_leaves_nothing_but_what_is_kept(started: Machine) -> None:
    since = now(started)
    started.run("systemctl stop k2workers")
    assert (said(started, "Result"), said(started, "ExecMainStatus")) == ("success", "0")
    assert '"clean": true' in journal(started, since)
    assert started.tried("pgrep --uid k2workers").stdout == ""
    assert started.tried("ls /run/k2workers").returncode != 0
    assert started.run("ls /var/lib/k2workers").split() == ["checkpoint", "checkpoint-ring"]


def test_a_mistake_in_the_settings_is_told_and_not_tried_again(started: Machine) -> None:
    started.run("systemctl stop k2workers")
    since = now(started)
    started.write("/etc/k2workers/environment", f"{ENVIRONMENT}K2_SHARDS=many\n")
    failed = started.tried("systemctl start k2workers").returncode != 0
    started.write("/etc/k2workers/environment", ENVIRONMENT)
    assert failed
    assert "K2_SHARDS" in journal(started, since)
    wait_for("its end", lambda: said(started, "ActiveState") == "failed")
    assert (said(started, "ExecMainStatus"), said(started, "NRestarts")) == ("2", "0")
