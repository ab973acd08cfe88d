"""Owns the delay before trying again, and how long it may become for each thing that is tried: capped exponential growth with full jitter. Pure."""

from __future__ import annotations

import msgspec


class Backoff(msgspec.Struct, frozen=True):
    """Delays in ns: the first retry at once, then up to ``first_ns``, doubling up to ``cap_ns``."""

    first_ns: int
    cap_ns: int
    factor: int = 2

    def delay_ns(self, attempt: int, jitter: float) -> int:
        """The delay before retry number ``attempt`` (0 is the first). ``jitter`` in [0, 1) spreads the upper half.

        Half of the delay is kept, so that a run of unlucky numbers cannot turn backoff into hammering.
        """
        if attempt <= 0:
            return 0
        # 64 doublings exceed any cap in ns; bounding the exponent keeps the integer small.
        doublings = min(attempt - 1, 64)
        whole_ns = min(self.cap_ns, self.first_ns * int(self.factor**doublings))
        return whole_ns // 2 + int(whole_ns / 2 * jitter)


RECONNECT = Backoff(500_000_000, 30_000_000_000)
"""Of a shard's connection that could not be made, or was lost; each half a minute at last."""

RESTART = Backoff(200_000_000, 10_000_000_000)
"""Of a child that died."""

RESTART_BESIDE_THE_FEED = Backoff(1_000_000_000, 60_000_000_000)
"""Of a child that the feed can do without: seldom in the end, for what keeps it from living may take long."""

REFETCH = Backoff(150_000_000, 600_000_000_000)
"""Of a backfill that brought nothing."""

ASK_AGAIN = Backoff(5_000_000_000, 600_000_000_000)
"""Of a question to the venue that was answered in vain."""
