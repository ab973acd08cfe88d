"""Owns the protocol in which bundles travel from a worker to the aggregator: numbers, greetings, acknowledgements. Knows no sockets.

A worker numbers its bundles from 1 and keeps each until it is acknowledged: until a checkpoint that covers it has been written. It says ``WorkerHello`` first; ``Welcome`` tells where
every topic stands, and from then on bundles flow. The aggregator accepts only the number it expects next: it answers
anything else (another life of the aggregator, a bundle lost with a connection) with a challenge, and the worker says hello
and sends again from the oldest bundle that was not acknowledged (go back N).

First frame: one letter, followed in some messages by a number of eight bytes, big endian.
"""

from __future__ import annotations

import struct

import msgspec

from k2workers import wire
from k2workers.sequencing.coverage import Holes, PublishedPosition, Reached

BUNDLE = b"B"
"""Worker: a number, and after it in the same frame the bundle (``wire.encode_bundle``)."""
PING = b"P"
"""Worker: number of the last bundle it sent."""
HELLO = b"H"
"""Worker: one more frame, a ``WorkerHello``."""
WELCOME = b"W"
"""Aggregator: one more frame, a ``Welcome``."""
ACK = b"A"
"""Aggregator: number of the last bundle that need not be kept."""
HOLES = b"G"
"""Aggregator: one more frame, the holes it found in this worker's topics (``Holes``)."""
CHALLENGE = b"?"
"""Aggregator: who are you, and where do you stand?"""

LIFE = b"#"
"""In a worker's address, between the worker's name and what is different in each of its lives."""

MAKER = b"~"
"""What an address begins with of who makes its bundles of what was published: the times in them tell nothing of how long the way of the data takes."""

_NUMBER = struct.Struct(">cQ")

BUNDLE_BEGIN = _NUMBER.size
"""Where the bundle begins in a frame that carries one."""


class WorkerHello(msgspec.Struct, frozen=True):
    """``first_number`` is the oldest bundle that the worker can still send.

    ``acknowledged`` holds, by topic, the numbering and last venue id before that bundle: an earlier life of the aggregator has published it.
    A topic of which the worker had to drop bundles that were not acknowledged, and every topic while nothing of this worker's life was, is
    in ``dropped_after`` instead: everything up to that id was published, and perhaps no checkpoint covers it. ``open`` are the ids that
    were announced as missing, and that the worker will still send if it gets them. ``begun`` are the first ids of numberings that began in
    this worker's life.
    """

    first_number: int
    acknowledged: dict[str, Reached]
    dropped_after: dict[str, Reached] = {}
    open: Holes = {}
    begun: dict[str, Reached] = {}


class Welcome(msgspec.Struct, frozen=True):
    """Where every topic stands; ``epoch`` is this life of the aggregator."""

    epoch: int
    positions: dict[str, PublishedPosition]


encode = msgspec.msgpack.Encoder().encode
decode_hello = msgspec.msgpack.Decoder(WorkerHello).decode
decode_welcome = msgspec.msgpack.Decoder(Welcome).decode
decode_holes = msgspec.msgpack.Decoder(Holes).decode


def numbered(letter: bytes, number: int) -> bytes:
    """The first frame of a message with a number."""
    return _NUMBER.pack(letter, number)


def number_of(frame: bytes) -> int:
    """The number in a first frame. Raises ValueError if it holds none."""
    if len(frame) < _NUMBER.size:
        raise ValueError(f"a frame of {len(frame)} bytes holds no number")
    return int.from_bytes(frame[1 : _NUMBER.size])


def bundle_in(frame: bytes) -> memoryview:
    """The encoded bundle in a frame that carries one."""
    return memoryview(frame)[BUNDLE_BEGIN:]


def bundle_of(frame: bytes) -> list[wire.Batch]:
    """The batches in a frame that carries a bundle. Raises WireError."""
    return wire.decode_bundle(bundle_in(frame))
