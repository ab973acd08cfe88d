"""Owns the order in which children stop: that in which data flows, so that each can still hand on what those before it have given it. Pure.

Those of one turn stop together. The next ones are told only when all of them have ended.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping


class StopOrder(enum.IntEnum):
    """Whose turn it is."""

    WORKERS = 0
    AGGREGATOR = 1
    SUBSCRIBERS = 2
    """The books process, the disk ring's, and the witness of a demonstration."""
    EXCHANGE = 3
    """The embedded one: last, for whoever still has a connection closes it in order."""


def turns(order_of: Mapping[str, StopOrder]) -> list[list[str]]:
    """The names of these children, turn after turn."""
    return [[name for name, own in order_of.items() if own is order] for order in sorted({*order_of.values()})]
