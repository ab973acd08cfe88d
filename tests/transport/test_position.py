"""What a subscriber saves."""

from __future__ import annotations

import pytest

from k2workers.errors import ConfigError
from k2workers.sequencing.coverage import NOT_KNOWN
from k2workers.transport.position import Position, TopicPosition
from k2workers.venues.binance.streams import BOOK, CHAIN

UNHEARD = TopicPosition(1, 0, -1, -1, NOT_KNOWN, [])


@pytest.mark.parametrize(
    "position",
    [
        Position(),
        Position({"quiet": UNHEARD}, [3, 1], ["a.", "b.c"]),
        Position({"t": TopicPosition(2, 5, 9, 8, CHAIN.number, [(3, 4)], renewed=True, closed=[(1, 1)])}),
        Position({"b": TopicPosition(2, 5, 9, 8, BOOK.number, [], whole=True), "quiet": UNHEARD}),
    ],
)
def test_a_position_reads_back_as_it_was(position: Position) -> None:
    assert Position.from_bytes(position.to_bytes()) == position


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xc1",
        b"{}",
        Position({"t": UNHEARD}).to_bytes()[:-1],
        Position({"t": TopicPosition(1, 0, 1, 1, 2**62 + 7, [])}).to_bytes(),
    ],
)
def test_bytes_that_are_no_position_are_a_mistake_of_the_user_s(content: bytes) -> None:
    with pytest.raises(ConfigError, match=f"position: {len(content)} bytes that are no position"):
        Position.from_bytes(content)
