"""Many threads ask for one answer at the same time."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from k2workers.metrics import shared_answer
from k2workers.metrics.shared_answer import SharedAnswer
from tests.support.waiting import WAIT_S, wait_for


class Gate:
    """Makes answers 1, 2, 3 …, the first of them only once it is open."""

    def __init__(self) -> None:
        self.made = 0
        self.open = threading.Event()

    def make(self) -> int:
        self.made += 1
        number = self.made
        assert self.open.wait(WAIT_S)
        if number == 3:
            raise TimeoutError
        return number


def asked(pool: ThreadPoolExecutor, get: Callable[[], int], count: int) -> list[Future[int]]:
    """So many threads that ask, all of them begun."""
    begun = threading.Barrier(count + 1)

    def ask() -> int:
        begun.wait(WAIT_S)
        return get()

    futures = [pool.submit(ask) for _ in range(count)]
    begun.wait(WAIT_S)
    return futures


def test_those_who_ask_while_one_is_made_share_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_answer, "REST", 0)
    gate = Gate()
    shared = SharedAnswer(gate.make)
    with ThreadPoolExecutor(20) as pool:
        (first,) = asked(pool, shared.get, 1)
        wait_for("the first to be under way", lambda: gate.made)
        others = asked(pool, shared.get, 10)
        wait_for("all to wait", lambda: len(shared._changed._waiters) == 10)  # type: ignore[attr-defined]
        gate.open.set()
        assert first.result(WAIT_S) == 1
        assert [other.result(WAIT_S) for other in others] == [2] * 10
    assert gate.made == 2


def test_what_keeps_it_from_being_made_is_told_to_all_and_the_next_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_answer, "REST", 0)
    gate = Gate()
    gate.made = 1
    shared = SharedAnswer(gate.make)
    with ThreadPoolExecutor(20) as pool:
        (first,) = asked(pool, shared.get, 1)
        wait_for("the first to be under way", lambda: gate.made == 2)
        others = asked(pool, shared.get, 5)
        wait_for("all to wait", lambda: len(shared._changed._waiters) == 5)  # type: ignore[attr-defined]
        gate.open.set()
        assert first.result(WAIT_S) == 2
        for other in others:
            with pytest.raises(TimeoutError):
                other.result(WAIT_S)
    assert shared.get() == 4


def test_it_rests_after_one_that_cost_much() -> None:
    begun: list[float] = []

    def make() -> None:
        begun.append(time.monotonic())
        while time.monotonic() < begun[-1] + 0.05:
            pass

    shared = SharedAnswer(make)
    for _ in range(3):
        shared.get()
    waited = [later - earlier for earlier, later in itertools.pairwise(begun)]
    assert min(waited) >= 0.05 * (1 + shared_answer.REST)
