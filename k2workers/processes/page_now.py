"""Owns the shape of what viewers of a feed are shown of one moment: the page, and ``k2workers top``. Pure."""

from __future__ import annotations

import msgspec

from k2workers.page.annals import Holding
from k2workers.processes.child_status import AggregatorStatus
from k2workers.processes.resource_meter import Usage
from k2workers.processes.status import FeedStatus


class ConnectsShown(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts to connect at one venue: granted in its window, so many allowed in so many seconds, that wait for their turn, and that workers made without asking."""

    granted: int
    limit: int
    window_s: float
    waiting: int
    alone: int


class Now(msgspec.Struct, frozen=True, kw_only=True):
    """The feed at this moment (wall-clock ms)."""

    at_ms: int
    since_ms: int
    """Since when it is ready, or not."""
    lifetimes_s: dict[str, float]
    """How long a connection lives, by venue."""
    status: FeedStatus
    ailments: list[Holding]
    rates: dict[str, float]
    """Events a second by kind."""
    aggregator: AggregatorStatus | None
    connects: dict[str, ConnectsShown]
    """By venue."""
    usage: dict[str, Usage]
    """By process."""
