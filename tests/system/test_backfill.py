"""What the guarantees promise under fault, seen by programs outside."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.waiting import WAIT_S
from tests.system.support import ROOT, Program, demo, free_port, wait_for

TRADES, DROPPED = 19_904, 150
"""In the recording; of them withheld."""


def start_reader(file: Path, publish: int, replay: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            sys.executable, "-m", "tests.system.reader", str(file), f"tcp://127.0.0.1:{publish}",
            f"tcp://127.0.0.1:{replay}",
        ],
        cwd=ROOT,
    )  # fmt: skip


def lines(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n")[:-1]]


def assert_every_trade_once(file: Path) -> int:
    """Each topic's ids are consecutive and unique; how many there are."""
    assert [lost for line in lines(file) for lost in line["lost"]] == []
    by_topic: dict[str, list[int]] = {}
    for line in lines(file):
        for topic, number in line["trades"]:
            by_topic.setdefault(topic, []).append(number)
    for topic, ids in by_topic.items():
        assert ids == list(range(ids[0], ids[0] + len(ids))), topic
    return sum(map(len, by_topic.values()))


def connected_to(port: int, process: psutil.Process) -> set[int]:
    """The ports from which a process is connected to this one."""
    return {at.laddr.port for at in process.net_connections("tcp") if at.raddr and at.raddr.port == port}


def clients_of(port: int, process: psutil.Process) -> set[int]:
    """The ports of those who are connected to this one of the process."""
    return {at.raddr.port for at in process.net_connections("tcp") if at.raddr and at.laddr.port == port}


@pytest.mark.parametrize("fault", ["killed and restarted", "stopped and cut off"])
def test_a_subscriber_ends_with_every_trade_once(fault: str, tmp_path: Path) -> None:
    publish, replay, file = free_port(), free_port(), tmp_path / "trades.jsonl"
    with demo(publish=publish, replay=replay) as program:
        program.wait_ready()
        reader = start_reader(file, publish, replay)
        wait_for("the reader's first lines", lambda: len(lines(file)) > 3)
        if fault == "stopped and cut off":
            own = connected_to(publish, psutil.Process(reader.pid))
            aggregator = psutil.Process(program.pid_of("aggregator"))
            assert own & clients_of(publish, aggregator)
            reader.send_signal(signal.SIGSTOP)
            # The publisher cuts off a subscriber that is silent for long: it then has to repair what it missed.
            wait_for("the reader cut off", lambda: not own & clients_of(publish, aggregator))
            reader.send_signal(signal.SIGCONT)
        else:
            for _ in range(3):
                reader.kill()
                reader.wait()
                before = program.status()["published"]
                wait_for("the feed going on", lambda before=before: program.status()["published"] > before + 3_000)
                reader = start_reader(file, publish, replay)
                had = len(lines(file))
                wait_for("the reader going on", lambda had=had: len(lines(file)) > had + 3)
        published = program.status()["published"]
        wait_for("the reader being up to date", lambda: program.status()["published"] > published + 5_000)
        had = len(lines(file))
        wait_for("more lines", lambda: len(lines(file)) > had + 3)
        reader.kill()
        reader.wait()
        program.stop()
    assert assert_every_trade_once(file) > 2_000


def whole(status: dict[str, Any]) -> bool:
    """No shard has a hole that it knows of."""
    return not any(worker["gaps_open"] or worker["repairs_waiting"] for worker in status["workers"])


def test_a_recording_with_one_in_a_hundred_messages_dropped_arrives_whole(recordings: Path, tmp_path: Path) -> None:
    port, report = free_port(), tmp_path / "r.json"
    files = [str(recordings / "spot" / f"btcusdt_2024080{day}.gz") for day in (8, 9)]
    with (
        Program(
            "simulate", "--port", str(port), "--replay", *files, "--replay-speed", "60",
            # Fewer than one in a hundred of all, so that the end is whole: of a last message that is dropped nothing would tell.
            "--fault", f"drop:probability=0.01,everywhere=true,count={DROPPED}",
        ) as exchange,
        Program(
            "--shards", "1", "--symbols", "BTCUSDT", "--streams", "trade", "--http-port", "0", "--log-format", "json",
            "--binance-rest-url", f"http://127.0.0.1:{port}", "--binance-websocket-url", f"ws://127.0.0.1:{port}",
            "--publish-endpoint", f"tcp://127.0.0.1:{free_port()}",
            "--snapshot-endpoint", f"tcp://127.0.0.1:{free_port()}", "--report", str(report),
        ) as program,
    ):  # fmt: skip
        wait_for("the exchange listening", lambda: exchange.raw)

        def ask(word: str) -> dict[str, Any]:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_exchange/{word}", timeout=WAIT_S) as reply:
                return dict(json.loads(reply.read()))

        program.wait_ready()
        wait_for("the recording's end", lambda: ask("status")["finished"])
        assert ask("faults")["faults"][0]["acted"] == DROPPED
        assert ask("status")["rest"]["requests"] > 10
        # The first trades may be among the dropped: where a topic begins is known only from what comes.
        wait_for("all of it", lambda: program.status()["published"] > TRADES - 5 and whole(program.status()))
        program.stop()
    (topic,) = json.loads(report.read_text(encoding="utf-8"))["continuity"]
    assert topic["last_id"] == 3_735_703_162
    assert topic["first_id"] - 3_735_683_259 < 5
    assert topic["count"] == topic["last_id"] - topic["first_id"] + 1
    assert topic["missing"] == 0
