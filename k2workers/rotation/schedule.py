"""Owns when each connection of a run is due for rotation, and so the spacing of rotations. Pure: the caller brings the time.

With lifetime T (``connection_max_lifetime_hours`` of the venue's settings) and S slots, one for each connection of each shard of all venues with that lifetime, slot i is due at origin + i·T/S
(mod T). Every process computes the same slots from one shared origin, so two connections are never due together and nobody has to ask
anybody. One that was made anew for another reason keeps its slot: its next rotation comes early rather than late.
"""

from __future__ import annotations

HOUR_NS = 3_600_000_000_000
VENUE_CUT_MARGIN_NS = 600_000_000_000
"""How far below the venue's own age cut a lifetime must end: room for a grant, a warm-up and retries."""


def effective_lifetime_ns(requested_ns: int, venue_max_age_ns: int) -> int:
    """The lifetime to plan with: what was asked for, but always a margin below the venue's own cut.

    The margin is ten minutes, and never more than a tenth of the venue's cut (short cuts exist in tests).
    """
    return min(requested_ns, venue_max_age_ns - min(VENUE_CUT_MARGIN_NS, venue_max_age_ns // 10))


def next_due_ns(now_ns: int, *, slot: int, slots: int, lifetime_ns: int, origin_ns: int) -> int:
    """The first moment of ``slot`` that is strictly later than ``now_ns`` (same clock as ``origin_ns``)."""
    first_ns = origin_ns + slot * lifetime_ns // slots
    return first_ns + ((now_ns - first_ns) // lifetime_ns + 1) * lifetime_ns
