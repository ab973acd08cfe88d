"""Owns how a ZeroMQ endpoint is written, and the words for what is wrong with a faulty one. Pure."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Sequence

from k2workers.network.loopback import is_loopback

ALLOWED = "tcp://HOST:PORT, tcp://[IPv6]:PORT or ipc://PATH"
DEFAULT = "tcp://127.0.0.1:5555"
"""Where a feed publishes, and a subscriber connects, unless told otherwise."""

MAX_PORT = 65_535
PATH_BYTES = 107
"""The most that the path of a socket holds."""


def mistake_in(endpoint: str) -> str:
    """What is wrong with it, in words; empty if nothing is."""
    scheme, _, rest = endpoint.partition("://")
    if scheme == "ipc" and rest:
        return "" if len(rest.encode()) <= PATH_BYTES else f"a path to listen at holds at most {PATH_BYTES} bytes"
    host, _, port = rest.rpartition(":")
    if scheme != "tcp" or not host or not (port == "*" or (port.isascii() and port.isdecimal())):
        return f"allowed: {ALLOWED}"
    if port != "*" and int(port) > MAX_PORT:
        return f"a port is at most {MAX_PORT}"  # ZeroMQ would wrap it
    if ":" in host and not is_ipv6(endpoint):
        return f"an IPv6 address stands in brackets, such as tcp://[::1]:5555; allowed: {ALLOWED}"
    return ""


def mistakes_of_flags(topics: Sequence[str], **addresses: str) -> list[str]:
    """What is wrong with what the command line of a subscriber says, in words; an address may be empty, but for ``endpoint``."""
    problems = [
        f"{name} = {value!r}: {mistake} (flag --{name.replace('_', '-')})"
        for name, value in addresses.items()
        if (value or name == "endpoint") and (mistake := mistake_in(value))
    ]
    return problems + [
        f"topic {topic!r}: allowed is a name without spaces, or a prefix ending in a dot"
        for topic in topics
        if not topic or " " in topic
    ]


def path_of(endpoint: str) -> str:
    """The file at which it listens; empty if that is none, or ZeroMQ chooses it."""
    scheme, _, rest = endpoint.partition("://")
    return rest if scheme == "ipc" and rest[:1] not in {"@", "*"} else ""


def next_port(endpoint: str) -> str:
    """The same host's next port, where a feed that publishes here answers by default; empty if there is none."""
    host, _, port = endpoint.rpartition(":")
    if not endpoint.startswith("tcp://") or mistake_in(endpoint) or port == "*" or int(port) == MAX_PORT:
        return ""
    return f"{host}:{int(port) + 1}"


def endpoints_of(endpoint: str, snapshot: str, books: str | None, disk_ring: str | None) -> tuple[str, str | None, str]:
    """Where a subscriber asks: for what was missed, for whole books and the disk ring; each the port after the one before unless it is given, empty or None: nowhere."""
    snapshot = snapshot or next_port(endpoint)
    books = next_port(snapshot) if books == "" else books
    return snapshot, books, (next_port(books or "") if disk_ring == "" else disk_ring) or ""


def next_endpoint(endpoint: str, suffix: str = "-books") -> str:
    """An endpoint for one thing more at the same place: the next port, any free one if there is no next, or another path."""
    following = next_port(endpoint)
    if following or not endpoint.startswith("tcp://"):
        return following or f"{endpoint}{suffix}"
    return f"{endpoint.rpartition(':')[0]}:*"


def split_tcp(endpoint: str) -> tuple[str, int]:
    """The address and the port of a TCP endpoint in numbers, as ZeroMQ tells where it listens."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    return host.strip("[]"), int(port)


def is_open_to_others(endpoint: str) -> bool:
    """Whether other machines can connect, if it is listened at."""
    return endpoint.startswith("tcp://") and not is_loopback(endpoint.removeprefix("tcp://").rpartition(":")[0])


def is_ipv6(endpoint: str) -> bool:
    """Whether it names an IPv6 address (in brackets, with a zone or without)."""
    scheme, _, rest = endpoint.partition("://")
    host = rest.rpartition(":")[0]
    with contextlib.suppress(ValueError):
        return scheme == "tcp" and host[:1] + host[-1:] == "[]" and ipaddress.IPv6Address(host[1:-1]).version == 6
    return False
