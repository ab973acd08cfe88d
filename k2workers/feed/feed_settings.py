"""Owns the settings of a shard's feed."""

from __future__ import annotations

from typing import Literal

import msgspec

from k2workers.backoff import RECONNECT, Backoff
from k2workers.feed.gathering import PROFILES_NS
from k2workers.rotation import schedule
from k2workers.rotation.policy import RotationPolicy
from k2workers.sequencing.holding_lane import HOLD_NS


class FeedSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a shard's feed, or of one of its routes. Times are in ns unless the name says otherwise."""

    shard: int
    slot: int
    """Which turn to rotate is the first route's; each further route has the next one."""
    slots: int
    """How many turns there are: one for each route of each shard, of all venues that share them."""
    url: str
    lifetime_ns: int
    origin_ns: int
    overlap_limit_ns: int
    min_overlap_ns: int
    connect_timeout_s: float = 10.0
    close_timeout_s: float = 2.0
    stale_after_ns: int = 30_000_000_000
    hold_ns: int = HOLD_NS
    gather_ns: int = PROFILES_NS["balanced"]
    backoff: Backoff = RECONNECT
    native: Literal["auto", "off"] = "auto"
    """Whether plain messages are read by the native lane: where it is built, or nowhere."""

    @property
    def rotation_policy(self) -> RotationPolicy:
        """The bounds of the rotation machine that follow from these."""
        return RotationPolicy(
            backoff=self.backoff,
            # TCP and the handshake may each take their whole time: the one that fails tells why, before the attempt is given up.
            connect_timeout_ns=int(self.connect_timeout_s * 3e9),
            min_overlap_ns=self.min_overlap_ns,
            overlap_limit_ns=self.overlap_limit_ns,
            retry_rotation_ns=min(30_000_000_000, max(1_000_000_000, self.lifetime_ns // 8)),
        )

    def next_due_ns(self, now_ns: int) -> int:
        """When the next rotation is due, by the schedule of all connections."""
        return schedule.next_due_ns(
            now_ns, slot=self.slot, slots=self.slots, lifetime_ns=self.lifetime_ns, origin_ns=self.origin_ns
        )
