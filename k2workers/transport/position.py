"""Owns what a subscriber saves so that it can continue later: how far it got in each topic. Pure."""

from __future__ import annotations

import msgspec

from k2workers.continuity import Continuity
from k2workers.errors import ConfigError
from k2workers.sequencing.coverage import NO_ID, NOT_KNOWN
from k2workers.sequencing.ranges import Range


class TopicPosition(msgspec.Struct, frozen=True, array_like=True):
    """One topic: the last batch that was given completely, the last venue id (of a kline: time) that was given, and the gaps still open.

    ``last_id`` is ``NO_ID`` if no id was given yet, ``continuity`` (how the topic's ids continue, and in which numbering)
    ``NOT_KNOWN`` if nothing was.
    """

    epoch: int
    sequence: int
    last_id: int
    last_time_ns: int
    continuity: int
    open: list[Range]
    renewed: bool = False
    """The epoch is new, and no event of it has shown yet whether ids are missing before it."""
    closed: list[Range] = []
    """Ids of which it was told that no event will come: ``Void``, ``GivenUp``, ``Lost``. If one comes all the same, it is given."""
    next_open_ns: int = NO_ID
    """When the bar after the last one opens, if the last one's final state was given."""
    whole: bool = False
    """Of a topic of book changes: a whole book was given, and everything since that changes it."""


class Position(msgspec.Struct, frozen=True):
    """Everything up to here was given to the program. If the ids of a topic begin anew after it, its numbering shows that."""

    topics: dict[str, TopicPosition] = {}
    left: list[int] = []
    """Epochs that were left, the oldest first: none of them is taken again."""
    joined: list[str] = []
    """Topics and prefixes of which every topic is here that had begun when the program joined; any other has begun since."""

    def to_bytes(self) -> bytes:
        """For a file or a database; MessagePack."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def from_bytes(cls, content: bytes) -> Position:
        """Read it back. Raises ConfigError for bytes that are no position."""
        try:
            position = msgspec.msgpack.decode(content, type=Position)
            for topic in position.topics.values():
                if topic.continuity != NOT_KNOWN:
                    Continuity.of(topic.continuity)
        except (msgspec.MsgspecError, ValueError) as error:
            raise ConfigError(
                f"position: {len(content)} bytes that are no position saved by this version of k2workers ({error})"
            ) from None
        return position
