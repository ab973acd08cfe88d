"""Where a run keeps what lies in the file system: full, cleaned, gone, taken, or of no use from the beginning."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.cleaner import remove
from tests.support.full_file_system import kept_full
from tests.support.namespace import (
    on_small_file_system,
    where_nothing_can_be_written,
    where_only_a_full_place_can_be_written,
)
from tests.support.venue import Venue
from tests.support.waiting import wait_for
from tests.system.support import PROGRAM, Program, feed


@contextlib.contextmanager
def serving(*command: str, **environment: str) -> Iterator[Program]:
    """One shard of one symbol, ready."""
    with (
        Venue(["AAAUSDT"]) as venue,
        feed(venue, shards=1, command=command, only={**os.environ, **environment}) as program,
    ):
        program.wait_ready()
        yield program


def restart(program: Program, name: str) -> None:
    """Kill a child, and wait until the next one serves."""
    before = program.pid_of(name)
    psutil.Process(before).kill()

    def serves() -> bool:
        assert program.process.poll() is None, "".join(program.raw)
        state = program.status()["children"][name]
        return bool(state["ready"] and state["pid"] != before)

    wait_for(f"a new {name} that serves", serves)
    wait_for("readyz 200", lambda: program.http("/readyz")[0] == 200)


def received(program: Program) -> float:
    """Events of all lives of the worker, as /metrics tells."""
    return sum(program.metrics("k2_events_received_total").values())


def flows(program: Program) -> None:
    """Events come, and /metrics tells of them."""
    before, published = received(program), program.status()["published"]
    assert before > 0
    wait_for("more events in /metrics", lambda: received(program) > before)
    wait_for("more events published", lambda: program.status()["published"] > published)


def not_kept(program: Program) -> float:
    """Of how many processes no file holds the metrics."""
    return sum(program.metrics("k2_metrics_not_kept").values())


def test_a_full_file_system_under_the_run_directory_stops_nothing_and_is_told_until_there_is_room(
    tmp_path: Path,
) -> None:
    with serving(*on_small_file_system(tmp_path), K2_RUN_DIR=str(tmp_path / "run")) as program:
        wait_for("metrics of the worker", lambda: received(program) > 0)
        assert not_kept(program) == 0
        before, published = received(program), program.status()["published"]
        with kept_full(Path(f"/proc/{program.process.pid}/root{tmp_path}")):
            for name in ("worker-0", "aggregator"):
                restart(program, name)
            wait_for("the metric that tells", lambda: not_kept(program) == 2)
            assert received(program) >= before, "what a dead worker counted is kept"
            wait_for("more events published", lambda: program.status()["published"] > published)
            assert {line["process"] for line in program.logged("metrics_not_kept")} == {"worker-0", "aggregator"}
        wait_for("all metrics", lambda: not_kept(program) == 0)
        flows(program)
        program.stop()
        assert program.process.returncode == 0


@pytest.mark.parametrize("place", ["the run directory", "every temporary directory"])
def test_directories_that_a_cleaner_removes_stop_nothing_and_hide_no_metric(tmp_path: Path, place: str) -> None:
    run_dir, temporary = tmp_path / "run", tmp_path / "temporary"
    temporary.mkdir()
    with serving(K2_RUN_DIR=str(run_dir), TMPDIR=str(temporary)) as program:
        wait_for("metrics of the worker", lambda: received(program) > 0)
        assert list(temporary.iterdir()) == []
        remove(run_dir if place == "the run directory" else temporary)
        for name in ("worker-0", "aggregator"):
            restart(program, name)
        wait_for("metrics of the next worker", lambda: received(program) > 0)
        wait_for("all metrics", lambda: not_kept(program) == 0)
        flows(program)
        program.stop()
        assert program.process.returncode == 0


def test_dead_workers_leave_one_file_together(tmp_path: Path) -> None:
    def files() -> int:
        return len(list((tmp_path / "metrics").iterdir()))

    with serving(K2_RUN_DIR=str(tmp_path)) as program:
        wait_for("metrics of the worker", lambda: received(program) > 0)
        alive = files()
        for _ in range(2):
            before = received(program)
            restart(program, "worker-0")
            assert received(program) >= before
            flows(program)
            wait_for("the files of the living and two of the dead", lambda: files() == alive + 2)


# ── two at once ─────────────────────────────────────────────────────────────────────────────────────────────


def beside(venue: Venue, folder: Path, **shared: str) -> Program:
    """A feed with places of its own in ``folder``, but for those that are ``shared``: settings."""
    settings = {
        "run_dir": f"{folder}/run", "publish_endpoint": f"ipc://{folder}/publish", "snapshot_endpoint": f"ipc://{folder}/snapshot",
        "checkpoint": f"{folder}/checkpoint", "http_port": "0", "binance_websocket_url": venue.ws_url,
        "binance_rest_url": venue.rest_url, "symbols": "*", "shards": "1", "log_format": "json",
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    variables = {f"K2_{name}".upper(): value for name, value in {**settings, **shared}.items()}
    return Program(only={**os.environ, **variables})


@pytest.mark.parametrize("setting", ["run_dir", "publish_endpoint", "books_endpoint", "checkpoint"])
def test_a_second_feed_with_a_place_of_the_first_refuses_and_names_it(tmp_path: Path, setting: str) -> None:
    place = f"{tmp_path}/shared"
    shared = {setting: f"ipc://{place}" if "endpoint" in setting else place}
    with Venue(["AAAUSDT"]) as venue, beside(venue, tmp_path / "first", **shared) as first:
        first.wait_ready()
        with beside(venue, tmp_path / "second", **shared) as second:
            second.join()
            assert second.process.returncode == 2
            (said,) = [line for line in second.raw if "error: " in line]
            assert f"{setting} = '{shared[setting]}'" in said
            assert f"in use by pid {first.process.pid} (" in said
            assert "-m k2workers" in said
        for name in ("worker-0", "aggregator"):
            restart(first, name)
        flows(first)
        first.stop()
        assert first.process.returncode == 0
        with beside(venue, tmp_path / "second", **shared) as second:
            second.wait_ready()


def test_a_place_of_a_feed_that_was_killed_is_taken_over_at_once(tmp_path: Path) -> None:
    with Venue(["AAAUSDT"]) as venue, beside(venue, tmp_path) as first:
        first.wait_ready()
        first.process.kill()
        with beside(venue, tmp_path) as second:
            second.wait_ready()
            wait_for("metrics of the worker", lambda: received(second) > 0)
            flows(second)


def test_feeds_without_a_run_directory_live_side_by_side_and_the_next_one_removes_what_dead_ones_left(
    tmp_path: Path,
) -> None:
    state = {"XDG_STATE_HOME": str(tmp_path), "RUNTIME_DIRECTORY": ""}

    def directories() -> set[Path]:
        return set((tmp_path / "k2workers").glob("run-*"))

    with serving(**state) as first:
        (of_first,) = directories()
        with serving(**state):
            (of_second,) = directories() - {of_first}
            wait_for("metrics of the worker", lambda: received(first) > 0)
            flows(first)
        assert of_second in directories(), "it was killed"
        with serving(**state) as third:
            assert of_second not in directories()
            assert of_first in directories()
            third.stop()
        flows(first)
        first.stop()
    assert directories() == set()


# ── places of no use ────────────────────────────────────────────────────────────────────────────────────────

LONG = "x" * 139


def refusal(program: Program) -> str:
    """All that it said but for its log, which is one line; it has ended."""
    program.join()
    assert program.process.returncode == 2, "".join(program.raw)
    (words,) = [line for line in program.raw if not line.startswith("{")]
    assert words.startswith("k2workers: error: ")
    return words.removeprefix("k2workers: error: ")


def start_briefly(*command: str, **environment: str) -> Program:
    ports = [word for name in ("publish", "snapshot", "books") for word in (f"--{name}-endpoint", "tcp://127.0.0.1:*")]
    flags = ["--demo", "--shards", "1", "--http-port", "0", "--duration", "1", "--log-format", "json", *ports]
    return Program(*flags, command=(*command, *PROGRAM), only={**os.environ, **environment})


@pytest.mark.parametrize(
    ("variable", "place"),
    [
        ("K2_RUN_DIR", "{tmp_path}/" + LONG), ("K2_RUN_DIR", "{tmp_path}/file"), ("K2_RUN_DIR", "{tmp_path}/file/below"),
        ("K2_RUN_DIR", "/proc/k2workers"), ("K2_PUBLISH_ENDPOINT", "ipc://{tmp_path}/" + LONG),
        ("K2_PUBLISH_ENDPOINT", "ipc://{tmp_path}/file"), ("K2_PUBLISH_ENDPOINT", "ipc://{tmp_path}"),
        ("K2_PUBLISH_ENDPOINT", "ipc:///proc/publish"), ("K2_PUBLISH_ENDPOINT", "ipc://{tmp_path}/missing/publish"),
    ],
)  # fmt: skip
def test_a_place_that_is_of_no_use_is_told_in_one_sentence(tmp_path: Path, variable: str, place: str) -> None:
    (tmp_path / "file").write_text("precious")
    place = place.format(tmp_path=tmp_path)
    flags = ("--demo", "--shards", "1", "--http-port", "0", "--duration", "1", "--log-format", "json")
    with Program(*flags, only={**os.environ, variable: place}) as program:
        assert refusal(program).startswith(f"{variable.removeprefix('K2_').lower()} = '{place}'")
    assert (tmp_path / "file").read_text() == "precious"


def test_a_run_directory_in_which_no_metrics_can_be_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "metrics").write_text("")
    with start_briefly(K2_RUN_DIR=str(tmp_path)) as program:
        assert refusal(program).startswith("run_dir: ")


def test_a_temporary_directory_with_a_long_name_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / LONG).mkdir()
    with (
        tempfile.TemporaryDirectory(dir="/tmp", prefix="k2-") as home,  # its name is short
        serving(TMPDIR=str(tmp_path / LONG), HOME=home, XDG_STATE_HOME="", RUNTIME_DIRECTORY="") as program,
    ):
        program.stop()
        assert program.process.returncode == 0


def test_a_machine_without_a_place_for_sockets_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / LONG).mkdir()
    with start_briefly(
        TMPDIR=str(tmp_path / LONG), HOME=str(tmp_path / LONG), XDG_STATE_HOME="", RUNTIME_DIRECTORY=""
    ) as program:
        words = refusal(program)
    assert "too long" in words
    assert "run_dir (K2_RUN_DIR)" in words


@pytest.mark.parametrize("where", [where_nothing_can_be_written, where_only_a_full_place_can_be_written])
def test_a_machine_on_which_nothing_can_be_written_is_told_in_one_sentence(
    where: Callable[[], tuple[str, ...]],
) -> None:
    with start_briefly(*where()) as program:
        assert refusal(program).startswith("no directory")
