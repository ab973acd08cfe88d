"""Iteration over whole batches, plain and asynchronous."""

from __future__ import annotations

import asyncio
from array import array
from collections import deque

import pytest

from k2workers.transport.batches import ITEMS_A_TURN, Batches, columns_here


class Source:
    """Gives what is there, and gets more whenever somebody waits."""

    def __init__(self, count: int) -> None:
        self.coming = deque(range(count))
        self.there: deque[int] = deque()
        self.waits = 0

    def next_item(self) -> int | None:
        return self.there.popleft() if self.there else None

    def wait(self) -> None:
        self.waits += 1
        self.there.append(self.coming.popleft())

    async def wait_later(self) -> None:
        self.wait()


async def test_both_ways_wait_only_while_there_is_nothing() -> None:
    source = Source(4)
    batches = Batches(source.next_item, source.wait, source.wait_later)
    assert [next(iter(batches)), await anext(aiter(batches)), next(batches), await anext(batches)] == [0, 1, 2, 3]
    assert source.waits == 4
    source.there.extend([4, 5])
    assert (next(batches), await anext(batches), source.waits) == (4, 5, 4)


async def test_other_tasks_have_their_turn_also_while_more_is_there() -> None:
    source = Source(0)
    source.there.extend(range(2 * ITEMS_A_TURN))
    batches = Batches(source.next_item, source.wait, source.wait_later)
    other = asyncio.create_task(asyncio.sleep(0))
    for _ in range(2 * ITEMS_A_TURN):
        await anext(batches)
    assert other.done()


def test_columns_are_made_without_numpy_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    read, arrays = columns_here()
    assert read is None
    assert (arrays.integers([1, 2]), arrays.flags([True])) == (array("q", [1, 2]), [True])


def test_columns_are_made_with_numpy_where_it_is_installed() -> None:
    numpy = pytest.importorskip("numpy", reason="it is not installed")
    read, arrays = columns_here()
    assert read is not None
    assert isinstance(arrays.integers([1, 2]), numpy.ndarray)
