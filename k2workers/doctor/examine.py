"""Owns the command ``doctor``: which checks are made for these settings, and how their findings are printed."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from k2workers import __version__, event_loop
from k2workers.config import Settings
from k2workers.doctor import machine_checks, venue_checks
from k2workers.doctor.diagnosis import Diagnosis, Grade, as_data, as_lines, sound
from k2workers.doctor.examination import Check, examine_all
from k2workers.logs import log
from k2workers.processes.line_output import need_output, print_whole
from k2workers.processes.run_plan import RunPlan


def examine(settings: Settings, *, json: bool) -> int:
    """Look at everything that a feed with these settings needs, print what was found, and return the exit code: 1 if something failed.

    Raises ConfigError for settings with which no feed would start anywhere, and where nothing can be printed.
    """
    need_output("doctor")
    log.configure("error", settings.log_format, process="doctor")
    plan = RunPlan(settings, Path(), origin_ns=time.monotonic_ns())
    found = event_loop.run(examine_all(_checks(plan)))
    data = as_data(found, __version__)
    print_whole(
        "doctor", msgspec.json.format(msgspec.json.encode(data)).decode() if json else "\n".join(as_lines(found))
    )
    return 0 if sound(found) else 1


def _checks(plan: RunPlan) -> list[Check]:
    ways = [check for market in plan.markets for check in venue_checks.checks(market)]
    if plan.settings.demo:
        ways = [Check("venue", _nothing_to_reach, "")]
    return [*ways, *machine_checks.checks(plan)]


async def _nothing_to_reach() -> list[Diagnosis]:
    return [Diagnosis("venue", Grade.SKIPPED, "not needed: a demonstration has its own exchange")]
