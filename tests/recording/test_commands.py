"""The commands of recordings as a user meets them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.recording.support import TOPIC, journal_in, put, trade
from tests.support.waiting import WAIT_S
from tests.system.support import run_briefly


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["record"], "--to: its value is missing"),
        (["record", "--to", "DIR", "a b"], "topic 'a b': allowed is a name without spaces"),
        (["record", "--to", "DIR", "--endpoint", "x", "--file-minutes", "0"], "endpoint = 'x': allowed: tcp://HOST:PORT"),
        (["record", "--to", "DIR", "--endpoint", "x", "--file-minutes", "0"], "file_minutes = 0: allowed: ≥ 0.01 and ≤ 1440 (flag --file-minutes)"),
        (["record", "--to", "DIR", "--file-minutes", "x"], "file-minutes"),
        (["record", "--to", "DIR", "--log-format", "x"], "log_format = 'x': allowed: auto, console, json"),
        (["record", "--to", "FILE"], "cannot be written (File exists)"),
        (["record", "--too", "DIR"], "--too: no such flag"),
        (["verify", "DIR/none"], "no such directory"),
        (["verify"], "its value is missing"),
        (["verfy", "DIR"], "did you mean verify?"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_what_is_allowed(tmp_path: Path, args: list[str], words: str) -> None:
    (tmp_path / "file").touch()
    done = run_briefly(*(arg.replace("DIR", str(tmp_path)).replace("FILE", str(tmp_path / "file")) for arg in args))
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_verify_tells_in_words_or_json_and_by_its_exit_code(tmp_path: Path) -> None:
    from k2workers.recording.conversion import convert

    made = journal_in(tmp_path)
    put(made, TOPIC, trade(1), trade(2))
    made.roll(b"")
    convert(tmp_path, made.number)
    done = run_briefly("verify", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "whole: 1 topics, rows 2, missing 0, twice 0, named 0"
    (tmp_path / "notes.txt").touch()
    done = run_briefly("verify", str(tmp_path), "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert (found["whole"], found["unknown"], found["topics"][0]["topic"]) == (False, ["notes.txt"], TOPIC)


def test_without_pyarrow_it_is_told_what_to_install(tmp_path: Path) -> None:
    import subprocess

    code = "import sys; sys.modules['pyarrow'] = None; sys.argv = ['k2workers', *sys.argv[1:]]; from k2workers.cli import main; main()"
    for args in (["record", "--to", str(tmp_path)], ["verify", str(tmp_path)]):
        done = subprocess.run(
            [sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=WAIT_S, check=False
        )
        assert done.returncode == 2
        assert "install k2workers[parquet]" in done.stderr
