"""Owns a child's requests for permission to connect or to spend REST weight, and what it does when the parent is silent.

A parent that says "wait" is obeyed however long. Only if it says nothing at all does a worker connect by itself, so seldom
that all workers together keep the venue's limit, and never while the venue, as far as it knows itself, refuses it.
"""

from __future__ import annotations

import time

import msgspec
import structlog

from k2workers.errors import VenueError
from k2workers.network.venue_answers import Answer, Service
from k2workers.supervision.control_channel import ControlClient, GrantHandle
from k2workers.supervision.control_messages import ConnectedAlone, HandshakeDone, WeightDone
from k2workers.supervision.gate import Gate

PARENT_SILENCE_S = 10.0
"""A shard without data waits this long for a parent that says nothing."""

UNHURRIED = 10
"""A shard that has data waits this many times as long."""

WEIGHT_PATIENCE_S = 90.0
"""After this long a request for weight is withdrawn, so that the most urgent backfill is chosen anew."""

LET_IN = Answer(101)
"""A handshake that succeeded."""

_log = structlog.get_logger(__name__)


class AlonePolicy(msgspec.Struct, frozen=True):
    """How a worker connects without permission, for each of its rotation slots: at most every ``every_s``, and ``apart_s`` later than the slot before."""

    every_s: float = 0.0
    apart_s: float = 0.0


class PermissionClient:
    """How a worker asks its parent, for one slot: a connection at a time. The refusals that the worker has met itself are in ``gate``. Fulfils ``feed.rotation_permission.Grants`` and ``feed.backfiller.WeightGrants``."""

    def __init__(self, client: ControlClient, shard: int, slot: int, alone: AlonePolicy, gate: Gate) -> None:
        self._client = client
        self._shard = shard
        self._alone = alone
        self._offset_s = slot * alone.apart_s
        self._gate = gate
        self._permitted_ns = 0
        self._alone_ns: int | None = None
        """When we last went ahead without permission."""

    async def ask(self, purpose: str, starved_since_ns: int) -> GrantHandle | None:
        """See ``feed.rotation_permission.Grants``."""
        silence_s = self._silence_s(starved=bool(starved_since_ns))
        grant = await self._client.ask_grant(
            self._shard, purpose, starved_since_ns=starved_since_ns, silence_s=silence_s
        )
        if grant is not None:
            self._permitted_ns = grant.given_ns
            return grant
        self._permitted_ns = self._alone_ns = time.monotonic_ns()
        self._client.send(ConnectedAlone(self._alone_ns))
        _log.warning("grant_not_answered", purpose=purpose, parent_silent_s=round(silence_s, 1))
        return None

    def _silence_s(self, *, starved: bool) -> float:
        now_ns = time.monotonic_ns()
        silence_s = PARENT_SILENCE_S * (1 if starved else UNHURRIED) + self._offset_s
        refused_s = self._gate.paused_ns(Service.CONNECT, now_ns) / 1e9
        turn_s = self._alone.every_s - (now_ns - self._alone_ns) / 1e9 if self._alone_ns is not None else 0.0
        return max(silence_s, refused_s, turn_s)

    def answered(self, error: VenueError | None) -> None:
        """See ``feed.rotation_permission.Grants``."""
        answer = LET_IN if error is None else Answer.of(error)
        self._gate.answered(Service.CONNECT, answer, self._permitted_ns, time.monotonic_ns())
        self._client.send(HandshakeDone(answer, self._permitted_ns))

    async def ask_weight(self, weight: int, urgency: int) -> int | None:
        """See ``feed.backfiller.WeightGrants``: without the parent's permission nothing is spent, a ban is worse than a gap."""
        return await self._client.ask_weight(weight, urgency, timeout_s=WEIGHT_PATIENCE_S)

    def weight_done(self, grant_id: int, used: int, answer: Answer | None) -> None:
        """See ``feed.backfiller.WeightGrants``."""
        self._client.send(WeightDone(grant_id, used, answer))
