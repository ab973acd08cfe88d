"""Event loops with host names of their own, an address that is dead, and what of IPv6 there is."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any

import uvloop

Names = Mapping[str, Sequence[str]]


def has_ipv6() -> bool:
    """Whether this machine has IPv6's loopback."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


Host = bytes | str | None
Port = bytes | str | int | None
Found = list[Any]
"""As ``socket.getaddrinfo`` answers; the event loops name its parts differently."""


async def _found(ask: Callable[..., Awaitable[Found]], names: Names, host: Host, port: Port, **options: int) -> Found:
    name = host.decode() if isinstance(host, bytes) else host
    addresses: Sequence[str | None] = (names.get(name) if name else None) or [name]
    found: Found = []
    for address in addresses:
        found += await ask(address, port, **options)
    return found


class OfAsyncio(asyncio.SelectorEventLoop):
    names: Names = {}

    async def getaddrinfo(self, host: Host, port: Port, **options: int) -> Found:
        return await _found(super().getaddrinfo, self.names, host, port, **options)


class OfUvloop(uvloop.Loop):
    names: Names = {}

    async def getaddrinfo(self, host: Host, port: Port, **options: int) -> Found:
        return await _found(super().getaddrinfo, self.names, host, port, **options)


LOOPS: Mapping[str, type[OfAsyncio | OfUvloop]] = {"asyncio": OfAsyncio, "uvloop": OfUvloop}


def run(kind: str, names: Names, work: Coroutine[Any, Any, Any]) -> Any:
    """Run it in an event loop, ``asyncio`` or ``uvloop``, that resolves these names to these addresses, in this order."""

    def made() -> OfAsyncio | OfUvloop:
        loop = LOOPS[kind]()
        loop.names = names
        return loop

    with asyncio.Runner(loop_factory=made) as runner:
        return runner.run(work)


@contextlib.contextmanager
def dead(address: str, port: int) -> Iterator[None]:
    """At this address the kernel answers no new connection: nobody accepts, and the backlog is full."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.ExitStack() as opened:
        listener = opened.enter_context(socket.socket(family))
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(8):
            client = opened.enter_context(socket.socket(family))
            client.settimeout(0.2)
            try:
                client.connect((address, port))
            except TimeoutError:
                break
        else:
            raise AssertionError("the backlog is never full")
        yield
