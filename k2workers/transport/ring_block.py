"""Owns the form of a block of the disk ring: some half second of published frames of one epoch, topic by topic. Pure.

A block is a head of fixed width, a directory, and the frames. The head says how long the others are; the directory names each topic with its first
and last sequence, the length of its part, and the part's CRC-32, so that a reader of one topic reads one part. In a part each frame stands after its
length (4 bytes, big-endian), as it was published, in the order of sequences. Head and directory have a CRC-32 each: what is torn or damaged is known.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from k2workers.errors import K2Error

MAGIC = b"K2RB"

_HEAD = struct.Struct(">4sQQQIIQI")
"""Magic, epoch, first and last publish time, bytes and CRC of the directory, bytes of the parts, CRC of all that is before it."""
_LENGTH = struct.Struct(">I")

HEAD_BYTES = _HEAD.size
LENGTH_BYTES = _LENGTH.size


class BlockDamaged(K2Error):
    """Bytes that are no block, or no longer the one that was written."""

    blame = "feed"


class BlockPart(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The frames of one topic in a block: their sequences, how many bytes they take, and the CRC of these."""

    topic: str
    first: int
    last: int
    size: int
    crc: int


class BlockHead(msgspec.Struct, frozen=True, gc=False):
    """What a block is about. Times are wall-clock ns."""

    epoch: int
    first_ns: int
    last_ns: int
    directory_bytes: int
    directory_crc: int
    parts_bytes: int

    @property
    def size(self) -> int:
        """Bytes of the whole block."""
        return HEAD_BYTES + self.directory_bytes + self.parts_bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[BlockPart]).decode


class TopicFrames(msgspec.Struct, gc=False):
    """The frames of one topic that are to be written, and their sequences."""

    first: int
    last: int
    frames: list[bytes]


def encode(
    epoch: int, first_ns: int, last_ns: int, topics: Mapping[bytes, TopicFrames]
) -> tuple[bytes, list[BlockPart]]:
    """The bytes of a block, and its directory."""
    pack, parts, bodies = _LENGTH.pack, [], []
    for topic, own in topics.items():
        body = b"".join([piece for frame in own.frames for piece in (pack(len(frame)), frame)])
        bodies.append(body)
        parts.append(BlockPart(topic.decode(), own.first, own.last, len(body), zlib.crc32(body)))
    directory = _encode(parts)
    head = (MAGIC, epoch, first_ns, last_ns, len(directory), zlib.crc32(directory), sum(map(len, bodies)))
    packed = _HEAD.pack(*head, 0)[:-4]
    return b"".join((packed, _LENGTH.pack(zlib.crc32(packed)), directory, *bodies)), parts


def read_head(content: bytes, at: int = 0) -> BlockHead:
    """The head that begins there. Raises BlockDamaged."""
    if len(content) - at < HEAD_BYTES:
        raise BlockDamaged("no whole head")
    magic, *values, crc = _HEAD.unpack_from(content, at)
    if magic != MAGIC or zlib.crc32(content[at : at + HEAD_BYTES - 4]) != crc:
        raise BlockDamaged("no head of a block")
    return BlockHead(*values)


def read_directory(head: BlockHead, content: bytes) -> list[BlockPart]:
    """The directory out of its bytes. Raises BlockDamaged."""
    if len(content) != head.directory_bytes or zlib.crc32(content) != head.directory_crc:
        raise BlockDamaged("the directory is damaged")
    try:
        return _decode(content)
    except (msgspec.MsgspecError, ValueError) as error:
        raise BlockDamaged(f"the directory cannot be read: {error}") from None


def next_magic(content: bytes, after: int) -> int:
    """Where a block may begin after this place; -1 if nowhere."""
    return content.find(MAGIC, after)


def frames_of(content: bytes) -> Iterator[bytes]:
    """The frames of one part, or of several. Raises BlockDamaged if the bytes do not end with a frame."""
    at, end, unpack = 0, len(content), _LENGTH.unpack_from
    while at < end:
        if end - at < LENGTH_BYTES:
            raise BlockDamaged("no whole length of a frame")
        begin = at + LENGTH_BYTES
        at = begin + unpack(content, at)[0]
        if at > end:
            raise BlockDamaged("no whole frame")
        yield content[begin:at]


class EpochOrder:
    """The place of an epoch among these, which are in order: one that is not among them comes by its number."""

    def __init__(self, epochs: Sequence[int]) -> None:
        self._known = {epoch: float(place) for place, epoch in enumerate(epochs)}
        self._last = epochs[-1] if epochs else None

    def __call__(self, epoch: int) -> float:
        place = self._known.get(epoch)
        return place if place is not None else sum(known < epoch for known in self._known) - 0.5

    def is_last(self, epoch: int) -> bool:
        """Whether it is the last of these."""
        return epoch == self._last
