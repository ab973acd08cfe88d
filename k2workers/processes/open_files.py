"""Owns how many files this process and its children may have open, and what part of that is for connections of peers."""

from __future__ import annotations

import contextlib
import resource

MOST = 65_536
"""More is not asked for, where it would be allowed."""

OWN = 64
"""What the aggregator has open for itself: its loop, ZeroMQ, its log, metrics and checkpoint, its way to the parent."""

SPARE = 64
"""Come in between two looks at who is connected, before the last of them are cut loose."""

PORTS = 2
"""To which peers of one process come."""


BEHIND_A_SCREEN = 6
"""Of a peer's connection there: outside, to the inside, and ZeroMQ's; and twice as many as may be connected may be open (``screen.OPEN_AT_MOST``)."""


def raise_limit() -> None:
    """Take what may be had: many systems begin with 1,024 for the sake of programs that use ``select``. Children have the same."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # the system allows less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def limit() -> int:
    """How many there may be."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else soft


def connections_a_port(most: int, workers: int, files_a_peer: int = 1) -> int:
    """How many peers may be connected to one port of a process to which so many workers are connected too: ``most``, or as many as there is room for."""
    return max(1, min(most, (limit() - OWN - SPARE - workers) // (PORTS * files_a_peer)))
