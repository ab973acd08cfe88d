"""Owns what one shard's driver needs to know."""

from __future__ import annotations

import msgspec


class FeedSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What one shard's driver needs to know. Times in ns unless the name says otherwise."""

    shard: int
    shards: int
    url: str
    lifetime_ns: int
    origin_ns: int
    connect_timeout_s: float = 10.0
    close_timeout_s: float = 2.0
    stale_after_ns: int = 30_000_000_000
    overlap_limit_ns: int = 30_000_000_000
    min_overlap_ns: int = 1_000_000_000
    hold_ns: int = 1_000_000_000
    backoff_first_ns: int = 500_000_000
    backoff_cap_ns: int = 30_000_000_000
