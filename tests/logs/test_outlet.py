"""Text that nobody reads keeps nobody waiting, and what is lost of it is told."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from k2workers.logs import outlet
from k2workers.logs.outlet import MOST_WAITING, Outlet
from tests.support.waiting import WAIT_S, wait_for

ROOT = Path(__file__).resolve().parents[2]
LINE = "x" * 99 + "\n"


class Pipe:
    def __init__(self) -> None:
        self.ours, self.theirs = os.pipe()
        self.outlet = Outlet(self.theirs)

    def read_until(self, words: str) -> str:
        """What comes, up to these words."""
        text = ""
        while words not in text:
            assert select.select([self.ours], [], [], WAIT_S)[0], f"after {text[-200:]!r} came nothing"
            text += os.read(self.ours, 65_536).decode()
        return text

    def close(self) -> None:
        for fd in (self.ours, self.theirs):
            os.close(fd)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    os.set_blocking(made.ours, False)
    while made.outlet._left:  # its thread waits for a reader
        try:
            os.read(made.ours, 65_536)
        except BlockingIOError:
            time.sleep(0.001)
    made.close()


def overfill(pipe: Pipe) -> int:
    """Write until lines are dropped; how many were written."""
    written = 0
    while not pipe.outlet.dropped and written < 10_000:
        pipe.outlet.write(LINE)
        written += 1
    return written


def test_what_nobody_reads_is_held_up_to_a_bound_then_dropped_and_counted(pipe: Pipe) -> None:
    written = overfill(pipe)
    assert MOST_WAITING <= written * len(LINE) <= MOST_WAITING + 2 * 65_536
    pipe.outlet.write(LINE * 9)
    assert pipe.outlet.dropped == 10


def test_the_first_line_after_those_that_were_dropped_tells_how_many(pipe: Pipe) -> None:
    written = overfill(pipe)
    pipe.outlet.write(LINE * 4)
    wait_for("room", lambda: os.read(pipe.ours, 65_536) and pipe.outlet._waiting < MOST_WAITING // 2)
    pipe.outlet.write("after\n")
    lines = pipe.read_until("after\n").splitlines()
    assert lines[-2:] == ["k2workers: 5 lines dropped: nobody read them", "after"]
    assert written > 2_000


def test_who_reads_on_learns_of_dropped_lines_also_if_no_line_follows(pipe: Pipe) -> None:
    overfill(pipe)
    assert pipe.read_until("dropped: nobody").splitlines()[-1].startswith("k2workers: 1 lines dropped")
    pipe.outlet.write("after\n")
    assert pipe.read_until("after\n") in {"after\n", " read them\nafter\n"}


def test_once_lines_are_dropped_half_of_the_room_must_be_free_again(pipe: Pipe) -> None:
    """Otherwise each line that is read makes room for one, and every other line tells of drops."""
    overfill(pipe)
    wait_for("some room", lambda: os.read(pipe.ours, 8_192) and pipe.outlet._waiting < MOST_WAITING * 3 // 4)
    pipe.outlet.write(LINE)
    assert pipe.outlet.dropped == 2


def test_a_flush_ends_although_nobody_reads(pipe: Pipe) -> None:
    overfill(pipe)
    flushing = threading.Thread(target=pipe.outlet.flush)
    flushing.start()
    flushing.join(WAIT_S)
    assert not flushing.is_alive()
    assert pipe.outlet._left, "it has been waited for"


async def test_in_an_event_loop_a_flush_waits_for_nobody(pipe: Pipe) -> None:
    overfill(pipe)
    began_s = time.monotonic()
    pipe.outlet.flush()
    assert time.monotonic() - began_s < outlet.END_S


def test_a_flush_waits_for_who_reads_and_takes_a_begun_line_along(pipe: Pipe) -> None:
    reader = threading.Thread(target=lambda: read.append(pipe.read_until("begun\n")))
    read: list[str] = []
    pipe.outlet.write(LINE * 1_500 + "begun")
    reader.start()
    pipe.outlet.flush()
    reader.join(WAIT_S)
    assert len(read[0]) == 1_500 * len(LINE) + len("begun\n")


def test_a_line_goes_out_whole_however_it_was_written(pipe: Pipe) -> None:
    for piece in ("a", "b", "", "c\nd\n", "e\n"):
        pipe.outlet.write(piece)
    assert pipe.read_until("e\n") == "abc\nd\ne\n"


def test_lines_for_a_full_disk_are_counted_as_lost_and_the_next_ones_are_tried() -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    full = Outlet(fd)
    for count in (1, 2, 3):
        full.write("lost\n")
        full.flush()
        assert full.dropped == count
    ours, theirs = os.pipe()
    os.dup2(theirs, fd)  # there is room again
    full.write("shown\n")
    full.flush()
    assert os.read(ours, 1_000).decode().splitlines() == ["shown", "k2workers: 3 lines dropped: nobody read them"]
    for own in (fd, ours, theirs):
        os.close(own)


def test_a_file_that_somebody_made_non_blocking_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.theirs, False)
    pipe.outlet.write(LINE * 2_000 + "end\n")
    assert len(pipe.read_until("end\n")) == 2_000 * len(LINE) + 4
    assert pipe.outlet.dropped == 0


def test_what_is_to_be_done_comes_between_lines_and_once_however_often_it_was_asked_for(pipe: Pipe) -> None:
    overfill(pipe)

    def count(lines: list[str]) -> None:
        os.write(pipe.theirs, f"{len(lines)} at once\n".encode())

    def work() -> None:
        pipe.outlet.show_with(count, 3)
        done.append(1)

    done: list[int] = []
    pipe.outlet.soon(work)
    pipe.outlet.soon(work)
    pipe.read_until("dropped: nobody") if pipe.outlet.dropped > 1 else None
    wait_for("it", lambda: os.read(pipe.ours, 65_536) and done)
    pipe.outlet.write("1\n")
    pipe.read_until("at once\n")
    assert done == [1]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_lines_go_on_after_a_defect_in_what_shows_them(pipe: Pipe) -> None:
    def broken(lines: list[str]) -> None:
        pipe.outlet.show_with(None)
        raise TypeError("a defect")

    pipe.outlet.soon(lambda: pipe.outlet.show_with(broken, 1))
    pipe.outlet.write("lost\n")
    thread = pipe.outlet._thread
    assert thread is not None
    thread.join(WAIT_S)
    pipe.outlet.write("shown\n")
    assert "shown\n" in pipe.read_until("shown\n")
    assert pipe.outlet.dropped == 1


@pytest.mark.parametrize(("same", "outlets"), [(True, 1), (False, 2)])
def test_a_process_whose_outputs_are_one_has_one_outlet_and_keeps_their_order(same: bool, outlets: int) -> None:
    script = (
        "import sys; from k2workers.logs import outlet; outlet.take_over(); "
        "[print(n, file=(sys.stdout, sys.stderr)[n % 2]) for n in range(100)]; print(len(outlet._outlets)); print('open', end='')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, text=True, check=True, timeout=WAIT_S,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT if same else subprocess.PIPE,
    )  # fmt: skip
    numbers = range(100) if same else range(0, 100, 2)
    assert ended.stdout.split() == [*map(str, numbers), str(outlets), "open"]


def test_a_traceback_is_shown_at_the_end_of_a_process_and_closed_outputs_are_left_alone() -> None:
    script = "import sys; from k2workers.logs import outlet; outlet.take_over(); assert sys.stdout is None; raise TypeError('a defect')"
    ended = subprocess.run(
        ["bash", "-c", '"$0" -c "$1" >&-', sys.executable, script],
        cwd=ROOT, text=True, check=False, timeout=WAIT_S, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert ended.stderr.splitlines()[-1] == "TypeError: a defect"
