"""Life after life of the model for as long as one likes, and the shortest script of whatever it finds. See ``scripts/chaos model --help``."""

from __future__ import annotations

import random
import sys
import time
from typing import Any

from tests.model.chain import kind_of, live, script, shortest

REPORT_EVERY_S = 10.0


def run(minutes: float, seed: int, length: int, lives: int | None = None) -> dict[str, Any]:
    """Lives with these seeds and so many steps each until the time is up, or so many ``lives`` are over; the figures."""
    begun_s = told_s = time.monotonic()
    count = steps = 0
    findings: dict[str, dict[str, Any]] = {}
    while (time.monotonic() - begun_s < 60 * minutes) if lives is None else count < lives:
        chosen = script(random.Random(seed + count), length)
        try:
            live(chosen)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            kind = kind_of(error)
            if kind not in findings:
                findings[kind] = {
                    "seed": seed + count,
                    "words": str(error),
                    "script": shortest(chosen, kind),
                    "times": 0,
                }
                sys.stdout.write(f"seed {seed + count}: {error}\n  {findings[kind]['script']}\n")
            findings[kind]["times"] += 1
        count, steps = count + 1, steps + length
        if time.monotonic() - told_s >= REPORT_EVERY_S:
            told_s = time.monotonic()
            sys.stdout.write(f"{count} lives, {steps} steps, {len(findings)} kinds of findings\n")
            sys.stdout.flush()
    return {"lives": count, "steps": steps, "seconds": round(time.monotonic() - begun_s, 1), "findings": findings}
