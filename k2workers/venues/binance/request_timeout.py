"""Owns the time limits of one REST request: how long nothing may come, and how long all of it may take."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpcore


class RequestTimeout:
    """Use it as ``async with`` around a request, and as its trace. Raises TimeoutError; ``excess`` then says why.

    The time in which nothing may come begins anew with each step that httpcore's trace reports (connected, TLS agreed, sent …) and with each
    read; the limit of the whole goes on.

    It covers also what httpcore leaves out: with a SOCKS proxy it neither limits the time nor closes a connection that failed.
    """

    def __init__(self, timeout_s: float, whole_limit_s: float) -> None:
        self._timeout_s = timeout_s
        self._whole_limit_s = whole_limit_s
        self._end_s = asyncio.get_running_loop().time() + whole_limit_s
        self._limit = asyncio.timeout(None)
        self._made: httpcore.AsyncNetworkStream | None = None
        """The connection that this request had to make."""

    async def __call__(self, step: str, about: Mapping[str, Any]) -> None:
        if step.endswith(".connect_tcp.complete"):
            self._made = about["return_value"]
        self.read()

    def read(self) -> None:
        """Bytes have come."""
        if not self._limit.expired():  # then what comes is the end of the connection
            self._limit.reschedule(min(asyncio.get_running_loop().time() + self._timeout_s, self._end_s))

    @property
    def excess(self) -> str:
        """Which limit was exceeded, in words."""
        if self._limit.when() == self._end_s:
            return f"took more than {self._whole_limit_s:g} s"
        return f"was silent for {self._timeout_s:g} s"

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        self.read()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None and self._made is not None:
                await self._made.aclose()
        finally:
            await self._limit.__aexit__(kind, error, trace)
