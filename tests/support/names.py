"""Event loops with host names of their own, an address that is dead, and what of IPv6 there is."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any

import uvloop

Names = Mapping[str, Sequence[str]]


def has_ipv6() -> bool:
    """Whether this machine has IPv6's loopback."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def run(kind: str, names: Names, work: Coroutine[Any, Any, Any]) -> Any:
    """Run it in an event loop, ``asyncio`` or ``uvloop``, that resolves these names to these addresses, in this order."""
    base: type[Any] = {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.Loop}[kind]

    class Loop(base):
        async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
            found = []
            for address in names.get(host.decode() if isinstance(host, bytes) else host, [host]):
                found += await super().getaddrinfo(address, port, **options)
            return found

    factory: Callable[[], asyncio.AbstractEventLoop] = Loop
    with asyncio.Runner(loop_factory=factory) as runner:
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
