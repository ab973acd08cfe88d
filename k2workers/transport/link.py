"""Owns the words between a worker and the aggregator beside the batches. Knows no sockets.

A worker numbers its bundles from 1 and keeps each until it is acknowledged. It says ``Hello`` first; ``Welcome`` tells where
every topic stands, and from then on bundles flow. The aggregator takes only the number it expects next: it answers
anything else (another life of the aggregator, a bundle lost with a connection) with a challenge, and the worker says hello
and sends again from the oldest bundle that was not acknowledged (go back N).

First frame: one letter and, where a number belongs to it, eight bytes of it, big endian.
"""

from __future__ import annotations

import struct

import msgspec

from k2workers import wire
from k2workers.sequencing.ranges import Range
from k2workers.sequencing.sequencer import Position

BUNDLE = b"B"
"""Worker: number, and behind it in the same frame a bundle (``wire.encode_bundle``)."""
PING = b"P"
"""Worker: number of the last bundle it sent."""
HELLO = b"H"
"""Worker: one more frame, a ``Hello``."""
WELCOME = b"W"
"""Aggregator: one more frame, a ``Welcome``."""
ACK = b"A"
"""Aggregator: number of the last bundle that need not be kept."""
HOLES = b"G"
"""Aggregator: one more frame, the holes it found in this worker's topics: topic → id ranges."""
CHALLENGE = b"?"
"""Aggregator: who are you, and where do you stand?"""

LIFE = b"#"
"""In a worker's address, between its name and what tells its lives apart."""

_NUMBER = struct.Struct(">cQ")


class Hello(msgspec.Struct, frozen=True):
    """``first_number``: the oldest bundle that the worker can still send.

    ``acknowledged``: by topic, the last venue id before that bundle: what some life of the aggregator has published.
    """

    first_number: int
    acknowledged: dict[str, int]


class Welcome(msgspec.Struct, frozen=True):
    """Where every topic stands; ``epoch`` is this life of the aggregator."""

    epoch: int
    positions: dict[str, Position]


Holes = dict[str, list[Range]]

encode = msgspec.msgpack.Encoder().encode
decode_hello = msgspec.msgpack.Decoder(Hello).decode
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


def bundle_of(frame: bytes) -> list[wire.Batch]:
    """The batches in a frame that carries a bundle. Raises WireError."""
    return wire.decode_bundle(memoryview(frame)[_NUMBER.size :])
