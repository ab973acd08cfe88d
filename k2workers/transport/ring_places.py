"""Owns what is said of places in the disk ring: where a reader begins and goes on, and what it has. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

Positions = Mapping[int, Mapping[str, int]]
"""By epoch: topic → the sequence of the last batch that a reader has."""


class RingCursor(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A place in the ring: before a part of the block that begins there in a segment."""

    segment: Annotated[int, msgspec.Meta(ge=0)]
    at: Annotated[int, msgspec.Meta(ge=0)] = 0
    part: Annotated[int, msgspec.Meta(ge=0)] = 0


class RingStart(msgspec.Struct, frozen=True, array_like=True):
    """Where a reader begins: the place, and the lives that the ring holds, the oldest first."""

    cursor: RingCursor
    epochs: list[int]


class RingMoment(msgspec.Struct, frozen=True, array_like=True):
    """Where a time begins: the place, the lives, the life at that place, and each topic's last sequence of that life before it. Where the ring itself
    begins, nothing is known of what was before it, and ``epoch`` is 0.
    """

    cursor: RingCursor
    epochs: list[int]
    epoch: int
    sequences: dict[str, int]


class RingPiece(msgspec.Struct, frozen=True):
    """Frames in the form of ``ring_block.frames_of``, where to go on, and whether that is the end for now."""

    frames: bytes
    cursor: RingCursor
    at_end: bool
