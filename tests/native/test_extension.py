"""The native lane as Python sees it: what it refuses instead of breaking, and that a lane that is gone holds nothing."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from k2workers import native
from k2workers.feed.plain_lane import ASK, CHAIN, END, PlainLane
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.message_shape import Written
from tests.native.differential import BEGAN_US, NOW_NS, frame

pytestmark = pytest.mark.skipif(native.extension is None, reason=f"no native lane: {native.why_not}")

ID, LITERAL = 2, 0
ITEMS = ((LITERAL, -1, b'":', 0, 0, 0), (ID, 0, b"", 0, 0, 0))
ALONE = (0, 0, -1, -1, -1, -1)


def lane(*topics: int) -> Any:
    """A lane with one shape, and a stream for each topic."""
    made = native.extension.Lane(b'{"')
    assert made.add_shape(ITEMS, (0, -1), ALONE) == 0
    for topic in topics:
        assert made.add_stream(b"name%d" % topic, b"S", b"topic%d" % topic, topic, 1, 0, 1)
    return made


class Fresh:
    """A sequence that makes its items when they are asked for, and keeps none."""

    def __len__(self) -> int:
        return len(ITEMS)

    def __getitem__(self, at: int) -> tuple[object, ...]:
        kind, slot, literal, *rest = ITEMS[at]
        return (kind, slot, bytes(bytearray(literal)), *rest)


@pytest.mark.parametrize(
    ("items", "fields", "meanings"),
    [
        (Fresh(), (0,), ALONE),  # whose literals nobody keeps
        ([*ITEMS], (0,), ALONE),
        (ITEMS * 33, (0,), ALONE),
        ((), (0,), ALONE),
        ((("literal",), *ITEMS), (0,), ALONE),
        ((*ITEMS, (9, 0, b"", 0, 0, 0)), (0,), ALONE),
        ((*ITEMS, (-1, 0, b"", 0, 0, 0)), (0,), ALONE),
        ((*ITEMS, (ID, 32, b"", 0, 0, 0)), (0,), ALONE),
        ((*ITEMS, (LITERAL, -1, b"x" * 65_536, 0, 0, 0)), (0,), ALONE),
        ((*ITEMS, (3, 1, b"", 0, 2**63, 1)), (0,), ALONE),
        ((*ITEMS, (3, 1, b"", 0, 1, 0)), (0,), ALONE),
        (ITEMS, (1,), ALONE),
        (ITEMS, (32,), ALONE),
        (ITEMS, (2**32,), ALONE),
        (ITEMS, (0,) * 33, ALONE),
        (ITEMS, (), ALONE),
        (ITEMS, (0,), (1, 0, -1, -1, -1, -1)),
        (ITEMS, (0,), (0, 0, -1, -1, 0, -1)),
        (ITEMS, (0,), (0, 0, -1, -1, -1, 0)),
        (ITEMS, (0,), (0, 0)),
    ],
)
def test_a_shape_that_is_not_sound_is_refused(items: object, fields: object, meanings: object) -> None:
    made = native.extension.Lane(b'{"')
    with pytest.raises((ValueError, TypeError)):
        made.add_shape(items, fields, meanings)
    assert made.add_shape(ITEMS, (0,), ALONE) == 0, "and nothing of it is kept"


@pytest.mark.parametrize("number", [2**32, 2**64 - 1, 2**64, -1])
def test_no_number_stands_for_another_because_it_is_too_large(number: int) -> None:
    made = lane(0)
    calls: tuple[Callable[[], object], ...] = (
        lambda: made.add_stream(b"other", b"S", b"other", number, 1, 0, 1),
        lambda: made.arm(number, CHAIN, 1, 1, -1, -1, 0, False),
        lambda: made.arm(0, CHAIN, 1, 1, -1, -1, number, False),
        lambda: made.block(number),
        lambda: made.settle_one(number),
        lambda: made.counts(number),
    )
    for call in calls:
        with pytest.raises((ValueError, OverflowError)):
            call()


@pytest.mark.parametrize(
    ("begin", "filled", "received_ns"),
    [(0, 1, 1), (0, 2**63 - 1, 1), (0, 2**63 - 64, 1), (-1, 0, 1), (1, 0, 1), (2**63 - 1, 2**63 - 1, 1), (0, 0, -1)],
)
def test_bytes_that_the_buffer_lacks_are_refused(begin: int, filled: int, received_ns: int) -> None:
    made, buffer = lane(0), bytearray(native.extension.SLACK)
    with pytest.raises(ValueError, match="buffer"):
        made.take(buffer, begin, filled, received_ns, 1, b"")
    with pytest.raises(ValueError, match="buffer"):
        made.take(b"", 0, 0, 1, 1, b"")
    assert made.take(buffer, 0, 0, 1, 1, b"")[:3] == (END, 0, 0)


def test_a_stream_that_is_there_or_is_too_long_is_not_taken() -> None:
    made = lane(0)
    for name, symbol, topic, index, kind, shape in (
        (b"name0", b"S", b"t", 1, 1, 0), (b"n", b"S", b"t", 0, 1, 0), (b"", b"S", b"t", 1, 1, 0), (b"n" * 1_025, b"S", b"t", 1, 1, 0),
        (b"n", b"S" * 1_025, b"t", 1, 1, 0), (b"n", b"S", b"t" * 1_025, 1, 1, 0), (b"n", b"S", b"t", 2**24, 1, 0),
        (b"n", b"S", b"t", 1, 64, 0), (b"n", b"S", b"t", 1, 1, 1), (b"n", b"S", b"t", 1, 1, -1),
    ):  # fmt: skip
        assert not made.add_stream(name, symbol, topic, index, kind, shape, 1)
    assert made.add_stream(b"n", b"S", b"t", 1, 1, 0, 1)


def test_slack_is_what_the_buffers_of_connections_have() -> None:
    from k2workers.feed.framing import SLACK

    assert native.extension.SLACK == SLACK


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in [
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        ]
    ]


def in_use() -> int:
    """Bytes that the C library has given out."""
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        pytest.skip("this C library does not tell what it has given out")
    mallinfo2.restype = _Mallinfo2
    gc.collect()
    told = mallinfo2()
    return int(told.uordblks + told.hblkhd)


def messages(symbol: str, numbers: Iterator[int]) -> bytes:
    price = "1." + "5" * 30
    return b"".join(
        frame(
            f'{{"stream":"{symbol.lower()}@depth@100ms","data":{{"e":"depthUpdate","E":{BEGAN_US},"s":"{symbol}","U":{number},"u":{number},'
            f'"b":[{",".join([f"""["{price}","1.0"]"""] * 20)}],"a":[]}}}}'.encode()
        )
        for number in numbers
    )


def test_lanes_that_are_replaced_leave_no_memory_behind() -> None:
    """500 times: other streams, places told, messages, settled; once more half the way."""
    venue, plain = BinanceSpot(), PlainLane(native.extension)
    symbols = [("AUSDT", "BUSDT"), ("BUSDT", "CUSDT", "DUSDT")]
    codecs = [venue.codec(venue.stream_specs(("depth", "trade"), some)) for some in symbols]
    data = [b"".join(messages(symbol, iter(range(1, 9))) for symbol in some) for some in symbols]
    buffers = [bytearray(one + bytes(native.extension.SLACK)) for one in data]

    def cycle(number: int) -> None:
        codec, buffer = codecs[number % 2], buffers[number % 2]
        plain.follow(Written(codec.written.prefix, codec.written.streams), codec.topics)
        plain._lane.remember(number % 4 < 2)
        for settled in (True, False):
            begin, stop, took = 0, ASK, 0
            while stop == ASK:
                stop, begin, _, taken, topic, _, _ = plain.take(
                    buffer, begin, len(data[number % 2]), NOW_NS, 1, b"head"
                )
                took += taken
                if stop == ASK:
                    plain._lane.arm(topic, CHAIN, 0, 1, -1, -1, 0, False)
            assert took == 8 * len(symbols[number % 2])
            if settled:
                assert len(plain._lane.settle(False)) == len(symbols[number % 2])
                assert plain._lane.settle_one(0) is None

    for number in range(100):
        cycle(number)
    before = in_use()
    for number in range(500):
        cycle(number)
    assert in_use() - before < 64 * 1024, "a lane has more"
