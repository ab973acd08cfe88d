"""Owns how a line's TCP connection is made: to the first address of a name that answers, or through the environment's proxy.

Happy Eyeballs (RFC 8305): a name's addresses are tried in turn, each without waiting for the one before to fail, because one that is
dead (often the IPv6 one) is silent for minutes. The event loop's own way would be that of asyncio, which uvloop does not have.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from aiohappyeyeballs import AddrInfoType as Address
from aiohappyeyeballs import start_connection

from k2workers.network.proxies import Proxy, proxy_for

NEXT_ADDRESS_AFTER_S = 0.25
"""RFC 8305, "Connection Attempt Delay"."""

DEFAULT_PORTS = {"ws": 80, "wss": 443}


async def way_to(url: str, ssl_context: ssl.SSLContext | None, timeout_s: float) -> dict[str, Any]:
    """The arguments of ``websockets.connect`` that reach this address. Raises OSError with a readable reason."""
    proxy, target = proxy_for(url), urlsplit(url)
    try:
        async with asyncio.timeout(timeout_s):
            if proxy is not None:
                return await _through(proxy, ssl_context)
            host, port = target.hostname or "", target.port or DEFAULT_PORTS[target.scheme]
            return {"sock": await _first_that_answers(await _addresses(host, port))}
    except TimeoutError:
        raise TimeoutError(f"no connection within {timeout_s:g} s") from None


async def _through(proxy: Proxy, ssl_context: ssl.SSLContext | None) -> dict[str, Any]:
    addresses = await _addresses(proxy.host, proxy.port)
    host = addresses[0][4][0]
    if len(addresses) > 1:
        # The library connects to a proxy by itself, and only to the first address: it is given one that answers.
        with await _first_that_answers(addresses) as probe:
            host = probe.getpeername()[0]
    # The library looks up the venue's name itself with socks5; REST's has the proxy do it, always.
    scheme = "socks5h" if proxy.scheme == "socks5" else proxy.scheme
    way: dict[str, Any] = {"proxy": proxy.url(scheme, str(host))}
    if scheme == "https":
        way |= {"proxy_ssl": ssl_context or True, "proxy_server_hostname": proxy.host}
    return way


async def _addresses(host: str, port: int) -> Sequence[Address]:
    return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)


async def _first_that_answers(addresses: Sequence[Address]) -> socket.socket:
    return await start_connection(addresses, happy_eyeballs_delay=NEXT_ADDRESS_AFTER_S)
