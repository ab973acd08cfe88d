"""The commands of recordings as a user meets them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from k2workers import Lost, Subscriber
from k2workers.events import AggTrade, Backfilled, Status, Trade
from k2workers.transport.position import TopicPosition
from tests.recording.recorded import reached, recorder
from tests.recording.support import DAY, TOPIC, journal_in, put, trade
from tests.support.waiting import WAIT_S, wait_for
from tests.system.support import Program, free_port, run_briefly

CHAINS = 4
"""Trades and aggregates of two symbols."""


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["record"], "--to: its value is missing"),
        (["record", "--to", "DIR", "a b"], "topic 'a b': allowed is a name without spaces"),
        (["record", "--to", "DIR", "--endpoint", "x", "--file-minutes", "0"], "endpoint = 'x': allowed: tcp://HOST:PORT"),
        (["record", "--to", "DIR", "--endpoint", "x", "--file-minutes", "0"], "file_minutes = 0: allowed: ≥ 0.01 and ≤ 1440 (flag --file-minutes)"),
        (["record", "--to", "DIR", "--disk-ring-endpoint", "x"], "disk_ring_endpoint = 'x': allowed: tcp://HOST:PORT"),
        (["record", "--to", "DIR", "--file-minutes", "x"], "file-minutes"),
        (["record", "--to", "DIR", "--log-format", "x"], "log_format = 'x': allowed: auto, console, json"),
        (["record", "--to", "FILE"], "cannot be written (File exists)"),
        (["record", "--too", "DIR"], "--too: no such flag"),
        (["verify", "DIR/none"], "no such directory"),
        (["verify"], "its value is missing"),
        (["verify", "DIR", "--against", "rest"], "against = 'rest': allowed: REST (flag --against)"),
        (["verify", "DIR", "--config", "x"], "config = 'x': allowed only together with against (flag --config)"),
        (["verify", "DIR", "--against", "REST", "--config", "DIR/x"], "x"),
        (["compact", "DIR", "--day", "27.11."], "day = '27.11.': allowed: a day such as 2026-11-27 (flag --day)"),
        (["compact", "DIR/none"], "no such directory"),
        (["compact"], "its value is missing"),
        (["verfy", "DIR"], "did you mean verify?"),
        (["export", "DIR"], "--to: its value is missing"),
        (["export", "DIR/none", "--to", "x", "--format", "csv"], "no such directory"),
        (["export", "DIR", "--to", "DIR/out", "--format", "csv"], "allowed: a place outside of the recording (flag --to)"),
        (["export", "DIR", "--to", "x", "--format", "csv", "--from", "noon"], "from = 'noon': allowed: a time such as 2026-11-27T12:00 (flag --from)"),
        (["export", "DIR", "--to", "x", "--format", "csv", "--from", "2026-11-27", "--until", "2026-11-26"], "until = '2026-11-26': allowed: a time such as 2026-11-27T12:00, after --from"),
        (["export", "DIR", "--to", "x", "--format", "csv", "a b"], "format = 'csv': allowed: hftbacktest, tardis-csv (flag --format)"),
        (["export", "DIR", "--to", "DIRx", "--format", "hftbacktest"], "it has none that hftbacktest has a place for"),
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


def test_export_tells_what_is_missing_at_once_and_sums_it_up_at_the_end(tmp_path: Path) -> None:
    from k2workers.events import Gap
    from k2workers.recording.conversion import convert

    made, to = journal_in(tmp_path / "in"), tmp_path / "out"
    put(made, TOPIC, trade(1), Gap(2, 3, "connection lost", 7), trade(4))
    made.roll(b"")
    convert(tmp_path / "in", made.number)
    args = ("export", str(tmp_path / "in"), "--to", str(to), "--format", "tardis-csv")
    done = run_briefly(*args)
    assert (done.returncode, done.stderr) == (0, f"missing: {TOPIC}: ids 2 to 3: connection lost\n")
    assert done.stdout.splitlines() == [
        f"venue_trades_1970-01-01_AB%2FC.csv.gz: entries 2, of {TOPIC}, named 2, missing 0, gaps 1",
        "whole: files 1, entries 2, named 2, missing 0, twice 0",
    ]
    done = run_briefly(*args)
    assert (done.returncode, "it is there already; allowed: another directory, or --replace" in done.stderr) == (
        2,
        True,
    )
    path = next((tmp_path / "in").rglob("*.parquet"))
    path.write_bytes(b"")
    done = run_briefly(*args, "--replace", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["whole"], list(found["damaged"])) == (
        1,
        False,
        [path.relative_to(tmp_path / "in").as_posix()],
    )
    assert done.stderr.startswith(f"damaged: {path}: ")


def test_without_pyarrow_it_is_told_what_to_install(tmp_path: Path) -> None:
    import subprocess

    code = "import sys; sys.modules['pyarrow'] = None; sys.argv = ['k2workers', *sys.argv[1:]]; from k2workers.cli import main; main()"
    exporting = ["export", str(tmp_path), "--to", str(tmp_path.with_name("out")), "--format", "tardis-csv"]
    for args in (["record", "--to", str(tmp_path)], ["verify", str(tmp_path)], exporting):
        done = subprocess.run(
            [sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=WAIT_S, check=False
        )
        assert done.returncode == 2
        assert "install k2workers[parquet]" in done.stderr


def test_compact_tells_in_words_or_json_and_by_its_exit_code(tmp_path: Path) -> None:
    from k2workers.recording.conversion import convert

    made = journal_in(tmp_path)
    for number in (1, 2):
        put(made, TOPIC, trade(number))
        made.roll(b"")
    convert(tmp_path, made.number)
    done = run_briefly("compact", str(tmp_path), "--day", DAY)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("2 files of ")
    (tmp_path / "notes.txt").touch()
    done = run_briefly("compact", str(tmp_path), "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert (found["files"], found["unknown"], found["damaged"]) == (0, ["notes.txt"], {})


def test_only_one_program_changes_files_at_a_time(tmp_path: Path) -> None:
    from k2workers.recording import additions

    with additions.changing(tmp_path):
        for command in (["compact", str(tmp_path)], ["verify", str(tmp_path), "--against", "REST"]):
            done = run_briefly(*command)
            assert done.returncode == 2
            assert f"'{tmp_path}': another program changes its files, pid " in done.stderr


def test_what_the_recorder_lost_comes_over_rest(tmp_path: Path) -> None:
    publish, replay, books, port = (free_port() for _ in range(4))
    to, rest = tmp_path / "recording", f"http://127.0.0.1:{port}"
    streams = ("--symbols", "*", "--streams", "trade,agg_trade", "--replay-ring-s", "0.2")
    addresses = ("--publish-endpoint", f"tcp://127.0.0.1:{publish}", "--snapshot-endpoint", f"tcp://127.0.0.1:{replay}", "--books-endpoint", f"tcp://127.0.0.1:{books}")  # fmt: skip
    urls = ("--binance-rest-url", rest, "--binance-websocket-url", f"ws://127.0.0.1:{port}")
    with (
        Program("simulate", "--port", str(port), "--symbols", "2", "--rate", "600") as exchange,
        Program("--shards", "1", "--http-port", "0", "--log-format", "json", *streams, *addresses, *urls) as feed,
    ):
        feed.wait_ready()
        for _ in range(2):  # between them it is away for longer than the ring reaches
            before, published = reached(to).topics, feed.status()["published"]
            wait_for("what the ring does not hold", lambda than=published: feed.status()["published"] > than + 2_000)
            with recorder(to, publish, "binance.", replay=replay, books=books) as program:
                wait_for("news of every topic", lambda than=before: further(to, than))
                program.stop()
        done = run_briefly("verify", str(to))
        assert done.returncode == 0
        assert " named 0" not in done.stdout.splitlines()[-1]
        filled = run_briefly("verify", str(to), "--against", "REST", K2_BINANCE_REST_URL=rest)
        again = run_briefly("verify", str(to), "--against", "REST", "--json", K2_BINANCE_REST_URL=rest)
        assert exchange.process.poll() is None
    assert filled.returncode == 0, filled.stdout + filled.stderr
    chains = [line for line in filled.stdout.splitlines() if "chained and repairable" in line]
    assert len(chains) == CHAINS
    assert all(", missing 0, twice 0" in line and ", named" not in line for line in chains), chains
    assert again.returncode == 0
    assert json.loads(again.stdout)["fetched"] == {"requests": 0, "rows": 0, "void": 0, "stopped": []}
    with Program(
        "replay", str(to), "--endpoint", f"tcp://127.0.0.1:{publish}", "--speed", "max", "--log-format", "json"
    ):
        ids = ids_heard(publish)
    assert len(ids) == CHAINS
    assert all(sorted(found) == [*range(min(found), max(found) + 1)] for found in ids.values())


def further(to: Path, before: Mapping[str, TopicPosition]) -> bool:
    """Whether the journal has come further with every chain."""
    now = {topic: at.last_id for topic, at in reached(to).topics.items() if "trade." in topic}
    return len(now) == CHAINS and all(
        last > (before[topic].last_id if topic in before else -1) for topic, last in now.items()
    )


def ids_heard(publish: int) -> dict[str, list[int]]:
    """The ids of each chain of trades that a subscriber gets of a replay, until its end."""
    found: dict[str, list[int]] = {}
    with Subscriber(["binance.trade.", "binance.agg_trade.", "status."], f"tcp://127.0.0.1:{publish}") as subscriber:
        for item in subscriber:
            assert not isinstance(item, Lost)
            event = item.event.event if isinstance(item.event, Backfilled) else item.event
            if isinstance(event, Status) and event.data["ended"]:
                break
            if isinstance(event, Trade | AggTrade):
                found.setdefault(item.topic, []).append(event.first_id)
    return found
