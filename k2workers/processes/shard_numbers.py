"""Owns which numbers the shards of each venue have in a run, what their workers are called, and which slots to rotate. Pure.

Both are those of the whole run: no two workers have the same name, and no two that live equally long are ever due together. Venues begin when
they have said which symbols there are, one sooner than another; what the others will need is kept free for them until then.
"""

from __future__ import annotations

import msgspec


def worker_name(shard: int) -> str:
    """Of the process that serves this shard."""
    return f"worker-{shard}"


class Numbers(msgspec.Struct, frozen=True):
    """The first number and the first slot of a venue; how many slots there are of its lifetime."""

    first_shard: int
    first_slot: int
    slots: int


class _Needed(msgspec.Struct):
    shards: int
    slots: int
    lifetime_ns: int


class ShardNumbers:
    """First ``expect`` every venue, then ``begin`` each once."""

    def __init__(self) -> None:
        self._needed: dict[str, _Needed] = {}
        self._dealt: set[int] = set()
        """The lifetimes of which slots are dealt."""

    def expect(self, venue: str, *, shards: int, slots: int, lifetime_ns: int) -> None:
        """A venue needs so many at most. Its numbers follow those of the venues before it."""
        self._needed[venue] = _Needed(shards, slots, lifetime_ns)

    def begin(self, venue: str, slots: int) -> Numbers:
        """A venue begins, with so many slots. Once some are dealt, how many there are stays: who runs with them goes on."""
        own = self._needed[venue]
        if own.lifetime_ns not in self._dealt:
            self._dealt.add(own.lifetime_ns)
            own.slots = slots
        names = [*self._needed]
        before = [self._needed[name] for name in names[: names.index(venue)]]
        return Numbers(
            first_shard=sum(needed.shards for needed in before),
            first_slot=sum(needed.slots for needed in before if needed.lifetime_ns == own.lifetime_ns),
            slots=sum(needed.slots for needed in self._needed.values() if needed.lifetime_ns == own.lifetime_ns),
        )
