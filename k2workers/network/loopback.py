"""Owns which hosts are this machine and nothing else. Pure."""

from __future__ import annotations

import contextlib
import ipaddress

INTERFACE = "lo"
"""How Linux names it."""


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine can be meant by this address, in brackets or without, or by this name."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    return host in {"localhost", INTERFACE} or host.endswith(".localhost")
