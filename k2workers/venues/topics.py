"""Owns how topics are named after their venue, and which kinds are one stream for a whole market. Pure; knows no venue."""

from __future__ import annotations

from collections.abc import Sequence

from k2workers.venues.venue import Venue


def all_market_kinds(venue: Venue, kinds: Sequence[str]) -> list[str]:
    """The kinds among these that are one stream for the whole market."""
    return [kind for kind in kinds if venue.stream_specs([kind], [])]


def topic_of(venue: str, kind: str, symbol: str) -> str:
    """Our name of a flow of the venue of this name; with an empty symbol, the prefix of all topics of the kind."""
    return f"{venue}.{kind}.{symbol}"
