"""How a run ends: in time, in order, whoever does not answer, and with a word about what it did."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.namespace import Namespace
from tests.support.venue import Answer, Venue
from tests.support.waiting import WAIT_S, wait_for
from tests.system.support import PROGRAM, ROOT, Program, alive, demo, feed, free_port

LIMIT_S = 4.0
LATE_S = 60.0
"""Far later than an end in order takes on a busy machine, and far sooner than what it must not wait for."""


PROMPT_S = 15.0
"""The same for an end that a signal asks for, of a feed of two shards; a lookup in vain takes 20 s here."""

NAME_SERVER = "127.0.0.53"
RESOLVER = f"nameserver {NAME_SERVER}\noptions timeout:10 attempts:2\n"


def figures(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def test_a_limit_in_time_holds_without_a_venue_and_a_run_that_served_nothing_says_why(tmp_path: Path) -> None:
    report, nobody = tmp_path / "r.json", free_port()
    begun_s = time.monotonic()
    with Program(
        "--shards", "2", "--http-port", "0", "--log-format", "json", "--duration", str(LIMIT_S), "--report", str(report),
        "--publish-endpoint", f"tcp://127.0.0.1:{free_port()}", "--snapshot-endpoint", f"tcp://127.0.0.1:{free_port()}",
        "--binance-rest-url", f"http://127.0.0.1:{nobody}", "--binance-websocket-url", f"ws://127.0.0.1:{nobody}",
    ) as program:  # fmt: skip
        program.join()
    assert LIMIT_S < time.monotonic() - begun_s < LATE_S
    assert program.process.returncode == 1, "".join(program.raw)
    (stopped,) = program.logged("stopped")
    (why,) = stopped["why"]
    assert why.startswith("nothing was served: starting: waiting for symbols; ")
    assert "cannot be reached" in why
    found = figures(report)
    assert (found["clean"], found["complaints"], found["events"]["published"]) == (False, [why], 0)
    assert not any("Traceback" in line for line in program.raw)


def test_a_limit_in_time_holds_while_workers_get_no_connection(tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    with Venue(["AAAUSDT"]) as venue:
        venue.on_handshake = lambda *_: Answer(503)
        with feed(venue, "--duration", "8", "--report", str(report), shards=1) as program:
            program.join()
    assert program.process.returncode == 1, "".join(program.raw)
    (why,) = figures(report)["complaints"]
    assert "no_connection: worker-0 lacks a connection" in why
    assert "the venue answers connect with 503" in why


def test_a_run_that_has_served_is_clean_when_its_time_is_over(tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    with (
        Venue(["AAAUSDT"], every_s=0.02) as venue,
        feed(venue, "--duration", "20", "--report", str(report), shards=1) as program,
    ):
        program.join()
    assert program.process.returncode == 0, "".join(program.raw)
    assert program.logged("stopped")[0]["clean"] is True
    found = figures(report)
    assert (found["clean"], found["complaints"]) == (True, [])
    assert 20 <= found["duration_s"] < LATE_S


class Network:
    """A network of its own in which names are looked up at a name server that can fall silent."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self.server = self.start(sys.executable, "-m", "tests.support.name_server", NAME_SERVER)

    def start(self, *command: str) -> Program:
        return Program(command=self._namespace.inside(*command))

    def feed(self) -> Program:
        return self.start(
            *PROGRAM, "--shards", "2", "--log-format", "json", "--symbols", "BTCUSDT,ETHUSDT",
            "--binance-websocket-url", "ws://venue.example:9443", "--binance-rest-url", "http://venue.example:9443",
        )  # fmt: skip

    def fall_silent(self) -> None:
        wait_for("the name server listening", lambda: "listening\n" in self.server.raw)
        self.server.process.send_signal(signal.SIGUSR1)
        wait_for("the name server silent", lambda: "silent\n" in self.server.raw)

    def wait_for_questions(self, count: int) -> None:
        wait_for("names asked for", lambda: self.server.raw.count("venue.example\n") >= count)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with Namespace(tmp_path, {}, RESOLVER) as namespace:
        made = Network(namespace)
        with made.server:
            yield made


