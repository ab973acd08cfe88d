"""Starts the real program as a user would, on free ports, and looks at it from outside."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import psutil

from tests.support.venue import Venue
from tests.support.waiting import WAIT_S, wait_for

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = (sys.executable, "-m", "k2workers")


_PORTS = range(10_000, 32_000)
"""Below those that the kernel gives to whoever connects."""

_free_ports = itertools.islice(itertools.cycle(_PORTS), os.getpid() * 97 % 220 * 100, None)
"""Test processes that run side by side begin far from each other."""


def free_port() -> int:
    """A port that nobody has."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port := next(_free_ports)))
            return port


def alive(process: psutil.Process) -> bool:
    """Whether it still runs; one that has ended and waits for its new parent (init) to notice does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def run_briefly(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The program until its own end."""
    return subprocess.run(
        [*PROGRAM, *args],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


class Program:
    """``python -m k2workers ARGS…`` as a process, or another ``command``; its log is kept and read as JSON lines.

    ``only`` is its whole environment; without it, ours. With ``output`` it writes to that descriptor, and is found under ``url``; nothing of
    it is read then but, with ``errors`` False, what it writes to its standard error, which otherwise goes the same way. ``keys`` is its standard input.
    """

    def __init__(
        self,
        *args: str,
        command: Sequence[str] = PROGRAM,
        folder: Path = ROOT,
        only: Mapping[str, str] | None = None,
        output: int = subprocess.PIPE,
        errors: bool = True,
        keys: int = subprocess.DEVNULL,
        url: str = "",
        **environment: str,
    ) -> None:
        self._url = url
        self.log: list[dict[str, Any]] = []
        self.raw: list[str] = []
        self.process = subprocess.Popen(
            [*command, *args],
            cwd=folder,
            env={**(os.environ if only is None else only), **environment},
            stdin=keys,
            stdout=output,
            stderr=subprocess.STDOUT if errors else subprocess.PIPE,
            text=True,
        )
        self._pipe = self.process.stdout if errors else self.process.stderr
        self.reading = threading.Event()
        """Cleared while nobody is to read what it writes."""
        self.reading.set()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.family: dict[int, psutil.Process] = {}

    def _read(self) -> None:
        for line in self._pipe or ():
            self.reading.wait()
            self.raw.append(line)
            if line.startswith("{"):
                self.log.append(json.loads(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remember_family()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reading.set()
        for process in self.family.values():
            if process.is_running():
                process.kill()
        self._reader.join(WAIT_S)
        if self._pipe is not None:
            self._pipe.close()

    def remember_family(self) -> dict[int, psutil.Process]:
        """Every process below the parent that was ever seen."""
        try:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                self.family[child.pid] = child
        except psutil.NoSuchProcess:
            pass
        return self.family

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in list(self.log) if line.get("event") == event]

    def http(self, path: str) -> tuple[int, str]:
        base = self._url or wait_for("the HTTP address in the log", lambda: self.logged("started"))[0]["http"]
        try:
            with urllib.request.urlopen(f"{base}{path}", timeout=WAIT_S) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except urllib.error.URLError:
            if not self._url:
                raise
            return 0, ""  # nobody has said that it listens already

    def status(self) -> dict[str, Any]:
        def answered() -> dict[str, Any] | None:
            code, text = self.http("/status")
            return json.loads(text) if code == 200 else None  # a parent that has much to do answers 503

        return dict(wait_for("an answer of /status", answered))

    def metrics(self, prefix: str) -> dict[str, float]:
        """Samples whose line begins with ``prefix``, by name and labels."""
        lines = self.http("/metrics")[1].splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(prefix)}

    def wait_ready(self) -> None:
        wait_for("readyz 200", lambda: self.process.poll() is not None or self.http("/readyz")[0] == 200)
        assert self.process.poll() is None, "".join(self.raw)
        self.remember_family()

    def pid_of(self, name: str) -> int:
        return int(self.status()["children"][name]["pid"])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end, and wait until it has."""
        self.process.send_signal(number)
        self.join()

    def join(self) -> None:
        """Wait for its end and for all it said."""
        self.process.wait(WAIT_S)
        self._reader.join(WAIT_S)


def demo(
    *args: str,
    shards: int = 2,
    publish: int | None = None,
    replay: int | None = None,
    books: int | None = None,
    command: Sequence[str] = PROGRAM,
) -> Program:
    """The feed against its embedded exchange, on free ports unless some are given."""
    ports = [
        "--http-port", "0",
        "--publish-endpoint", f"tcp://127.0.0.1:{publish or free_port()}",
        "--snapshot-endpoint", f"tcp://127.0.0.1:{replay or free_port()}",
        "--books-endpoint", f"tcp://127.0.0.1:{books or free_port()}",
    ]  # fmt: skip
    return Program("--demo", "--shards", str(shards), "--log-format", "json", *ports, *args, command=command)


def feed(
    venue: Venue,
    *args: str,
    only: Mapping[str, str] | None = None,
    shards: int = 2,
    publish: int | None = None,
    replay: int | None = None,
    command: Sequence[str] = (),
    market: str = "binance",
    venues: str = "",
    **environment: str,
) -> Program:
    """The feed of a market that the bendable venue plays, on free ports unless some are given, with every symbol unless told.

    It is run by ``command``, if there is one; ``only`` is its whole environment, as a ``Program``'s. ``venues`` are those that run, if that one is
    not alone.
    """
    of_market = f"--{market.replace('_', '-')}"
    addresses = [
        "--http-port", "0",
        "--publish-endpoint", f"tcp://127.0.0.1:{publish or free_port()}",
        "--snapshot-endpoint", f"tcp://127.0.0.1:{replay or free_port()}",
        "--books-endpoint", f"tcp://127.0.0.1:{free_port()}",
        "--venue", venues or market, f"{of_market}-websocket-url", venue.ws_url, f"{of_market}-rest-url", venue.rest_url,
    ]  # fmt: skip
    symbols = [] if "--symbols" in args else ["--symbols", "*"]
    flags = ["--shards", str(shards), "--log-format", "json", *addresses, *symbols, *args]
    variables = {**(os.environ if only is None else only), **environment}
    return Program(*flags, command=(*command, *PROGRAM), only=variables)
