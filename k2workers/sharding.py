"""Owns which shard serves which symbol. Pure, and the same answer in every process and on every host.

Rendezvous hashing with a bounded load: each symbol prefers the shards in an order that depends only on the two names, and
takes the first one that has room. Adding or removing a symbol therefore moves few others, and no shard holds more than about a
tenth above its even share.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from k2workers.errors import ConfigError

SLACK = 10
"""How much above the even share a shard may hold, in percent (and at least one symbol): room that keeps symbols in place."""


def capacity(symbols: int, shards: int) -> int:
    """The most symbols that one shard may hold."""
    even = -(-symbols // shards)
    return even + max(1, even * SLACK // 100) if shards > 1 else symbols


def assign(
    symbols: Sequence[str], shards: int, *, streams_per_symbol: int, streams_per_connection: int
) -> list[list[str]]:
    """Symbols of each shard, sorted; every symbol exactly once.

    Raises ConfigError if a connection could not carry its shard's streams, naming how many shards could.
    """
    unique = sorted(set(symbols))
    room = capacity(len(unique), shards)
    if streams_per_symbol:
        fits = streams_per_connection // streams_per_symbol
        even = -(-len(unique) // shards)
        if even > fits:
            needed = -(-len(unique) // fits) if fits else None
            raise ConfigError(
                f"shards = {shards}: {len(unique)} symbols with {streams_per_symbol} streams each do not fit into "
                f"{streams_per_connection} streams a connection; allowed: at least {needed} shards"
                if needed
                else f"streams: {streams_per_symbol} streams a symbol exceed {streams_per_connection} a connection"
            )
        room = min(room, fits)
    held: list[list[str]] = [[] for _ in range(shards)]
    for symbol in sorted(unique, key=lambda symbol: (_weight(symbol, -1), symbol)):
        for shard in sorted(range(shards), key=lambda shard: _weight(symbol, shard), reverse=True):
            if len(held[shard]) < room:
                held[shard].append(symbol)
                break
    return [sorted(names) for names in held]


def _weight(symbol: str, shard: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{symbol}/{shard}".encode(), digest_size=8).digest())
