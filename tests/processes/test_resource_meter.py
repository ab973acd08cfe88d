"""What the parent measures of real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from k2workers import metrics
from k2workers.processes.resource_meter import TOLD_NS, ResourceMeter, Usage


@pytest.fixture
def meter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResourceMeter:
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path))
    return ResourceMeter("test")


def test_memory_and_processor_are_those_of_each_process_and_one_that_ended_keeps_its_last_reading(
    meter: ResourceMeter,
) -> None:
    waits = [sys.executable, "-c", "print('here', flush=True); input()"]
    with subprocess.Popen(waits, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"here\n"  # before, its memory is ours
        meter.measure({"parent": os.getpid(), "child": other.pid})
        read = meter.of("child")
        other.communicate(b"\n")
    assert meter.of("parent").rss_bytes > read.rss_bytes > 0
    meter.measure({"parent": os.getpid(), "child": other.pid})
    assert meter.of("child") == read
    assert meter.of("nobody") == Usage()


@pytest.mark.parametrize(("totals", "rises"), [((0, 500), True), ((500, 500), False), ((500, 3), False)])
def test_a_rate_is_the_growth_of_a_total_and_one_that_fell_has_begun_anew(
    meter: ResourceMeter, totals: tuple[int, int], *, rises: bool
) -> None:
    assert meter.rate("worker-0") == 0.0
    now_ns = time.monotonic_ns()
    for at_ns, total in zip((now_ns - 10**9, now_ns), totals, strict=True):
        meter.count("worker-0", total, at_ns)
    assert (meter.rate("worker-0") > 0) is rises


def test_a_rate_is_as_it_was_told_however_often_it_is_looked_at(meter: ResourceMeter) -> None:
    now_ns = time.monotonic_ns()
    meter.count("worker-0", 1_000, now_ns - 2 * 10**9)
    for _ in range(3):
        meter.count("worker-0", 5_000, now_ns)
    assert meter.rate("worker-0") == 2_000.0


def test_a_rate_that_was_told_long_ago_is_none_of_now(meter: ResourceMeter) -> None:
    now_ns = time.monotonic_ns()
    meter.count("worker-0", 1_000, now_ns - TOLD_NS - 10**9)
    meter.count("worker-0", 5_000, now_ns - TOLD_NS)
    assert meter.rate("worker-0") == 0.0


def test_the_processor_time_of_a_name_goes_on_in_its_next_life(meter: ResourceMeter) -> None:
    meter.measure({"child": os.getpid()})
    first_s = meter.cpu_s("child")
    assert first_s == meter.of("child").cpu_s > 0
    waits = [sys.executable, "-c", "print('here', flush=True); input()"]
    with subprocess.Popen(waits, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as second:
        assert second.stdout is not None
        assert second.stdout.readline() == b"here\n"
        for _ in range(2):
            meter.measure({"child": second.pid})
            assert meter.cpu_s("child") == first_s + meter.of("child").cpu_s
        second.communicate(b"\n")
    assert meter.cpu_s("nobody") == 0.0
