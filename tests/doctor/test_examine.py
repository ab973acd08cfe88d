"""The command ``doctor``, as a user meets it: against the embedded exchange, beside a feed that runs, and without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.namespace import Namespace
from tests.support.waiting import WAIT_S, wait_for
from tests.system.support import PROGRAM, ROOT, Program, demo, free_port, run_briefly

ANY_PORTS = ("--http-port", "0", "--publish-endpoint", "tcp://127.0.0.1:*", "--snapshot-endpoint", "tcp://127.0.0.1:*")


def test_each_venue_is_looked_at_where_the_settings_say_it_is() -> None:
    port = free_port()
    with Program("simulate", "--venue", "binance_usdm", "--port", str(port)) as exchange:
        wait_for("the exchange", lambda: exchange.raw)
        where = {
            "K2_BINANCE_USDM_WEBSOCKET_URL": f"ws://127.0.0.1:{port}",
            "K2_BINANCE_USDM_REST_URL": f"http://127.0.0.1:{port}",
        }
        ended = run_briefly("doctor", "--venue", "binance_usdm", "--json", *ANY_PORTS, **where)
    told = json.loads(ended.stdout)
    assert (ended.returncode, told["ok"], ended.stderr) == (0, True, ""), ended.stdout
    of_venue = [finding["check"] for finding in told["findings"] if finding["venue"] == "binance_usdm"]
    assert of_venue == ["dns", "rest", "clock", "stream", "stream"]  # one a route


@pytest.mark.parametrize(
    ("output", "code", "said"),
    [
        (">/dev/full", 2, "k2workers: error: doctor: standard output cannot be written (No space left on device)\n"),
        (">&-", 2, "k2workers: error: doctor: standard output is closed, and what it tells is printed there\n"),
        ("| true", 0, ""),
    ],
)
def test_it_ends_in_words_wherever_its_output_goes(output: str, code: int, said: str) -> None:
    line = f'set -o pipefail; "$@" doctor --demo {" ".join(ANY_PORTS)} {output}'
    ended = subprocess.run(
        ["bash", "-c", line, "bash", *PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert (ended.returncode, ended.stderr) == (code, said)


@pytest.mark.long  # what it rests on is tested in test_machine_checks
def test_beside_a_feed_that_runs_it_names_the_feed() -> None:
    publish = free_port()
    with demo(publish=publish, shards=1) as feed:
        feed.wait_ready()
        ended = run_briefly("doctor", "--demo", "--http-port", "0", "--publish-endpoint", f"tcp://127.0.0.1:{publish}", "--snapshot-endpoint", "tcp://127.0.0.1:*")  # fmt: skip
        holder = f"pid {feed.pid_of('aggregator')}"
        feed.stop()
    assert ended.returncode == 1
    assert f"publish_endpoint = 'tcp://127.0.0.1:{publish}' cannot be used: the address is in use" in ended.stdout
    assert f"held by {holder}" in ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("doctor: 1 failed")


def test_without_a_network_each_check_ends_and_says_what_it_means(tmp_path: Path) -> None:
    """A name server that is silent keeps the C library for far longer than a check may take."""
    resolver = "nameserver 127.0.0.53\noptions timeout:30 attempts:5\n"
    silent = (
        "import socket, subprocess, sys\n"
        "server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "server.bind(('127.0.0.53', 53))\n"
        "sys.exit(subprocess.run(sys.argv[1:]).returncode)\n"
    )
    with Namespace(tmp_path, {}, resolver) as namespace:
        ended = subprocess.run(
            namespace.inside(sys.executable, "-c", silent, *PROGRAM, "doctor", "--json"),
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=WAIT_S, check=False,
        )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (1, "")
    found = json.loads(ended.stdout)["findings"]
    for check in ("dns", "tls", "rest", "stream"):
        told = [finding for finding in found if finding["check"] == check]
        assert told
        for finding in told:
            assert (finding["grade"], finding["found"]) == ("failed", "no answer within 5 s")
            assert finding["advice"]
    assert {finding["grade"] for finding in found if not finding["venue"]} <= {"ok", "warning"}


def test_a_mistake_in_a_setting_ends_it_as_it_would_end_a_run() -> None:
    ended = run_briefly("doctor", "--http-port", "many", "--nonsense", "1")
    assert ended.returncode == 2
    assert "http_port = many: not a whole number" in ended.stderr
    assert "--nonsense: no such flag" in ended.stderr
