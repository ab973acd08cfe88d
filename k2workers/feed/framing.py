"""Owns the step from bytes to whole messages: a fast lane for plain frames. No socket, no policy about connections.

Nearly every frame of a market-data feed is a complete, unmasked text frame. Those are cut straight out of what was read.
Every other frame (control frames, fragments, binary, whatever breaks a rule) goes in its place to the ``websockets``
protocol object, which stays the authority on RFC 6455: it answers pings, closes, and judges errors. What comes out is the
same as if it had seen every frame; ``tests/feed/test_framing.py`` holds the two against each other.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from websockets.frames import Frame, Opcode

_WHOLE_TEXT = 0x81
"""First byte of a frame: FIN, no reserved bit, opcode text (RFC 6455 part 5.2)."""

_WHOLE_TEXT_16 = 0x817E
"""The same, with a length of two bytes to follow."""

_FIRST_FOUR = struct.Struct(">HH").unpack_from
_FIRST_BYTES = frozenset(opcode | fin for opcode in map(int, Opcode) for fin in (0x00, 0x80))
_FIN, _CONTROL = 0x80, 0x08
_LENGTH_16, _LENGTH_64 = 126, 127
_SMALLEST_16, _SMALLEST_64 = 126, 2**16
_UNKNOWN = -1
_EVERYTHING = 2**62


class FastLane:
    """Cuts one connection's bytes into messages. ``take`` everything read after the handshake.

    ``deliver`` gets each plain message; ``library`` gets all other bytes as they come, and tells whether data may still
    follow (False once the connection is closed or broken: from then on it gets everything). A frame above ``max_bytes`` is
    not plain: refusing it is the library's.
    """

    __slots__ = ("_deliver", "_fragmented", "_library", "_max_bytes", "_needed", "_owed", "_parts", "_waiting")

    def __init__(self, deliver: Callable[[bytes], None], library: Callable[[bytes], bool], max_bytes: int) -> None:
        self._deliver = deliver
        self._library = library
        self._max_bytes = max_bytes
        self._owed = 0
        """How many of the next bytes belong to the library."""
        self._fragmented = False
        """Between the first and the last fragment of a message; then even a plain frame is an error, and the library's."""
        self._parts: list[bytes] = []
        """The beginning of a plain frame whose end has not come, in pieces: joined once, however many reads it takes."""
        self._waiting = 0
        self._needed = 0

    def take(self, data: bytes) -> None:
        """What one read brought."""
        if self._parts:
            self._parts.append(data)
            self._waiting += len(data)
            if self._waiting < self._needed:
                return
            data = b"".join(self._parts)
            self._parts.clear()
        position = self._hand_over(data, 0, self._owed) if self._owed else 0
        position, self._needed = self._cut(data, position)
        if position < len(data):
            self._parts.append(data[position:] if position else data)
            self._waiting = len(data) - position

    def _cut(self, data: bytes, position: int) -> tuple[int, int]:
        """Take frames from ``position`` on: (where the rest begins, how long it must be to go on)."""
        size, deliver, max_bytes = len(data), self._deliver, self._max_bytes
        while size - position >= 2:
            if size - position >= 4 and not self._fragmented:
                # Nearly every frame has a length of two bytes: one call reads all that there is to know.
                head, length = _FIRST_FOUR(data, position)
                if head == _WHOLE_TEXT_16 and _SMALLEST_16 <= length <= max_bytes:
                    end = position + 4 + length
                    if end > size:
                        return position, end - position
                    deliver(data[position + 4 : end])
                    position = end
                    continue
            begin, length = self._payload(data, position)
            if length == _UNKNOWN:
                return position, begin - position
            end = begin + length
            if data[position] != _WHOLE_TEXT or self._fragmented or length > max_bytes:
                position = self._hand_over(data, position, end - position)
            elif end > size:
                return position, end - position
            else:
                deliver(data[begin:end])
                position = end
        return position, 2

    def _payload(self, data: bytes, position: int) -> tuple[int, int]:
        """(where the payload begins, its length). The length is _UNKNOWN while its own bytes have not all come.

        What the library refuses or judges otherwise (a masked frame, an unknown first byte, too large, a longer form than
        needed) has the length _EVERYTHING.
        """
        form = data[position + 1]
        if form < _LENGTH_16:
            return position + 2, form
        begin = position + (4 if form == _LENGTH_16 else 10)
        if form > _LENGTH_64 or data[position] not in _FIRST_BYTES:
            return begin, _EVERYTHING
        if len(data) < begin:
            return begin, _UNKNOWN
        length = int.from_bytes(data[position + 2 : begin])
        if length > self._max_bytes or length < (_SMALLEST_16 if form == _LENGTH_16 else _SMALLEST_64):
            return begin, _EVERYTHING
        return begin, length

    def _hand_over(self, data: bytes, position: int, length: int) -> int:
        """Give the library a frame, or the rest of one, as far as it has come; where the rest of ``data`` begins."""
        if not self._owed and not data[position] & _CONTROL:
            self._fragmented = not data[position] & _FIN
        part = data[position : position + length]
        healthy = self._library(part)
        self._owed = length - len(part) if healthy else _EVERYTHING
        position += len(part)
        if not healthy and position < len(data):
            self._library(data[position:])
            position = len(data)
        return position


class MessageAssembler:
    """Joins fragments. ``add`` every data and control frame that the library parsed, in order."""

    __slots__ = ("_fragments",)

    def __init__(self) -> None:
        self._fragments: list[bytes] | None = None

    def add(self, frame: Frame) -> bytes | None:
        """The complete message that this frame ends, or None. Binary messages are delivered as they are."""
        opcode = frame.opcode
        if opcode is Opcode.TEXT or opcode is Opcode.BINARY:
            if frame.fin:
                return bytes(frame.data)
            self._fragments = [bytes(frame.data)]
        elif opcode is Opcode.CONT and self._fragments is not None:
            self._fragments.append(bytes(frame.data))
            if frame.fin:
                message = b"".join(self._fragments)
                self._fragments = None
                return message
        return None
