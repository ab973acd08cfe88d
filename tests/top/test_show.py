"""``top`` as users run it: on a terminal it waits for a feed and shows it, elsewhere it is one snapshot; no end is a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import termios
from collections.abc import Iterator

import psutil
import pytest

from tests.support.screen import Terminal
from tests.support.waiting import wait_for
from tests.system.support import PROGRAM, ROOT, Program, free_port, run_briefly


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


class OnTerminal:
    """``top`` on a terminal of its own."""

    def __init__(self, terminal: Terminal, *args: str) -> None:
        self._terminal = terminal
        terminal.read_on()
        self.before = termios.tcgetattr(terminal.theirs)
        self.program = Program("top", *args, output=terminal.theirs, keys=terminal.theirs, TERM="xterm")

    def press(self, keys: str) -> None:
        os.write(self._terminal.ours, keys.encode())

    def shows(self, *words: str) -> None:
        wait_for(" ".join(words), lambda: all(any(each in line for line in self.lines) for each in words))

    @property
    def lines(self) -> list[str]:
        return self._terminal.screen.lines

    @property
    def as_before(self) -> bool:
        return termios.tcgetattr(self._terminal.theirs) == self.before


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with Terminal(columns=80, rows=30) as made:
        yield made


def _demo(port: int) -> Program:
    ports = [f"--{name}-endpoint=tcp://127.0.0.1:{free_port()}" for name in ("publish", "snapshot", "books")]
    return Program(
        "--demo",
        "--shards",
        "2",
        "--symbols",
        "BTCUSDT,ETHUSDT",
        "--log-format",
        "json",
        "--http-port",
        str(port),
        *ports,
    )


def test_it_waits_for_the_feed_and_does_what_keys_say(terminal: Terminal, port: int, url: str) -> None:
    top = OnTerminal(terminal, "--url", url)
    with top.program:
        top.shows(f"The feed does not answer at {url}", "nobody listens there", "q: end")
        with _demo(port):
            top.shows("All is well: every stream flows, since ", "DEMO (embedded exchange)", "rates ", "witness: ")
            top.press("e")
            top.shows("events/s▼", "sort (by events/s)")
            top.press("/trade btc")
            top.shows("binance.trade.BTCUSDT ", "flowing", "/trade btc█  2 of ")
            top.press("\x1b")
            top.shows("events/s▼")
            _check_suspension(top)
            _check_snapshots(url)
            top.press("q")
            top.program.join()
        assert (top.program.process.returncode, top.as_before) == (0, True)


def _check_suspension(top: OnTerminal) -> None:
    """It gives the terminal back as it was, and takes it again."""
    assert not top.as_before
    program = psutil.Process(top.program.process.pid)
    program.send_signal(signal.SIGTSTP)
    wait_for("that it stands still", lambda: program.status() == psutil.STATUS_STOPPED)
    assert top.as_before
    program.send_signal(signal.SIGCONT)
    wait_for("keys one by one", lambda: not top.as_before)
    top.press("h")
    top.shows("shard▲")


def _check_snapshots(url: str) -> None:
    """Without a terminal it is one picture, as text or as data."""
    text = run_briefly("top", "--url", url, COLUMNS="80")
    assert (text.returncode, text.stderr) == (0, "")
    lines = text.stdout.splitlines()
    assert lines[0].startswith("All is well: every stream flows, since ")
    assert max(map(len, lines)) <= 80 and "\x1b" not in text.stdout
    data = json.loads(run_briefly("top", "--url", url, "--json").stdout)
    assert data["status"]["ready"] is True
    assert [one["figures"]["shard"] for one in data["status"]["workers"]] == [0, 1]
    assert {"rates", "aggregator", "connects", "usage", "ailments", "watch", "happened"} <= set(data)
    with subprocess.Popen(
        [*PROGRAM, "top", "--url", url], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as cut:
        assert cut.stdout is not None and cut.stderr is not None
        cut.stdout.close()
        assert (cut.stderr.read(), cut.wait()) == (b"", 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_leaves_the_terminal_as_it_was(terminal: Terminal, number: signal.Signals) -> None:
    top = OnTerminal(terminal, "--url", f"http://127.0.0.1:{free_port()}")
    with top.program:
        top.shows("The feed does not answer")
        top.program.stop(number)
        assert (top.program.process.returncode, top.as_before) == (0, True)
        assert not any("Traceback" in line for line in top.lines)


def test_a_snapshot_of_no_feed_is_words(url: str) -> None:
    ended = run_briefly("top", "--url", url)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"k2workers: error: no feed answers at {url}: nobody listens there; is k2workers running there? (flag --url)\n"
    )
