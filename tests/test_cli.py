"""The command line as a user meets it."""

from __future__ import annotations

import pytest

from tests.system.support import run_briefly


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--shards", "0"], "shards = 0"),
        (["--shards", "many"], "--shards"),
        (["--binance-connection-max-lifetime-hours", "25"], "≤ 24"),
        (["--demo", "--duration", "-1"], "flag --duration, environment K2_DURATION_S"),
        (
            ["--demo", "--report", "/no/such/report.json"],
            "report = '/no/such/report.json': allowed: a file in a directory",
        ),
        (["--nonsense"], "--nonsense"),
        (["tail"], "at least one topic"),
        (["tail", "with space"], "with space"),
        (["tail", "t", "--snapshot-endpoint", "nowhere"], "snapshot_endpoint = 'nowhere'"),
        (["tail", "t", "--books-endpoint", "nowhere"], "books_endpoint = 'nowhere'"),
        (["tail", "t", "--count", "0"], "count = 0: allowed: 1 or more (flag --count)"),
        (["tail", "a b", "--count", "-1", "--endpoint", "x"], "endpoint = 'x': allowed: tcp://HOST:PORT"),
        (["tail", "a b", "--count", "-1", "--endpoint", "x"], "count = -1: allowed"),
        (["tail", "a b", "--count", "-1", "--endpoint", "x"], "topic 'a b'"),
        (["--config", "/no/such.toml"], "cannot be read"),
        (["simulate", "--replay", "/no/such.gz", "--port", "0"], "/no/such.gz"),
        (["simulate", "--port", "65536"], "port = 65536: allowed: 0 to 65535 (flag --port)"),
        (["simulate", "--rate", "nan"], "rate = nan: allowed: 0.001 to 200000 (flag --rate)"),
        (["simulate", "--rate", "-1", "--symbols", "0"], "symbols = 0: allowed: 1 to 100000 (flag --symbols)"),
        (["simulate", "--ping-interval", "inf"], "ping_interval = inf"),
        (
            ["simulate", "--port", "abc", "--rate", "x", "--tls-key", "k"],
            "port = abc: not a whole number; allowed: 0 to",
        ),
        (["simulate", "--port", "abc", "--rate", "x", "--tls-key", "k"], "rate = x: not a number; allowed: 0.001 to"),
        (["simulate", "--port", "abc", "--rate", "x", "--tls-key", "k"], "tls_key = 'k': allowed: no key without"),
        (["simulate", "--symbols", "1.5", "--host", ""], "symbols = 1.5: not a whole number; allowed: 1 to 100000"),
        (["simulate", "--symbols", "1.5", "--host", ""], "host = '': allowed: an address of this machine"),
        (["--shards", "1.5"], "shards = 1.5: not a whole number; allowed: ≥ 1 and ≤ 256 (flag --shards"),
        (["tale", "x"], "tale x: not expected here; did you mean tail?"),
        (["--symbols", "BTCUSDT", "ETHUSDT"], "ETHUSDT: not expected here; names of a list stand between commas"),
    ],
)
def test_a_mistake_is_words_and_exit_code_2(args: list[str], words: str) -> None:
    ended = run_briefly(*args)
    assert ended.returncode == 2, ended.stderr
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert all(line.startswith("k2workers: error: ") for line in ended.stderr.splitlines())


def test_help_and_version_are_there() -> None:
    assert "--shards" in run_briefly("--help").stdout
    assert run_briefly("--version").stdout.strip() == "0.2.0"
