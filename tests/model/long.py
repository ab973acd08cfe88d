"""Life after life of the models for as long as one likes, and the shortest script of whatever it finds. See ``scripts/chaos model --help``."""

from __future__ import annotations

import random
import sys
import time
from typing import Any

from tests.model import chain, lines

REPORT_EVERY_S = 10.0
LINES_EVERY = 25
"""After so many lives of the chain one of a worker's lines follows, which takes many times as long."""


class Run:
    """Lives with consecutive seeds from ``seed`` on, and what was found in them."""

    def __init__(self, seed: int, length: int) -> None:
        self.lives = self.lives_of_lines = self.steps = 0
        self.findings: dict[str, dict[str, Any]] = {}
        self._seed = seed
        self._length = length

    def one_more(self) -> None:
        """The next life."""
        seed = self._seed + self.lives
        script = chain.script(random.Random(seed), self._length)
        try:
            chain.live(script)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            self._note(seed, error, script)
        self.lives, self.steps = self.lives + 1, self.steps + len(script)
        if self.lives % LINES_EVERY == 0:
            try:
                lines.live(seed)
            except Exception as error:  # noqa: BLE001
                self._note(seed, error)
            self.lives_of_lines += 1

    def _note(self, seed: int, error: Exception, script: chain.Script | None = None) -> None:
        kind = chain.kind_of(error)
        if kind not in self.findings:
            words: Any = "tests.model.lines.live(seed)" if script is None else chain.shortest(script, kind)
            self.findings[kind] = {"seed": seed, "words": str(error), "script": words, "times": 0}
            sys.stdout.write(f"seed {seed}: {error}\n  {words}\n")
        self.findings[kind]["times"] += 1


def run(minutes: float, seed: int, length: int, lives: int | None = None) -> dict[str, Any]:
    """Lives until the time is up, or until so many ``lives`` are over, each of ``length`` steps; the figures."""
    begun_s = told_s = time.monotonic()
    going = Run(seed, length)
    while (time.monotonic() - begun_s < 60 * minutes) if lives is None else going.lives < lives:
        going.one_more()
        if time.monotonic() - told_s >= REPORT_EVERY_S:
            told_s = time.monotonic()
            sys.stdout.write(f"{going.lives} lives, {going.steps} steps, {len(going.findings)} kinds of findings\n")
            sys.stdout.flush()
    return {
        "lives": going.lives,
        "lives_of_lines": going.lives_of_lines,
        "steps": going.steps,
        "seconds": round(time.monotonic() - begun_s, 1),
        "findings": going.findings,
    }
