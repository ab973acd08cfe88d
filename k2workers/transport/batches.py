"""Owns the plain and the asynchronous iteration over whole batches, and with what their columns are made on this machine."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Awaitable, Callable
from typing import Generic, Self, TypeVar

from k2workers.transport.columns import Arrays, Read, StandardArrays

ITEMS_A_TURN = 500
"""After so many the program's event loop gets its turn, also while more wait: it has other tasks, and may be told to end."""

Item = TypeVar("Item")


class Batches(Generic[Item]):
    """A subscriber's items a batch at a time; plain and asynchronous iteration."""

    def __init__(
        self, next_item: Callable[[], Item | None], wait: Callable[[], None], wait_later: Callable[[], Awaitable[None]]
    ) -> None:
        self._next_item = next_item
        self._wait = wait
        self._wait_later = wait_later
        self._given = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        while (item := self._next_item()) is None:
            self._wait()
        return item

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        self._given += 1
        if self._given % ITEMS_A_TURN == 0:
            await asyncio.sleep(0)
        while (item := self._next_item()) is None:
            await self._wait_later()
        return item


def columns_here() -> tuple[Read | None, Arrays]:
    """What reads columns from bytes, and what makes those of events: numpy, which is not imported before, if it is installed."""
    if importlib.util.find_spec("numpy") is None:
        return None, StandardArrays()
    from k2workers.transport.column_reader import ColumnReader, NumpyArrays  # imports numpy, which takes its time

    return ColumnReader().read, NumpyArrays()
