"""Owns what subscribers tell of themselves: who they are, and how far they are behind. Pure."""

from __future__ import annotations

import msgspec

REPORT_S = 5.0
"""How often a subscriber tells."""

FORGET_NS = 20 * 10**9
"""One that has told nothing for so long has gone."""

MAX_READERS = 500
"""Of more, those that told last are known."""

MAX_NAME = 80


class Reader(msgspec.Struct, frozen=True, gc=False):
    """``waiting``: batches that have come and that its program has not taken; ``lost``: those that it could no longer have, since its start."""

    name: str
    waiting: int
    lost: int
    told_ns: int


_numbers = msgspec.msgpack.Decoder(tuple[int, int]).decode


class Readers:
    """Those that have told lately (monotonic time)."""

    def __init__(self) -> None:
        self._told: dict[bytes, Reader] = {}

    def tell(self, sender: bytes, name: bytes, numbers: bytes, now_ns: int) -> None:
        """``numbers`` is MessagePack: [waiting, lost]. Raises MsgspecError for anything else."""
        waiting, lost = _numbers(numbers)
        self._told.pop(sender, None)
        self._told[sender] = Reader(name.decode(errors="replace")[:MAX_NAME], waiting, lost, now_ns)
        if len(self._told) > MAX_READERS:
            del self._told[next(iter(self._told))]

    def furthest_behind(self, most: int, now_ns: int) -> list[Reader]:
        """At most so many, the one with most batches waiting first; forgets those that have gone."""
        self._told = {sender: one for sender, one in self._told.items() if now_ns - one.told_ns < FORGET_NS}
        return sorted(self._told.values(), key=lambda one: (-one.waiting, -one.lost, one.name))[:most]
