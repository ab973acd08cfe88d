"""Owns the delay before trying again: capped exponential growth with full jitter. Pure.

The numbers stand with who tries again: of connections in ``feed/feed_settings.py``, of children in ``supervision/restart.py``, of REST in
``sequencing/backfill_planner.py``.
"""

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
