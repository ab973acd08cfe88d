"""Owns the step from bytes to whole messages: a short way for plain frames. No socket, no policy about connections.

Nearly every frame of a market-data feed is a complete, unmasked text frame. Those stay where the socket's bytes were read to,
and go on all together. Every other frame (control frames, fragments, binary, whatever breaks a rule) goes in its place to the
``websockets`` protocol object, which stays the authority on RFC 6455: it answers pings, closes, and judges errors. What comes
out is the same as if it had seen every frame, but for one thing: whether a plain frame's text is UTF-8 is not looked at here. The library would end the connection
(1007), and every stream with it; the codec drops the one message, counts and names it. ``tests/feed/test_framing.py`` holds the two against each other.

Where there is a native lane, it takes plain frames first (``TakePlain``), and only what it leaves goes on.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from websockets.frames import Frame, Opcode

from k2workers.feed.message_block import BLANK, CLOSE, OPEN, SEPARATOR, MessageBlock

BUFFER_BYTES = 256 * 1024
"""Room for one read. What a read brings beyond a few hundred events costs no less for each of them."""

SLACK = 64
"""Bytes behind what was read that the native lane may look at (``native/lane.h``)."""

TakePlain = Callable[[bytearray, int, int], tuple[int, int]]
"""Takes what it can of the plain frames in a buffer from here to there: (where it stopped, where those frames end that are to be delivered
before it is asked again)."""

_WHOLE_TEXT = 0x81
"""First byte of a frame: FIN, no reserved bit, opcode text (RFC 6455 part 5.2)."""

_HEAD_16 = struct.Struct(">HH")
"""The four bytes before a payload of 126 to 65,535 bytes: 0x81 and 126, length."""

_read_head, _write_head = _HEAD_16.unpack_from, _HEAD_16.pack_into

_WHOLE_TEXT_16 = 0x817E
_BLANK_16 = tuple(int.from_bytes(pair) for pair in (bytes([SEPARATOR, BLANK]), bytes([BLANK, BLANK])))
_FIRST_BYTES = frozenset(opcode | fin for opcode in map(int, Opcode) for fin in (0x00, 0x80))
_FIN, _CONTROL = 0x80, 0x08
_LENGTH_16, _LENGTH_64 = 126, 127
_SMALLEST_16, _SMALLEST_64 = 126, 2**16
_UNKNOWN = -1
_EVERYTHING = 2**62


class FrameCutter:
    """Holds the receive buffer of one connection and cuts it into messages. Everything read after the handshake goes here.

    Before each read ask for ``room``, after it say how much was ``filled``. ``deliver`` gets plain messages, as many together
    as follow each other; ``library`` gets all other bytes as they come, and tells whether data may still follow (False once
    the connection is closed or broken: from then on it gets everything). A frame above ``max_bytes`` is not plain: refusing
    it is the library's; ``max_bytes`` is at least 65,535. The buffer grows for a frame that is larger than it, and shrinks again.
    """

    __slots__ = (
        "_buffer", "_capacity", "_deliver", "_filled", "_fragmented", "_library", "_max_bytes", "_needed", "_owed", "_take_plain", "_view",
    )  # fmt: skip

    def __init__(
        self,
        deliver: Callable[[MessageBlock], None],
        library: Callable[[bytes], bool],
        max_bytes: int,
        take_plain: TakePlain | None = None,
    ) -> None:
        self._deliver = deliver
        self._take_plain = take_plain
        self._library = library
        self._max_bytes = max_bytes
        self._owed = 0
        """How many of the next bytes belong to the library."""
        self._fragmented = False
        """Between the first and the last fragment of a message; then even a plain frame is an error, and the library's."""
        self._filled = 0
        """Bytes at the beginning of the buffer: a frame whose end has not come."""
        self._needed = 0
        """How many there must be before it is worth looking again."""
        self._make_buffer(BUFFER_BYTES)

    def room(self) -> memoryview:
        """Where the next read goes; never empty."""
        return self._view[self._filled : self._capacity]

    def filled(self, size: int) -> None:
        """So many bytes were put into ``room``."""
        filled = self._filled = self._filled + size
        if filled < self._needed:
            return
        offset = 0 if self._owed or self._fragmented else self._run(0)
        if offset == filled:
            self._filled, self._needed = 0, 2
            return
        if self._owed:
            offset = self._hand_over(0, self._owed)
        offset, needed = self._cut(offset)
        self._needed, self._filled = needed, filled - offset
        if needed > self._capacity or (self._capacity > BUFFER_BYTES and needed <= BUFFER_BYTES):
            waiting = self._view[offset:filled]
            self._make_buffer(max(BUFFER_BYTES, needed))
            self._view[: filled - offset] = waiting
        elif 0 < offset < filled:
            self._buffer[: filled - offset] = self._buffer[offset:filled]

    def take(self, data: bytes) -> None:
        """Bytes that did not come through ``room``."""
        offset = 0
        while offset < len(data):
            room = self.room()
            size = min(len(room), len(data) - offset)
            room[:size] = data[offset : offset + size]
            offset += size
            self.filled(size)

    def _make_buffer(self, size: int) -> None:
        # Some bytes more: the end of what is delivered together is marked behind its last frame, where a head would follow
        # one may be read, and the native lane looks at more than one byte at a time.
        self._capacity = size
        self._buffer = bytearray(size + SLACK)
        self._view = memoryview(self._buffer)

    def _cut(self, offset: int) -> tuple[int, int]:
        """Take frames from ``offset`` on: (where the uncut rest begins, how many bytes it needs before the next cut)."""
        while self._filled - offset >= 2:
            begin, length = self._payload(offset)
            if length == _UNKNOWN:
                return offset, begin - offset
            end = begin + length
            if self._buffer[offset] != _WHOLE_TEXT or self._fragmented or length > self._max_bytes:
                offset = self._hand_over(offset, end - offset)
            elif end > self._filled:
                return offset, end - offset
            else:
                self._buffer[offset:begin] = bytes([BLANK]) * (begin - offset)
                self._hand_on(offset, begin - offset, [end])
                offset = end
            if not self._fragmented and not self._owed:
                offset = self._run(offset)
        return offset, 1 if self._owed else 2

    def _run(self, begin: int) -> int:
        """Deliver complete plain frames that follow each other here; where they end. A short one ends them where there is no native lane."""
        if self._take_plain is None:
            return self._plain_run(begin, self._filled)
        while True:
            offset, end = self._take_plain(self._buffer, begin, self._filled)
            if offset == end:
                return offset
            begin = self._deliver_span(offset, end)

    def _deliver_span(self, begin: int, end: int) -> int:
        """Deliver the plain frames that lie here, whatever their lengths."""
        while begin < end:
            begin = self._plain_run(begin, end)
            if begin < end:
                payload, length = self._payload(begin)
                self._buffer[begin:payload] = bytes([BLANK]) * (payload - begin)
                self._hand_on(begin, payload - begin, [payload + length])
                begin = payload + length
        return end

    def _plain_run(self, begin: int, filled: int) -> int:
        """Deliver the complete plain frames with a length of two bytes that follow each other here; where they end."""
        buffer = self._buffer
        read, write, (separator, blank) = _read_head, _write_head, _BLANK_16
        ends: list[int] = []
        add, offset = ends.append, begin
        # What lies behind ``filled`` is left from earlier reads: a head there ends behind ``filled`` too.
        while True:
            head, length = read(buffer, offset)
            if head != _WHOLE_TEXT_16 or length < _SMALLEST_16:
                break
            end = offset + 4 + length
            if end > filled:
                break
            write(buffer, offset, separator, blank)
            offset = end
            add(end)
        if ends:
            self._hand_on(begin, 4, ends)
        return offset

    def _hand_on(self, begin: int, head: int, ends: list[int]) -> None:
        """Deliver messages that begin here, as one JSON array. Their heads are blanked already."""
        end = ends[-1]
        behind = self._buffer[end]
        self._buffer[begin], self._buffer[end] = OPEN, CLOSE
        try:
            self._deliver(MessageBlock(self._view[begin : end + 1], head, begin, ends))
        finally:
            self._buffer[end] = behind

    def _payload(self, offset: int) -> tuple[int, int]:
        """(where the payload begins, its length). The length is _UNKNOWN while its own bytes have not all come.

        What the library refuses or judges otherwise (a masked frame, an unknown first byte, too large, a longer form than
        needed) has the length _EVERYTHING.
        """
        data = self._buffer
        form = data[offset + 1]
        if form < _LENGTH_16:
            return offset + 2, form
        begin = offset + (4 if form == _LENGTH_16 else 10)
        if form > _LENGTH_64 or data[offset] not in _FIRST_BYTES:
            return begin, _EVERYTHING
        if self._filled < begin:
            return begin, _UNKNOWN
        length = int.from_bytes(data[offset + 2 : begin])
        if length > self._max_bytes or length < (_SMALLEST_16 if form == _LENGTH_16 else _SMALLEST_64):
            return begin, _EVERYTHING
        return begin, length

    def _hand_over(self, offset: int, length: int) -> int:
        """Give the library a frame, or the rest of one, as far as it has come; where the rest begins."""
        if not self._owed and not self._buffer[offset] & _CONTROL:
            self._fragmented = not self._buffer[offset] & _FIN
        part = bytes(self._view[offset : min(offset + length, self._filled)])
        healthy = self._library(part)
        self._owed = length - len(part) if healthy else _EVERYTHING
        offset += len(part)
        if not healthy and offset < self._filled:
            self._library(bytes(self._view[offset : self._filled]))
            offset = self._filled
        return offset


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