def assert_prompt_end(program: Program, number: signal.Signals = signal.SIGTERM) -> None:
    family = program.remember_family()
    begun_s = time.monotonic()
    program.stop(number)
    took_s = time.monotonic() - begun_s
    assert program.process.returncode == 0, "".join(program.raw)
    assert program.logged("stopped")[0]["clean"] is True, "".join(program.raw)
    wait_for("no process left", lambda: not any(alive(process) for process in family.values()))
    assert took_s < PROMPT_S


def test_a_name_server_that_never_answers_delays_no_end(network: Network) -> None:
    network.fall_silent()
    with network.feed() as program:
        network.wait_for_questions(1)
        assert_prompt_end(program)


def test_workers_that_look_a_name_up_in_vain_end_in_order(network: Network) -> None:
    with network.start(*PROGRAM, "simulate", "--symbols", "4") as exchange, network.feed() as program:
        wait_for("events", lambda: "connection_live" in "".join(program.raw) and program.logged("connection_live")[1:])
        network.fall_silent()
        exchange.process.kill()
        wait_for("both connections lost", lambda: len(program.logged("connection_lost")) == 2)
        network.wait_for_questions(2)  # of each worker
        assert_prompt_end(program)


def test_a_hangup_drains_like_a_request_to_end() -> None:
    with demo() as program:
        program.wait_ready()
        # As a terminal that is closed does it: everybody gets it.
        for process in program.remember_family().values():
            process.send_signal(signal.SIGHUP)
        assert_prompt_end(program, signal.SIGHUP)
        assert not [line for line in program.log if line["level"] in ("warning", "error") and line["event"] != "demo"]


def ports() -> list[str]:
    return [
        "--publish-endpoint", f"tcp://127.0.0.1:{free_port()}", "--snapshot-endpoint", f"tcp://127.0.0.1:{free_port()}",
        "--books-endpoint", f"tcp://127.0.0.1:{free_port()}",
    ]  # fmt: skip


def test_a_hangup_that_was_to_be_ignored_is() -> None:
    arguments = ["--demo", "--shards", "1", "--http-port", "0", "--log-format", "json", *ports()]
    with Program(*arguments, command=("nohup", *PROGRAM)) as program:
        program.wait_ready()
        program.process.send_signal(signal.SIGHUP)
        published = program.status()["published"]
        wait_for("it goes on", lambda: program.status()["published"] > published)
        assert not program.logged("stopping")
        assert_prompt_end(program)


def answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=WAIT_S) as response:
        return bool(response.status == 200)
    return False


@pytest.mark.parametrize("moment", ["healthz", "readyz"])
def test_a_terminal_that_is_closed_leaves_nothing_behind(moment: str, tmp_path: Path) -> None:
    report, port = tmp_path / "r.json", free_port()
    screen, its = pty.openpty()
    os.set_blocking(screen, False)
    command = [
        "setsid",
        "--ctty",
        *PROGRAM,
        "--demo",
        "--shards",
        "2",
        "--report",
        str(report),
        "--http-port",
        str(port),
    ]
    with subprocess.Popen([*command, *ports()], cwd=ROOT, stdin=its, stdout=its, stderr=its) as program:
        os.close(its)

        def come_so_far() -> bool:
            with contextlib.suppress(BlockingIOError):
                os.read(screen, 2**16)
            return answers(f"http://127.0.0.1:{port}/{moment}")

        wait_for(moment, come_so_far)
        family = psutil.Process(program.pid).children(recursive=True)
        os.close(screen)
        program.wait(WAIT_S)
        wait_for("no process left", lambda: not any(alive(process) for process in family))
        assert program.returncode == 0
    assert figures(report)["clean"] is True
