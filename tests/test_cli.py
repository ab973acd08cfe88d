"""The command line as a user meets it."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from k2workers import cli, venues
from k2workers.config import SETTINGS
from tests.support.waiting import WAIT_S, wait_for
from tests.system.support import ROOT, run_briefly


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
        (["book"], "book '': allowed is one venue with its symbol, such as binance.BTCUSDT"),
        (["book", "BTCUSDT"], "book 'BTCUSDT': allowed is one venue"),
        (["book", "binance."], "book 'binance.': allowed is one venue"),
        (["book", "a.b", "c.d", "--levels", "0"], "levels = 0: allowed: 1 or more (flag --levels)"),
        (["book", "a.b", "c.d", "--levels", "0"], "book 'a.b c.d': allowed is one venue"),
        (["book", "a.b", "--endpoint", "x"], "endpoint = 'x': allowed: tcp://HOST:PORT"),
        (["bok", "x"], "bok x: not expected here; did you mean book?"),
        (["tail", "t", "--snapshot-endpoint", "nowhere"], "snapshot_endpoint = 'nowhere'"),
        (["tail", "t", "--books-endpoint", "nowhere"], "books_endpoint = 'nowhere'"),
        (["tail", "t", "--where", "price>x", "--where", "q=1", "--disk-ring-endpoint", "y"], "'x' is not a number"),
        (["tail", "t", "--where", "price>x", "--where", "q=1", "--disk-ring-endpoint", "y"], "has a field 'q'"),
        (
            ["tail", "t", "--where", "price>x", "--where", "q=1", "--disk-ring-endpoint", "y"],
            "disk_ring_endpoint = 'y'",
        ),
        (["tail", "t", "--since", "2999-01-01"], "since = '2999-01-01': allowed: how long ago, such as 90s, 10m"),
        (["tail", "t", "--json", "--csv"], "json, csv: allowed: one of them"),
        (["tail", "t", "--count", "0"], "count = 0: allowed: 1 or more (flag --count)"),
        (["tail", "a b", "--count", "-1", "--endpoint", "x"], "endpoint = 'x': allowed: tcp://HOST:PORT"),
        (["tail", "a b", "--count", "-1", "--endpoint", "x"], "count = -1: allowed"),
        (["tail", "a b", "--count", "-1", "--endpoint", "x"], "topic 'a b'"),
        (["--config", "/no/such.toml"], "cannot be read"),
        (["simulate", "--replay", "/no/such.gz", "--port", "0"], "/no/such.gz"),
        (["simulate", "--venue", "nowhere"], "venue = 'nowhere': no stand-in for it; allowed: binance, binance_us, "),
        (["simulate", "--venue"], "--venue: its value is missing"),
        (["simulate", "--venue", "binance_usdm", "--replay", "/no/such.gz", "--port", "0"], "/no/such.gz"),
        (["simulate", "--port", "65536"], "port = 65536: too large; allowed: ≥ 0 and ≤ 65535 (flag --port)"),
        (["simulate", "--rate", "nan"], "rate = nan: not a finite number; allowed: ≥ 0.001 and ≤ 200000 (flag --rate)"),
        (
            ["simulate", "--rate", "-1", "--symbols", "0"],
            "symbols = 0: too small; allowed: ≥ 1 and ≤ 100000 (flag --symbols)",
        ),
        (["simulate", "--ping-interval", "inf"], "ping_interval_s = inf: not a finite number; allowed: ≥ 0.001"),
        (
            ["simulate", "--port", "abc", "--rate", "x", "--tls-key", "k"],
            "port = abc: not a whole number; allowed: ≥ 0 and",
        ),
        (
            ["simulate", "--port", "abc", "--rate", "x", "--tls-key", "k"],
            "rate = x: not a number; allowed: ≥ 0.001 and",
        ),
        (["simulate", "--port", "abc", "--rate", "x", "--tls-key", "k"], "tls_key = 'k': allowed: no key without"),
        (["simulate", "--symbols", "1.5", "--host", ""], "symbols = 1.5: not a whole number; allowed: ≥ 1 and"),
        (["simulate", "--symbols", "1.5", "--host", ""], "host = '': empty (flag --host)"),
        (["--shards", "1.5"], "shards = 1.5: not a whole number; allowed: ≥ 1 and ≤ 256 (flag --shards"),
        (["tale", "x"], "tale x: not expected here; did you mean tail?"),
        (["--shards", "1_0"], "shards = 1_0: not a whole number; allowed: ≥ 1 and ≤ 256 (flag --shards"),
        (
            ["--hold-back-s", "61"],
            "hold_back_s = 61: too large; allowed: ≥ 0 and ≤ 60 (flag --hold-back-s, environment",
        ),
        (["--config", "", "--shards", "0"], "config = '': allowed: the path of a file (flag --config)"),
        (["--config", "", "--shards", "0"], "shards = 0: too small"),
        (["--shard", "3", "--http-port", "x"], "--shard: no such flag; did you mean --shards?"),
        (["--shard", "3", "--http-port", "x"], "http_port = x: not a whole number"),
        (["--shards", "1", "--shards", "2"], "--shards: stands twice; allowed: once"),
        (["--symbols", "A", "--symbols", "B"], "--symbols: stands twice; allowed: once"),
        (["--demo", "--shards"], "--shards: its value is missing"),
        (["simulate", "--prot", "5", "--port", "1_0"], "port = 1_0: not a whole number"),
        (["simulate", "--prot", "5"], "--prot: no such flag; did you mean --port?"),
        (["--demo", "--replay"], "--replay: its value is missing"),
        (["simulate", "--fault"], "--fault: its value is missing"),
        (["--demo=maybe"], "--demo = maybe: neither true nor false"),
        (["tail", "t", "--count", "abc"], "--count = abc: not a whole number"),
        (["tail", "t", "--nonsense"], "--nonsense: no such flag"),
        (["completion", "ksh"], 'Choose from: "bash", "zsh", "fish"'),
        (["doctor", "--shard", "3", "--config", ""], "--shard: no such flag; did you mean --shards?"),
        (["doctor", "--shard", "3", "--config", ""], "config = '': allowed: the path of a file"),
        (["--no-demo"], "--no-demo: no such flag"),
        (
            ["--venue", "binance_us", "--binance-rest-url", "http://x"],
            "allowed: binance_us_rest_url (flag --binance-us-",
        ),
        (["--symbols", "BTCUSDT", "ETHUSDT"], "ETHUSDT: not expected here; names of a list stand between commas"),
    ],
)
def test_a_mistake_is_words_and_exit_code_2(args: list[str], words: str) -> None:
    ended = run_briefly(*args)
    assert ended.returncode == 2, ended.stderr
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert all(line.startswith("k2workers: error: ") for line in ended.stderr.splitlines())


def test_help_has_every_setting_and_fits_a_narrow_terminal() -> None:
    shown = run_briefly("--help", COLUMNS="80").stdout
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert all(f"─ Settings of {name} ─" in shown for name in venues.NAMES)
    for setting in SETTINGS.values():
        found = re.search(rf"^│ {setting.flag[:26]}", shown, re.MULTILINE)
        assert found is not None, setting.flag
        assert setting.sentence.split()[0] in shown[found.end() :].splitlines()[0]


def test_help_says_of_every_command_what_it_does() -> None:
    shown = run_briefly("--help", COLUMNS="80").stdout
    listed = dict(re.findall(r"^│ (\w+) +([^│]*?) *│$", shown.partition("─ Parameters ─")[0], re.MULTILINE))
    for command in (*cli.READERS, *cli.RECORDINGS, "completion", "doctor", "simulate"):
        assert listed[command].split()[0].istitle(), command


def test_version_is_there() -> None:
    assert run_briefly("--version").stdout.strip() == "0.2.0"


COMPLETED = """
source "$1"
COMP_WORDS=(k2workers doc) COMP_CWORD=1; _k2workers; echo "${COMPREPLY[@]}"
COMP_WORDS=(k2workers doctor --http-p) COMP_CWORD=2; _k2workers; echo "${COMPREPLY[@]}"
COMP_WORDS=(k2workers --binance-us-rest-u) COMP_CWORD=1; _k2workers; echo "${COMPREPLY[@]}"
COMP_WORDS=(k2workers --demo ta) COMP_CWORD=2; _k2workers; echo "${COMPREPLY[@]}"
"""


def test_a_shell_completes_commands_and_their_flags(tmp_path: Path) -> None:
    script = tmp_path / "k2workers"
    script.write_text(run_briefly("completion", "bash").stdout, encoding="utf-8")
    told = subprocess.run(["bash", "-c", COMPLETED, "bash", script], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["doctor", "--http-port", "--binance-us-rest-url", "tail"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
@pytest.mark.parametrize(
    "setup", ["fpath=({here} $fpath); autoload -U compinit; compinit -D -u", "autoload -U compinit; compinit -D -u; source {here}/_k2workers"]
)  # fmt: skip
def test_zsh_completes_whether_the_script_is_found_or_sourced(tmp_path: Path, setup: str) -> None:
    (tmp_path / "_k2workers").write_text(run_briefly("completion", "zsh").stdout, encoding="utf-8")
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    heard = bytearray()

    def says(words: bytes) -> bool:
        with contextlib.suppress(BlockingIOError):
            heard.extend(os.read(ours, 65_536))
        return words in heard

    shell = subprocess.Popen(
        ["zsh", "-f", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env={"PATH": os.environ["PATH"], "TERM": "dumb", "COLUMNS": "200"},
    )  # fmt: skip
    try:
        os.write(ours, f"{setup.format(here=tmp_path)}; echo loa''ded\n".encode())
        wait_for("the script", lambda: says(b"loaded"))
        os.write(ours, b"k2workers --demo --sha\t")
        wait_for("the whole flag", lambda: says(b"rds"))
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)
        os.close(theirs)


def test_a_command_imports_only_what_it_needs() -> None:
    for args, unneeded in (
        (("--version",), {"k2workers.config", "msgspec"}),
        (("--help",), {"k2workers.venues.binance.codec", "zmq", "aiohttp"}),
    ):
        script = "import sys\nfrom k2workers import cli\ntry: cli.main()\nexcept SystemExit: print('', *sys.modules)"
        ended = subprocess.run(
            [sys.executable, "-c", script, *args], cwd=ROOT, capture_output=True, text=True, check=True, timeout=WAIT_S
        )
        assert unneeded & set(ended.stdout.splitlines()[-1].split()) == set(), args
