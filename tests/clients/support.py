"""Owns what the tests of other people's clients share: each runs unchanged but for its addresses, in a process and packages of its own.

Their scripts print what a user of theirs gets, which is judged with what stands here.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.bench.peers.table import ENVIRONMENTS
from tests.support import environments
from tests.system.support import ROOT, Program, wait_for

WAIT_S = 180.0
SYMBOLS = ("BTC", "ETH", "SOL", "BNB", "XRP")

OF_FEEDS = ("ccxt", "cryptofeed", "python-binance")
LOCKED = (*OF_FEEDS, "hftbacktest", "readers")
"""Clients whose environments are locked; any other has the one that benches use."""

Result = dict[str, Any]


@cache
def interpreter(client: str) -> Path | str:
    """Of the client's environment, or why there is none."""
    try:
        if client not in LOCKED:
            return environments.python(ROOT / ".bench" / client, ENVIRONMENTS[client])
        return environments.locked(ROOT / ".clients" / client, ROOT / "config" / f"requirements-client-{client}.txt")
    except environments.NotInstalledError as error:
        return f"{client} cannot be installed: {error}"


class Running:
    """A client's script as a process; what it prints goes to files, so that it never waits for us."""

    def __init__(self, script: str, python: Path, port: int, ca_file: str, folder: Path) -> None:
        self._out, self._errors = folder / f"{script}.out", folder / f"{script}.err"
        trust = {
            "SSL_CERT_FILE": ca_file,
            "REQUESTS_CA_BUNDLE": ca_file,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        with self._out.open("w") as out, self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                [str(python), str(Path(__file__).parent / f"{script}.py"), str(port)],
                stdout=out,
                stderr=errors,
                cwd=folder,
                env={**os.environ, **trust},
            )

    def result(self) -> Result:
        """What it printed, once it has ended well."""
        code = self.process.wait(WAIT_S)
        assert code == 0, self._errors.read_text()[-4_000:]
        return dict(json.loads(self._out.read_text()))


@contextlib.contextmanager
def results(scripts: Mapping[str, str], venue: str, folder: Path) -> Iterator[Callable[[str], Result]]:
    """Runs the scripts of clients, given by client, at the same time against the venue's stand-in over TLS: what a client got. Skips for one
    that cannot be installed."""
    pythons = {client: python for client in scripts if isinstance(python := interpreter(client), Path)}
    authority = trustme.CA()
    ca_file, chain = str(folder / "ca.pem"), str(folder / "server.pem")
    authority.cert_pem.write_to_path(ca_file)
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(chain)
    with Program(
        "simulate", "--venue", venue, "--port", "0", "--symbols", str(len(SYMBOLS)), "--rate", "1000", "--tls-cert", chain
    ) as exchange:  # fmt: skip
        address = wait_for("the exchange listening", lambda: list(exchange.raw), limit_s=WAIT_S)[0]
        port = int(address.rsplit(":", 1)[1])
        running: dict[str, Running] = {}

        def result_of(client: str) -> Result:
            if client not in running:
                pytest.skip(str(interpreter(client)))
            return running[client].result()

        try:
            for client, python in pythons.items():
                running[client] = Running(scripts[client], python, port, ca_file, folder)
            yield result_of
        finally:
            for one in running.values():
                if one.process.poll() is None:
                    one.process.kill()
                one.process.wait()


def assert_consecutive(ids: Sequence[int | str], at_least: int) -> None:
    numbers = [int(number) for number in ids]
    assert len(numbers) >= at_least
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def assert_rising(ids: Sequence[int], at_least: int) -> None:
    assert len(ids) >= at_least
    assert all(earlier < later for earlier, later in itertools.pairwise(ids))


def assert_uncrossed(best: Sequence[tuple[Any, Any]]) -> None:
    """Pairs of bid and ask."""
    assert best
    assert all(0 < float(bid) < float(ask) for bid, ask in best), best


def assert_side(prices: Sequence[Any], levels: int, *, rising: bool) -> None:
    values = [float(price) for price in prices]
    assert len(values) == levels
    assert values == sorted(set(values), reverse=not rising)


def assert_within(low: Any, value: Any, high: Any) -> None:
    assert 0 < float(low) <= float(value) <= float(high)


def assert_bars(rows: Sequence[Sequence[Any]], length_ms: int = 60_000) -> None:
    """Rows of open time, open, high, low, close …"""
    assert rows
    assert rows[0][0] % length_ms == 0
    assert [row[0] for row in rows] == [rows[0][0] + number * length_ms for number in range(len(rows))]
    for _, opened, high, low, closed, *_ in rows:
        assert_within(low, opened, high)
        assert_within(low, closed, high)
