"""The exchange as a whole: as a program of its own, and as the stand-in for a venue that is like none."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import aiohttp
import pytest

from tests.simulator.support import Client, inject, served
from tests.simulator.toy import TICKS, ToyMarket, ToySettings
from tests.support.waiting import WAIT_S

PROGRAM = """
from k2workers.simulator import SimulatorSettings, main
main(SimulatorSettings(port=0, symbols=1))
"""


def test_sigterm_ends_the_program_with_exit_code_0() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "ws://127.0.0.1:" in line and "http://127.0.0.1:" in line
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0


async def said(socket: aiohttp.ClientWebSocketResponse, words: str) -> int:
    """The number in the first message that begins so."""
    while True:
        head, _, number = (await socket.receive_str(timeout=WAIT_S)).partition(": ")
        if head == words:
            return int(number or 0)


async def test_a_venue_is_spoken_to_and_speaks_in_its_own_words() -> None:
    async with served(ToySettings()) as client:
        asked, quiet = await client.connect(f"/live?want={TICKS}"), await client.connect("/live")
        first = await said(asked, TICKS)
        assert await said(asked, TICKS) == first + 1
        await quiet.send_str("whatever")
        await quiet.send_str(f"want {TICKS}")
        assert await quiet.receive_str(timeout=WAIT_S) == f"here is {TICKS}"
        assert await said(quiet, TICKS) > first
        await inject(client, kind="shutdown", connections=1)
        await said(asked, "good night")
        truth = (await client.get("/_exchange/truth"))["topics"][TICKS]
        assert truth["kind"] == "ticks" and len(truth["ranges"]) == 1


async def test_faults_act_on_what_they_know_nothing_of() -> None:
    async with served(ToySettings()) as client:
        await inject(client, kind="ignore_unit")
        await inject(client, kind="glitch", what="time", count=1)
        socket = await client.connect(f"/live?want={TICKS}")
        await said(socket, "far off in time")
        number = (await socket.receive_str(timeout=WAIT_S)).partition(": ")[2]
        assert number[: len(number) // 2] == number[len(number) // 2 :], "the form without a unit"
        assert (await inject(client, kind="status"))[1]["status"] == "asleep"
        await client.post("/_exchange/clear_faults")
        assert isinstance(client.exchange.market, ToyMarket)
        assert client.exchange.market.states == [("asleep", True), (None, True)]


@pytest.mark.parametrize(
    ("fault", "path", "status", "body"),
    [
        ({}, "rows", 200, "[1, 2, 3, 4]"),
        ({"kind": "odd_row", "element": '"odd"'}, "rows", 200, '[1, 2, "odd", 3, 4]'),
        ({"kind": "rest_lacks", "ids": 3}, "rows", 200, "[4]"),
        ({"kind": "rest_429"}, "rows", 429, "no, by REST"),
        ({}, "nothing", 404, "where?"),
    ],
)
async def test_rest_is_the_venues_and_what_befalls_it_is_not(
    fault: dict[str, Any], path: str, status: int, body: str
) -> None:
    async with served(ToySettings()) as client:
        if fault:
            assert (await inject(client, **fault))[0] == 200
        assert await answered(client, f"/v9/{path}") == (status, body)
        log = (await client.get("/_exchange/status"))["rest"]
        assert log["by_path"] == {"rows" if path == "rows" else "unknown": 1}
        assert log["used_weight"] == (7 if status == 200 else 0)


async def answered(client: Client, path: str) -> tuple[int, str]:
    async with client.session.get(f"http://127.0.0.1:{client.port}{path}") as reply:
        return reply.status, await reply.text()


async def test_books_and_bars_are_told_as_the_venue_has_them() -> None:
    async with served(ToySettings()) as client:
        assert await client.get("/_exchange/books") == {"one": "a book"}
        assert await client.get("/_exchange/bars") == {"one": ["1m"]}
        assert "allowed are 1m" in (await client.get("/_exchange/bars?interval=1s"))["msg"]
        assert (await client.get("/_exchange/status"))["memory"]["numbers"] == 1
