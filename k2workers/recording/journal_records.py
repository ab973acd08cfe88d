"""Owns the bytes of a journal: what a recorder took, one record after the other. Pure; ``journal.py`` has the files.

A record is the length of its content (4 bytes, big-endian), the CRC-32 of all that follows (4 bytes), a letter, and the content. A journal is read up to the first
record that is not whole: what comes after it was never promised to anybody.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

BATCH = b"b"
"""Events as they are published (``wire``)."""
LOSS = b"l"
"""Topic and ``Loss``."""
RESTART = b"r"
"""Topic and ``Restart``."""
POSITION = b"p"
"""The subscriber's position, after everything before it."""

_HEAD = struct.Struct(">II")
_LETTER_BYTES = 1
HEAD_BYTES = _HEAD.size + _LETTER_BYTES


class JournalRecord(NamedTuple):
    """Its content is from ``begin`` to ``end``, which is where the next one begins."""

    letter: bytes
    begin: int
    end: int


def encoded(letter: bytes, content: bytes) -> bytes:
    """The bytes of one record."""
    return b"%b%b%b" % (_HEAD.pack(len(content), zlib.crc32(content, zlib.crc32(letter))), letter, content)


def records(data: bytes | memoryview) -> Iterator[JournalRecord]:
    """The whole records of a journal, up to the first that is not."""
    at, size, view = 0, len(data), memoryview(data)
    while at + HEAD_BYTES <= size:
        length, checksum = _HEAD.unpack_from(view, at)
        begin = at + HEAD_BYTES
        end = begin + length
        if end > size or zlib.crc32(view[at + _HEAD.size : end]) != checksum:
            return
        yield JournalRecord(bytes(view[at + _HEAD.size : begin]), begin, end)
        at = end


def last_position(data: bytes | memoryview) -> JournalRecord | None:
    """The last position of a journal; everything up to its end counts. None if there is none."""
    found = None
    for record in records(data):
        if record.letter == POSITION:
            found = record
    return found
