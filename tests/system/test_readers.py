"""Programs that read, as users start and end them: whom they wait for is told, and no end is a traceback."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from k2workers import Subscriber
from tests.support.screen import Terminal
from tests.support.venue import Venue
from tests.support.waiting import WAIT_S, wait_for
from tests.system.support import PROGRAM, ROOT, Program, demo, feed, free_port

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_tail_says_when_nobody_speaks_and_which_topic_does_not_exist() -> None:
    publish, replay = free_port(), free_port()
    addresses = ["--endpoint", f"tcp://127.0.0.1:{publish}", "--snapshot-endpoint", f"tcp://127.0.0.1:{replay}"]
    with Program("tail", "binance.trade.AAAUSDT", "binance.trade.NONE", *addresses) as tail:

        def said(words: str) -> bool:
            return any(words in line for line in tail.raw)

        wait_for("the word that nobody speaks", lambda: said("feed lost: nothing heard from tcp://127.0.0.1"))
        with Venue(["AAAUSDT"]) as venue, feed(venue, shards=1, publish=publish, replay=replay) as program:
            wait_for("the word that it is back", lambda: said("the feed is back"))
            wait_for("events", lambda: said("binance.trade.AAAUSDT #"))
            wait_for("the word about the other", lambda: said("binance.trade.NONE does not exist"))
            wait_for(
                "its name",
                lambda: any(
                    one["name"] == f"tail {tail.process.pid}" for one in program.status()["subscribers"]["readers"]
                ),
            )
            assert not said("AAAUSDT does not exist")
            program.stop()
        wait_for("the word that it is lost again", lambda: sum("feed lost" in line for line in tail.raw) == 2)
        tail.stop(signal.SIGINT)
        assert tail.process.returncode == 0
        assert not said("Traceback"), "".join(tail.raw)


def test_tail_ends_in_words_wherever_its_output_goes() -> None:
    publish, replay = free_port(), free_port()
    words = ["tail", "binance.trade.", "--endpoint", f"tcp://127.0.0.1:{publish}"]
    addresses = ["--snapshot-endpoint", f"tcp://127.0.0.1:{replay}"]
    with Venue(["AAAUSDT"]) as venue, feed(venue, shards=1, publish=publish, replay=replay) as program:
        wait_for("somebody who publishes", lambda: program.logged("publishing"))
        # A time of which the feed keeps nothing.
        with Program(*words, *addresses, "--disk-ring-endpoint", "tcp://127.0.0.1:9", "--since", "1m") as tail:
            tail.join()
            assert tail.process.returncode == 2
            (said,) = tail.raw
            assert said.startswith("k2workers: error: since: this feed keeps no disk ring to begin from; allowed with")
        # A full disk.
        full = os.open("/dev/full", os.O_WRONLY)
        with Program(*words, *addresses, output=full, errors=False) as tail:
            tail.join()
            assert tail.process.returncode == 1
            assert tail.raw == ["k2workers: error: standard output cannot be written (No space left on device)\n"]
        # None at all.
        closed = ["sh", "-c", 'exec "$@" >&-', "sh", *PROGRAM]
        with Program(*words, *addresses, command=closed, output=full, errors=False) as tail:
            tail.join()
            assert tail.process.returncode == 2
            assert tail.raw == [
                "k2workers: error: tail: standard output is closed, and what it tells is printed there\n"
            ]
        os.close(full)
        # A pipe that nobody reads.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            reading, writing = os.pipe()
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, select.PIPE_BUF)
            with Program(*words, *addresses, output=writing, errors=False) as tail:
                wait_for("a full pipe", lambda end=writing: not select.select([], [end], [], 0)[1])
                tail.stop(number)
                assert tail.process.returncode == 0
                assert tail.raw == []
            os.close(reading)
            os.close(writing)


def test_ctrl_c_that_comes_again_and_again_ends_tail_without_a_traceback() -> None:
    with Program("tail", "binance.trade.", "--endpoint", f"tcp://127.0.0.1:{free_port()}") as tail:
        wait_for("its first word", lambda: tail.raw)
        while tail.process.poll() is None:
            tail.process.send_signal(signal.SIGINT)
        tail.join()
        assert len(tail.raw) == 1, "".join(tail.raw)


@pytest.mark.parametrize("ended_by", ["Ctrl-C", "a closed pipe"])
def test_the_example_of_readme_ends_without_a_traceback(tmp_path: Path, ended_by: str) -> None:
    (code,) = re.findall(r"^```python\n(.*?asyncio\.run.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    publish, replay = free_port(), free_port()
    named = (
        f'"tcp://127.0.0.1:{publish}", snapshot_endpoint="tcp://127.0.0.1:{replay}", books_endpoint=None, snapshot=True'
    )
    (tmp_path / "example.py").write_text(code.replace("snapshot=True", named), encoding="utf-8")
    with (
        Venue(["BTCUSDT"]) as venue,
        feed(venue, shards=1, publish=publish, replay=replay),
        Subscriber(["binance.trade.BTCUSDT"], f"tcp://127.0.0.1:{publish}", recover=False) as subscriber,
    ):
        next(subscriber)
        with subprocess.Popen(
            [sys.executable, "-u", "example.py"] if ended_by == "Ctrl-C" else [sys.executable, "example.py"],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as example:
            assert example.stdout is not None and example.stderr is not None
            assert "BTCUSDT" in example.stdout.readline()
            if ended_by == "Ctrl-C":
                example.send_signal(signal.SIGINT)
                example.stdout.read()
            else:
                example.stdout.close()
            errors = example.stderr.read()
            example.wait(WAIT_S)
    assert (example.returncode, errors) == (0, "")


def test_book_prints_each_change_of_the_best_prices_and_draws_a_ladder_on_a_terminal() -> None:
    publish, replay, books = free_port(), free_port(), free_port()
    addresses = [
        "--endpoint", f"tcp://127.0.0.1:{publish}", "--snapshot-endpoint", f"tcp://127.0.0.1:{replay}",
        "--books-endpoint", f"tcp://127.0.0.1:{books}",
    ]  # fmt: skip
    with demo("--streams", "depth", publish=publish, replay=replay, books=books) as program:
        program.wait_ready()
        with Program("book", "binance.BTCUSDT", *addresses, "--count", "5") as lines:
            lines.join()
        printed = [each.rstrip() for each in lines.raw if " binance.BTCUSDT " in each]
        assert lines.process.returncode == 0
        assert len(printed) == 5
        assert all(
            re.fullmatch(r"[\d:.]{15} binance\.BTCUSDT [\d.]+ [\d.]+ \| [\d.]+ [\d.]+  spread .+ bp\)  id \d+", each)
            for each in printed
        ), printed
        assert len(set(printed)) == 5
        with (
            Terminal(columns=60, rows=16) as terminal,
            Program("book", "binance.BTCUSDT", *addresses, output=terminal.theirs, TERM="xterm") as drawing,
        ):
            terminal.read_on()

            def shown() -> list[str]:
                return terminal.screen.lines

            wait_for("a ladder", lambda: len(shown()) == 14 and shown()[0].startswith("binance.BTCUSDT  whole  age "))
            words = [each.split()[0] for each in shown()[1:]]
            assert words == ["ask"] * 6 + ["spread"] + ["bid"] * 6
            before = shown()[0]
            wait_for("another picture in its place", lambda: shown()[0] != before and len(shown()) == 14)
            program.stop()
            wait_for("that nobody speaks", lambda: f"no feed at tcp://127.0.0.1:{publish}" in shown()[0])
            drawing.stop(signal.SIGINT)
            assert drawing.process.returncode == 0
            assert not any("Traceback" in each for each in shown())
