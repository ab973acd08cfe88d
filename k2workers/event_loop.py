"""Owns the event loop of every process: uvloop's, with names looked up in threads that nobody waits for.

The C library looks names up and cannot be told to stop: with a name server that does not answer a lookup takes ten seconds to a minute. uvloop
does it in threads of libuv, which every process joins at its end, and of which there are four.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

Result = TypeVar("Result")

Query = tuple[Any, ...]


class Loop(uvloop.Loop):
    """Those who ask for the same name at the same time share one lookup; one that is no longer wanted goes on by itself."""

    def __init__(self) -> None:
        super().__init__()
        self._lookups: dict[Query, asyncio.Future[Any]] = {}

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - the name that asyncio gives it
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """See ``socket.getaddrinfo``."""
        if host is None or _is_address(host):
            return await super().getaddrinfo(host, port, family=family, type=type, proto=proto, flags=flags)
        query = host, port, family, type, proto, flags
        if query not in self._lookups:
            found = self._lookups[query] = self.create_future()
            found.add_done_callback(lambda over: self._over(query, over))
            threading.Thread(target=self._look_up, args=(query, found), name="lookup", daemon=True).start()
        found = self._lookups[query]
        try:
            return await asyncio.shield(found)
        except asyncio.CancelledError:
            self._forget(query, found)  # it may be stuck, and who asks again may be answered by now
            raise

    def _look_up(self, query: Query, found: asyncio.Future[Any]) -> None:
        try:
            answer, error = socket.getaddrinfo(*query), None
        except (OSError, ValueError) as failure:  # a name that is none is a UnicodeError
            answer, error = [], failure
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self.call_soon_threadsafe(_settle, found, answer, error)

    def _over(self, query: Query, found: asyncio.Future[Any]) -> None:
        self._forget(query, found)
        if not found.cancelled():
            found.exception()  # perhaps nobody waits for it any more

    def _forget(self, query: Query, found: asyncio.Future[Any]) -> None:
        if self._lookups.get(query) is found:
            del self._lookups[query]


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run this in a new loop; its result."""
    return uvloop.run(main, loop_factory=Loop)


def _settle(found: asyncio.Future[Any], answer: list[Any], error: Exception | None) -> None:
    if found.done():
        return
    if error is None:
        found.set_result(answer)
    else:
        found.set_exception(error)


def _is_address(host: str | bytes) -> bool:
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError, ValueError):
            socket.inet_pton(family, text.partition("%")[0])
            return True
    return False
