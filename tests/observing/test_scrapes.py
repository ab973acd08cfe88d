"""A real Prometheus watches a demonstration that rotates and whose processes are killed: what it saw must hold together, and its alert must fire."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from k2workers import native
from k2workers.metrics.__main__ import names
from k2workers.metrics.dashboard import expressions
from tests.observing.moves import BY_DEMONSTRATION, BY_FAULTS, ELSEWHERE, NATIVE, STILL
from tests.observing.own_feeds import OWN_FEEDS
from tests.observing.strikes import BY_SERIES, STRIKES
from tests.observing.test_rules import ALERTS, RECORDS
from tests.support.prometheus import RULES, Prometheus, impatient, prometheus, promtool
from tests.support.waiting import wait_for
from tests.system.support import ROOT, Program, demo

SHOWN = {name.partition("{")[0] for name in names()}
NEEDS_HOURS = {"k2:resident_memory_bytes:growth_per_day"}
"""The record that looks at six hours."""


def test_of_each_metric_and_each_alert_it_is_said_what_moves_it() -> None:
    told = [*BY_DEMONSTRATION, *BY_FAULTS, *ELSEWHERE, *STILL]
    assert sorted(told) == sorted(SHOWN)
    for file, figure in ELSEWHERE.values():
        assert figure in (ROOT / file).read_text(encoding="utf-8"), (file, figure)
    by_strikes = {metric for strike in STRIKES.values() for metric in strike.moves}
    assert by_strikes - set(BY_DEMONSTRATION) == set(BY_FAULTS)
    fired = {alert for strike in STRIKES.values() for alert in strike.alerts}
    fired |= {alert for own in OWN_FEEDS.values() for alert in own.alerts}
    assert sorted([*fired, *BY_SERIES]) == sorted(ALERTS)


@pytest.mark.parametrize(
    ("shards", "rotations", "kills"), [(3, 10, 4), pytest.param(8, 100, 50, marks=[pytest.mark.long, pytest.mark.timeout(1200)])]
)  # fmt: skip
def test_what_prometheus_saw_of_rotations_and_kills_holds_together(
    shards: int, rotations: int, kills: int, tmp_path: Path
) -> None:
    with demo("--rotation-lifetime", "2", "--demo-rate", "300", shards=shards) as program:
        started = wait_for("the HTTP address", lambda: program.logged("started"))[0]
        address = started["http"].removeprefix("http://")
        rules = impatient(RULES.read_text(encoding="utf-8"), "1s", "30s")
        with prometheus(tmp_path, {"k2workers": address}, rules=rules, every="2s") as watch:
            program.wait_ready()
            wait_for("a scrape of the feed when it is ready", lambda: watch.query("k2_ready == 1"))
            victims = ["worker-0", "aggregator", "books", *(f"worker-{shard}" for shard in range(1, shards))]
            victims = victims[
                : kills // 2
            ]  # each of them more than once: what the first death leaves, the next must not add to
            for name in victims:
                _kill(program, name)
            alerts = wait_for("the alert", lambda: watch.firing().get("K2ChildRestarted"))
            assert alerts[0]["annotations"]["summary"].endswith(" ended and was restarted")
            series, files = _series(program), _files(Path(started["run_dir"]))
            for number in range(len(victims), kills):
                _kill(program, victims[number % len(victims)])
            wait_for(
                "the rotations", lambda: watch.query(f"sum(k2_binance_connection_rotations_total) >= {rotations}"), 600
            )
            _judge(watch, program)
            wait_for("the same series as before", lambda: _series(program) == series)
            wait_for("files of those that live alone", lambda: _files(Path(started["run_dir"])) == files)
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw[-20:])


def _kill(program: Program, name: str) -> None:
    pid = program.pid_of(name)
    os.kill(pid, signal.SIGKILL)

    def lives_again() -> bool:
        child = program.status()["children"][name]
        return bool(child["alive"] and child["ready"] and child["pid"] != pid)

    wait_for(f"the next {name}", lives_again)


def _judge(watch: Prometheus, program: Program) -> None:
    said = promtool("check", "metrics", given=program.http("/metrics")[1])
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
    counters = [name for name in SHOWN if name.endswith("_total")]
    counters += [
        f"{name}_{part}" for name in SHOWN if name.endswith("_latency_seconds") for part in ("count", "bucket")
    ]
    assert {name: fell for name in counters if (fell := watch.query(f"resets({name}[10m]) > 0"))} == {}
    by_demonstration = {name for name in BY_DEMONSTRATION if name not in NATIVE or native.extension is not None}
    still = {name for name in by_demonstration if not _moved(watch, name)}
    assert still == set(), "nothing moved these"
    asked = [one.replace("$instance", ".*").replace("$__rate_interval", "20s") for one in expressions()]
    missing = {*asked, *(RECORDS - NEEDS_HOURS)}

    def all_have_data() -> bool:
        # A scrape that a busy machine did not answer in time leaves nothing to show for that moment.
        missing.difference_update([expression for expression in missing if watch.query(expression)])
        return not missing

    wait_for("data of each panel and record", all_have_data)


def _moved(watch: Prometheus, name: str) -> bool:
    """Whether a counter has left the 0 at which each begins (``tests/system/test_counters.py``), or a gauge was seen with two values."""
    if name.endswith("_total"):
        return bool(watch.query(f"max_over_time({name}[10m]) > 0"))
    name += "_count" if name.endswith("_latency_seconds") else ""
    return bool(watch.query(f"max_over_time({name}[10m]) > min_over_time({name}[10m])"))


def _series(program: Program) -> set[str]:
    """Every series that ``/metrics`` has once all processes have told of all that they do."""

    def all_told() -> set[str] | None:
        shown = set(program.metrics("k2_"))
        there = {line.partition("{")[0] for line in shown}
        received, last = (
            _kinds(shown, name) for name in ("k2_events_received_total", "k2_last_event_timestamp_seconds")
        )
        return shown if there >= SHOWN_ALWAYS and received == last else None

    return wait_for("figures of all processes", all_told)


def _kinds(shown: set[str], name: str) -> set[tuple[str, ...]]:
    """Shard and kind of each series of this name."""
    lines = (line for line in shown if line.startswith(name))
    return {tuple(re.findall(r'(?:shard|kind)="(\w+)"', line)) for line in lines}


SHOWN_ALWAYS = {
    name
    for name in SHOWN
    if not name.endswith("_latency_seconds") and name != "k2_peers_cut_total" and not name.startswith("k2_disk_ring_")
}
"""Of a feed without a disk ring."""


def _files(run_dir: Path) -> list[str]:
    """The files of metrics, without the numbers of processes, and with their sizes."""
    return sorted(
        f"{re.sub(r'[0-9]+', 'PID', file.name)} {file.stat().st_size}" for file in (run_dir / "metrics").iterdir()
    )
