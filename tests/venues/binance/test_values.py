"""What a decimal and a time of the venue may be."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers.venues.binance.values import (
    LONGEST,
    UNITS_NS,
    CheckedDecimal,
    LongLevel,
    Time,
    are_decimals,
    are_levels_of_few_points,
    are_plain_levels,
    have_one_point_each,
    nanoseconds,
    odd_decimal,
    pairs,
    texts_of,
    time_in,
)

AT_US = 1_723_161_601_438_007
SOUND = ["0", "7", "12.5", "0.00000000", "92233720368.54775807", "1.", ".5", "0" * LONGEST]
ODD = [
    "",
    ".",
    "abc",
    "NaN",
    "-1",
    "+1",
    "1e5",
    " 1",
    "1 ",
    "1\n",
    "1,5",
    "1.2.3",
    "..",
    "0x1",
    "1_0",
    "١",
    "∞",
    "\udc80",
]
LEVELS = '[["1.0","2.0"],["1.5","0.00000000"]]'


@given(st.lists(st.sampled_from(SOUND)))
def test_decimals_are_digits_with_at_most_one_point(texts: list[str]) -> None:
    assert are_decimals(texts)
    assert odd_decimal(texts) is None


@pytest.mark.parametrize("odd", ODD)
@given(st.lists(st.sampled_from([*SOUND, "1.0"])), st.integers(0, 9))
def test_one_odd_text_among_any_is_found(odd: str, texts: list[str], at: int) -> None:
    texts.insert(at, odd)
    assert not are_decimals(texts)
    assert odd_decimal(texts) == odd


@given(st.lists(st.text("0123456789.,-e ", min_size=2), min_size=1))
def test_the_fast_look_says_yes_only_to_digits_with_a_point_each(texts: list[str]) -> None:
    one_point = re.compile(r"[0-9]*\.[0-9]*")
    assert have_one_point_each(texts) == all(map(one_point.fullmatch, texts))


@pytest.mark.parametrize("odd", [*ODD, "0" * (LONGEST + 1)])
def test_a_checked_decimal_is_the_same(odd: str) -> None:
    decoder = msgspec.json.Decoder(CheckedDecimal)
    for sound in SOUND:
        assert decoder.decode(msgspec.json.encode(sound)) == sound
    with pytest.raises(ValueError, match=r".+"):
        decoder.decode(msgspec.json.encode(odd))


def test_levels_are_counted_wherever_they_stand() -> None:
    for before in (0, 1, 32_760, 40_000, 100_000):
        content = ('"' + "x" * before + '"' + LEVELS).encode()
        assert are_plain_levels(memoryview(content), 2)
        assert not are_plain_levels(memoryview(content), 3)


@pytest.mark.parametrize("odd", [text for text in ODD if text != "." and text.isascii()])
def test_a_level_with_an_odd_text_is_none(odd: str) -> None:
    for level in ([odd, "1.0"], ["1.0", odd]):
        assert not are_plain_levels(memoryview(msgspec.json.encode([level, ["1.0", "2.0"]])), 2)


def test_a_level_may_have_more_elements_than_two() -> None:
    levels = msgspec.json.decode(b'[["1","2",[]],["3","4"],["5","6","7",8]]', type=list[LongLevel])
    assert pairs(levels) == [("1", "2"), ("3", "4"), ("5", "6")]
    assert texts_of(pairs(levels)) == ["1", "2", "3", "4", "5", "6"]


@pytest.mark.parametrize("unit_ns", UNITS_NS)
def test_a_time_tells_its_unit(unit_ns: int) -> None:
    time = AT_US * 1_000 // unit_ns
    assert nanoseconds(time) == time * unit_ns
    assert msgspec.convert(time, time_in(unit_ns)) == time == msgspec.convert(time, Time)
    for other in UNITS_NS:
        if other != unit_ns:
            with pytest.raises(msgspec.ValidationError):
                msgspec.convert(time, time_in(other))


@pytest.mark.parametrize("time", [1, AT_US // 1_000_000, 10**11, 10**14, 10**17, 7_258_118_400_001, 10**19])
def test_what_cannot_be_a_time_is_none(time: int) -> None:
    with pytest.raises(ValueError, match="cannot be a time"):
        nanoseconds(time)


def test_no_time_stays_none() -> None:
    assert nanoseconds(0) == 0


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ('[["1.0","2.0"],["1","2"]]', True),
        ('[["1.0","2"],["10","2.5"]]', True),
        ('[["1.0","2.0"],["1","x"]]', False),
        ('[["1.0","2.0"],["1",".."]]', False),
        ('[["1.0","2.0"],["1","."]]', False),
        ('[["1.0","2.0"],["1","2",[]]]', False),
    ],
)
def test_levels_of_few_points_are_seen_at_once(text: str, plain: bool) -> None:
    assert are_levels_of_few_points(memoryview(text.encode()), 2) is plain
