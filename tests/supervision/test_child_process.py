"""What every child does alike, towards the channel of a real parent."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from k2workers.every import Every
from k2workers.supervision.child_process import ChildProcess
from k2workers.supervision.control_channel import ControlServer
from k2workers.supervision.control_messages import (
    AnyControlMessage,
    Beat,
    BooksKept,
    ChildHello,
    Drain,
    Ready,
    Record,
)
from tests.support.waiting import until

NAME = "one"


class Listening:
    """A parent that keeps what it hears."""

    def __init__(self, folder: Path) -> None:
        self.heard: list[AnyControlMessage] = []
        self.server = ControlServer(f"ipc://{folder}/control", lambda _, message: self.heard.append(message))

    def of(self, kind: type[AnyControlMessage]) -> list[AnyControlMessage]:
        return [message for message in self.heard if isinstance(message, kind)]


@pytest.fixture
async def parent(tmp_path: Path) -> AsyncIterator[Listening]:
    made = Listening(tmp_path)
    made.server.start()
    yield made
    await made.server.close()


async def test_a_child_says_hello_beats_and_ends_when_it_is_told_with_its_last_figures(parent: Listening) -> None:
    counts = {"turns": 1}
    flushed: list[int] = []
    async with ChildProcess(NAME, parent.server.endpoint) as child:
        child.beats(lambda: {"calm": True}, lambda: counts)
        child.metrics(lambda: flushed.append(counts["turns"]))
        child.ready()
        await until(lambda: parent.of(Ready) and parent.of(Beat))
        await parent.server.send(NAME, Drain())
        await child.stopping.wait()
        begun_ns = time.monotonic_ns()
        counts["turns"] = 2  # what it did while it drained

    def last() -> Beat | None:
        return beat if isinstance(beat := parent.heard[-1], Beat) and beat.counters == {"turns": 2} else None

    beat = await until(last)
    assert beat == Beat(NAME, os.getpid(), {"turns": 2}, {"calm": True}, beat.at_ns)
    assert begun_ns <= beat.at_ns <= time.monotonic_ns()
    assert parent.heard[0] == ChildHello(NAME, os.getpid())
    assert flushed[-1] == 2


async def test_a_child_that_ends_with_an_error_hands_over_what_it_said_and_reports_nothing_more(
    parent: Listening,
) -> None:
    flushed: list[None] = []
    with contextlib.suppress(ValueError):
        async with ChildProcess(NAME, parent.server.endpoint) as child:
            child.beats()
            child.metrics(lambda: flushed.append(None))
            child.tell("refused", {"error": "no"})
            raise ValueError
    await until(lambda: parent.of(Record))
    assert parent.of(Record) == [Record(NAME, "refused", {"error": "no"})]
    assert (len(parent.of(Beat)), len(flushed)) == (1, 1)


async def test_duties_stop_with_the_child_and_it_hears_what_else_the_parent_says(parent: Listening) -> None:
    turns: list[None] = []
    heard: list[AnyControlMessage] = []
    duty = Every(0.01, lambda: turns.append(None), "own")
    async with ChildProcess(NAME, parent.server.endpoint, heard.append) as child:
        child.does(duty)
        await until(lambda: parent.of(ChildHello) and len(turns) > 1)
        await parent.server.send(NAME, BooksKept(("d.",), ("d.x",)))
        await until(lambda: heard)
        assert not child.stopping.is_set()
    assert heard == [BooksKept(("d.",), ("d.x",))]
    assert duty._timer is None
