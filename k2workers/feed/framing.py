"""Owns the step from WebSocket frames to whole messages. No socket, no policy about connections.

RFC 6455 part 5.4: a message is one frame, or a first frame and continuations with control frames allowed in
between. The ``websockets`` protocol object has already checked the frames (reserved bits, masking, lengths,
order) when they come here.
"""

from __future__ import annotations

from websockets.frames import Frame, Opcode


class MessageAssembler:
    """Joins fragments. ``add`` every data and control frame of one connection in order."""

    __slots__ = ("_fragments", "binary_messages")

    def __init__(self) -> None:
        self._fragments: list[bytes] | None = None
        self.binary_messages = 0

    def add(self, frame: Frame) -> bytes | None:
        """The complete message that this frame ends, or None. Binary messages are counted and delivered as they are."""
        opcode = frame.opcode
        if opcode is Opcode.TEXT or opcode is Opcode.BINARY:
            if opcode is Opcode.BINARY:
                self.binary_messages += 1
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
