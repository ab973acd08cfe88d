"""Owns the subscribing programs of the long proofs: real processes that save output and position together, die, and go on."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.chaos import capture
from tests.chaos.ledger import Ledger
from tests.support.waiting import until
from tests.system.support import ROOT


class Reader:
    """One capture program over all its lives, and what its file says."""

    def __init__(self, name: str, directory: Path, endpoints: Sequence[str], topics: list[str]) -> None:
        self.name = name
        self.path = directory / f"{name}.captured"
        self.ledger = Ledger()
        self.lives = 0
        self._arguments = [str(self.path), *endpoints, *topics]
        self._process: subprocess.Popen[bytes] | None = None
        self._read = 0

    def start(self) -> None:
        """Begin its next life, which goes on from its last saved position."""
        self.lives += 1
        self._process = subprocess.Popen([sys.executable, "-m", "tests.chaos.capture", *self._arguments], cwd=ROOT)

    def start_if_away(self) -> None:
        """Begin its next life if it has none."""
        if self._process is None or self._process.poll() is not None:
            self.start()

    def send_signal(self, number: signal.Signals) -> None:
        """Send it this signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def end(self, number: signal.Signals) -> None:
        """Send this signal and wait for its end."""
        self.send_signal(number)
        assert self._process is not None
        code = await asyncio.to_thread(self._process.wait)
        assert code == (0 if number == signal.SIGTERM else -number), f"{self.name} ended with {code}"

    async def restart(self, number: signal.Signals, away_s: float = 0.0) -> None:
        """End it, and begin its next life after so long."""
        await self.end(number)
        await asyncio.sleep(away_s)
        self.start()

    async def restart_for_ever(
        self, number: signal.Signals, every_s: tuple[float, float], away_s: tuple[float, float], rng: random.Random
    ) -> None:
        """Again and again, at random moments."""
        while True:
            await asyncio.sleep(rng.uniform(*every_s))
            await self.restart(number, rng.uniform(*away_s))

    async def saved_something(self) -> None:
        """Wait until its file has begun."""
        await until(lambda: self.path.exists() and self.path.stat().st_size, f"{self.name} saving")

    def read(self) -> Ledger:
        """Judge what it has saved since the last call; all of it so far."""
        self._read = capture.read(self.path, self.ledger, self._read)
        return self.ledger

    def kill(self) -> None:
        """Safe to call at any time."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
