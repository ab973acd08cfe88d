"""Owns where a feed under test runs: a small file system under its run directory, and a name server of its own, both of which can fail.

It is a mount namespace on the network of everybody.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Self

from tests.support.full_file_system import kept_full
from tests.support.namespace import Namespace
from tests.support.waiting import until, wait_for
from tests.system.support import Program

VENUE = "venue.example"
"""The name of the exchange's host, as of any other: 127.0.0.1."""


@functools.cache
def hindrance() -> str:
    """Why this machine can have no such place; empty if it can."""
    if os.geteuid() != 0:
        return "only root can have a mount namespace and a name server of its own"
    try:
        tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unshare (util-linux) is not installed"
    return tried.stderr.strip() if tried.returncode else ""


class Place:
    """Use it as ``with``; a command of ``inside`` runs there. ``number``, below 65536, is of this place alone on this machine."""

    def __init__(self, folder: Path, run_dir: Path, number: int) -> None:
        address = f"127.53.{number >> 8}.{number & 255}"
        self._small = run_dir.parent
        self._small.mkdir()
        # Otherwise as most machines have it: a question is asked again after 5 s, and given up after 10.
        self._namespace = Namespace(folder, {}, f"nameserver {address}\n", network=False, small=self._small)
        self._address = address
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with self._stack as stack:
            stack.enter_context(self._namespace)
            command = (sys.executable, "-m", "tests.support.name_server", self._address)
            self._names = stack.enter_context(Program(command=command))
            wait_for("the name server", lambda: "listening\n" in self._names.raw)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def inside(self, *command: str) -> list[str]:
        """The command that runs ``command`` there, as the same process."""
        return self._namespace.inside(*command)

    def seen(self, path: Path) -> Path:
        """Where a file of in there is seen from out here."""
        return self._namespace.seen(path)

    @contextlib.contextmanager
    def without_room(self) -> Iterator[None]:
        """Nothing more goes into the file system of the run directory."""
        with kept_full(self.seen(self._small)):
            yield

    @contextlib.asynccontextmanager
    async def without_names(self) -> AsyncIterator[None]:
        """The name server does not answer."""
        await self._tell(signal.SIGUSR1, "silent")
        try:
            yield
        finally:
            await self._tell(signal.SIGUSR2, "answering")

    def asked(self, name: str) -> bool:
        """Whether anybody has asked for this name in vain."""
        return f"{name}\n" in self._names.raw

    async def _tell(self, number: signal.Signals, answer: str) -> None:
        told = self._names.raw.count(f"{answer}\n")
        self._names.process.send_signal(number)
        await until(lambda: self._names.raw.count(f"{answer}\n") > told, f"the name server {answer}")
