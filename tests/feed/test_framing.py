"""Frames to messages: any bytes, cut anywhere."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions import Extension
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from k2workers.feed.framing import BUFFER_BYTES, FrameCutter, MessageAssembler
from k2workers.feed.message_block import MessageBlock

NO_EXTENSIONS: list[Extension] = []


MAX_BYTES = BUFFER_BYTES + 20_000
"""Above what the buffer holds, so that it has to grow."""


class Connection:
    """What a connection makes of the bytes it receives, with the frame cutter or with the library alone."""

    def __init__(self, *, fast: bool) -> None:
        self.protocol = ClientProtocol(parse_uri("ws://localhost/"), state=State.OPEN, max_size=MAX_BYTES)
        self.messages: list[bytes] = []
        self._assembler = MessageAssembler()
        cutter = FrameCutter(self._deliver, self._library, MAX_BYTES)
        self.take: Callable[[bytes], object] = cutter.take if fast else self._library
        self.through_library = 0

    def _deliver(self, messages: MessageBlock) -> None:
        singly = messages.singly()
        assert len(messages) == len(singly)
        # what lies together is the array of them: heads are blanked, and nothing else is touched
        assert bytes(messages.together).translate(None, b" ") == (b"[" + b",".join(singly) + b"]").translate(None, b" ")
        self.messages += singly

    def _library(self, data: bytes) -> bool:
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            assert isinstance(event, Frame)
            self.through_library += 1
            message = self._assembler.add(event)
            if message is not None:
                self.messages.append(message)
        return self.protocol.close_rcvd is None and self.protocol.parser_exc is None

    def outcome(self) -> tuple[object, ...]:
        """Everything that can be seen from outside."""
        protocol = self.protocol
        sent = b"".join(protocol.data_to_send())
        # A close or pong that we send is masked with random bytes: its size and order tell enough.
        return (
            self.messages,
            protocol.state,
            protocol.close_rcvd,
            protocol.close_sent,
            repr(protocol.parser_exc),
            len(sent),
        )


def received(data: bytes, cuts: list[int], *, fast: bool = True) -> Connection:
    """A connection after ``data`` came in these pieces."""
    connection = Connection(fast=fast)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for begin, end in itertools.pairwise(edges):
        if begin != end:
            connection.take(data[begin:end])
    return connection


def wire(opcode: Opcode, payload: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin).serialize(mask=False, extensions=NO_EXTENSIONS)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """Bytes of a valid conversation (fragments with pings inside too), and the messages it holds."""
    data, messages = b"", []
    for payloads in draw(st.lists(st.lists(st.binary(max_size=200), min_size=1, max_size=4), max_size=8)):
        for number, payload in enumerate(payloads):
            last = number == len(payloads) - 1
            opcode = Opcode.CONT if number else draw(st.sampled_from([Opcode.TEXT, Opcode.BINARY]))
            data += wire(opcode, payload, fin=last)
            if draw(st.booleans()):
                data += wire(draw(st.sampled_from([Opcode.PING, Opcode.PONG])), b"x")
        messages.append(b"".join(payloads))
    return data, messages


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Any frame: mostly plain, sometimes a control frame, a fragment, masked, reserved, overlong, or too large."""
    if draw(st.integers(0, 3)):
        payload = draw(st.binary(max_size=8)) * draw(st.sampled_from([1, 1, 20, 40, 9_000, 34_000]))
        return wire(Opcode.TEXT, payload[:MAX_BYTES])
    first = draw(st.one_of(st.sampled_from([0x81, 0x01, 0x80, 0x00, 0x82, 0x89, 0x8A, 0x88]), st.integers(0, 255)))
    payload = draw(st.sampled_from([b"", b"\x03\xe8", b"\x03\xe8bye", b"{}", b"x" * 125, b"x" * 126, b"x" * 300]))
    size = len(payload) if draw(st.integers(0, 9)) else draw(st.sampled_from([2**16, MAX_BYTES + 1, 2**62, 2**64 - 1]))
    forms = (
        [size.to_bytes(1) for _ in range(size < 126)]
        + [b"\x7e" + size.to_bytes(2) for _ in range(size < 2**16)]
        + [b"\x7f" + size.to_bytes(8)]
    )
    length = bytearray(forms[0] if draw(st.integers(0, 4)) else draw(st.sampled_from(forms)))
    if not draw(st.integers(0, 9)):
        length[0] |= 0x80
    return bytes([first]) + bytes(length) + payload


CUTS = st.lists(st.integers(0, 500_000), max_size=12)


@settings(max_examples=400)
@given(st.lists(frames(), max_size=12), CUTS)
def test_the_cutter_is_the_library_whatever_comes_and_however_it_is_cut(sent: list[bytes], cuts: list[int]) -> None:
    data = b"".join(sent)
    assert received(data, cuts).outcome() == received(data, cuts, fast=False).outcome()


@given(st.binary(max_size=300), CUTS)
def test_the_cutter_is_the_library_for_any_bytes(data: bytes, cuts: list[int]) -> None:
    assert received(data, cuts).outcome() == received(data, [], fast=False).outcome()


@given(conversations(), CUTS)
def test_a_conversation_gives_the_same_messages_however_it_is_cut(
    conversation: tuple[bytes, list[bytes]], cuts: list[int]
) -> None:
    data, expected = conversation
    connection = received(data, cuts)
    assert (connection.messages, connection.protocol.state) == (expected, State.OPEN)


@given(conversations(), st.data())
def test_one_damaged_byte_never_raises(conversation: tuple[bytes, list[bytes]], data: st.DataObject) -> None:
    damaged = bytearray(conversation[0] or wire(Opcode.TEXT, b"{}"))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    received(bytes(damaged), [])


def test_plain_frames_never_reach_the_library_and_all_others_do() -> None:
    data = wire(Opcode.TEXT, b"{}") * 50 + wire(Opcode.PING, b"x") + wire(Opcode.TEXT, b"y" * 60_000) * 3
    connection = received(data, [7, 1_000, 70_000])
    assert len(connection.messages) == 53
    assert connection.through_library == 1


def test_binary_messages_are_delivered() -> None:
    assert received(wire(Opcode.BINARY, b"x"), []).messages == [b"x"]


def test_a_frame_larger_than_the_buffer_is_delivered_and_the_buffer_shrinks_again() -> None:
    taken: list[bytes] = []
    cutter = FrameCutter(lambda messages: taken.extend(messages.singly()), lambda _: True, MAX_BYTES)
    small = len(cutter.room())
    large = b"x" * (BUFFER_BYTES + 10_000)
    data = wire(Opcode.TEXT, large)
    cutter.take(data[:-1])
    assert taken == []
    assert len(cutter.room()) > 0
    cutter.take(data[-1:] + wire(Opcode.TEXT, b"{}"))
    assert taken == [large, b"{}"]
    assert len(cutter.room()) == small


def test_the_same_buffer_serves_every_read() -> None:
    seen: list[tuple[object, list[bytes]]] = []
    cutter = FrameCutter(
        lambda messages: seen.append((messages.together.obj, messages.singly())), lambda _: True, MAX_BYTES
    )
    cutter.take(wire(Opcode.TEXT, b"a" * 200))
    cutter.take(wire(Opcode.TEXT, b"b" * 300))
    (first, singly_first), (second, singly_second) = seen
    assert first is second
    assert (singly_first, singly_second) == ([b"a" * 200], [b"b" * 300])
