"""Frames to messages: any bytes, cut anywhere."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions import Extension
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from k2workers.feed.framing import MessageAssembler

NO_EXTENSIONS: list[Extension] = []


def messages_of(data: bytes, cuts: list[int]) -> tuple[list[bytes], bool]:
    """Messages of a connection that receives ``data`` in these pieces, and whether it still stands."""
    protocol = ClientProtocol(parse_uri("ws://localhost/"), state=State.OPEN)
    assembler, messages = MessageAssembler(), []
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for begin, end in itertools.pairwise(edges):
        if begin == end:
            continue
        protocol.receive_data(data[begin:end])
        for event in protocol.events_received():
            assert isinstance(event, Frame)
            message = assembler.add(event)
            if message is not None:
                messages.append(message)
    return messages, protocol.state is State.OPEN


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


@given(conversations(), st.lists(st.integers(0, 10_000), max_size=12))
def test_a_conversation_gives_the_same_messages_however_it_is_cut(
    conversation: tuple[bytes, list[bytes]], cuts: list[int]
) -> None:
    data, expected = conversation
    assert messages_of(data, cuts) == (expected, True)


@given(st.binary(max_size=300), st.lists(st.integers(0, 10_000), max_size=6))
def test_any_bytes_give_the_same_messages_however_they_are_cut_and_never_an_exception(
    data: bytes, cuts: list[int]
) -> None:
    assert messages_of(data, cuts) == messages_of(data, [])


@given(conversations(), st.data())
def test_one_damaged_byte_never_raises(conversation: tuple[bytes, list[bytes]], data: st.DataObject) -> None:
    damaged = bytearray(conversation[0] or wire(Opcode.TEXT, b"{}"))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    messages_of(bytes(damaged), [])


def test_binary_messages_are_counted() -> None:
    assembler = MessageAssembler()
    assert assembler.add(Frame(Opcode.BINARY, b"x")) == b"x"
    assert assembler.binary_messages == 1


def test_a_continuation_without_a_beginning_is_nothing() -> None:
    assert MessageAssembler().add(Frame(Opcode.CONT, b"x")) is None
