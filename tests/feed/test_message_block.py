"""Messages that are passed on together."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers.feed.message_block import MessageBlock

MESSAGES = st.lists(
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=3).map(msgspec.json.encode), min_size=1
)


@given(MESSAGES)
def test_messages_decode_together_and_are_given_back_singly(messages: list[bytes]) -> None:
    block = MessageBlock.of(messages)
    assert len(block) == len(messages)
    assert block.singly() == messages
    assert msgspec.json.decode(block.together) == [msgspec.json.decode(message) for message in messages]


@pytest.mark.parametrize("head", [1, 4])
def test_a_block_inside_a_larger_buffer_knows_its_messages_by_their_ends(head: int) -> None:
    first, second = b'{"a":1}', b'{"b":22}'
    buffer = b"before" + b"[".rjust(head) + first + b",".rjust(head) + second + b"]"
    begin = len(b"before")
    ends = [begin + head + len(first), begin + 2 * head + len(first) + len(second)]
    block = MessageBlock(memoryview(buffer)[begin:], head, begin, ends)
    assert block.singly() == [first, second]
    assert msgspec.json.decode(block.together) == [{"a": 1}, {"b": 22}]
