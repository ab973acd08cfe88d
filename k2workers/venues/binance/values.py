"""Owns what a value of Binance may be: decimals, levels of a book, and times in whatever unit the venue chose. Pure.

The venue's prices and quantities are texts, which nobody reads before a subscriber does: what is no number must not pass here. Its times
tell their unit by their size: a venue that ignores the unit that was asked for must not date events to 1970.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

import msgspec

from k2workers.events import Level

LONGEST = 40
"""Characters of a decimal; the venue's longest has 20."""

Decimal = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST)]
"""Digits with at most one point. The decoder only bounds its length, because a pattern costs as much as reading a whole trade:
whoever decodes asks ``are_decimals`` about all of them together."""

PLAIN_DECIMAL = Annotated[str, msgspec.Meta(min_length=2, max_length=LONGEST)]
PLAIN_SIGNED = Annotated[str, msgspec.Meta(min_length=3, max_length=LONGEST + 1)]
"""The decimals that the venue writes: they have a point, and are not only that."""

SignedDecimal = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST + 1)]
"""The same, perhaps behind a minus."""

CheckedDecimal = Annotated[str, msgspec.Meta(max_length=LONGEST, pattern=r"\A(?:[0-9]+\.?[0-9]*|\.[0-9]+)\Z")]
"""A decimal that the decoder checks, where there are few."""

OptionalDecimal = Annotated[str, msgspec.Meta(max_length=LONGEST, pattern=r"\A(?:[0-9]*\.?[0-9]*)\Z")]
"""The same, or empty."""

DecimalOrNone = Annotated[str, msgspec.Meta(max_length=LONGEST)]
SignedDecimalOrNone = Annotated[str, msgspec.Meta(max_length=LONGEST + 1)]
"""A ``Decimal`` or ``SignedDecimal``, or empty where the venue tells none: of these only what is not empty is asked about."""

_DECIMAL = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+")
_DIGITS = b"0123456789"

_PIECE = 32_768
"""Bytes that are looked at together; of many more, the memory alone would cost more than the look."""

UNITS_NS = (1_000, 1_000_000, 1)
"""What one unit of the venue's times may be worth: microseconds, for which we ask, its own milliseconds, nanoseconds."""

EARLIEST_NS = 1_230_940_800_000_000_000
LATEST_NS = 7_258_118_400_000_000_000
"""2009 and 2200: what is no time between them, in any unit, is none. A perpetual contract is said to be delivered in December 2100."""

Time = Annotated[int, msgspec.Meta(ge=EARLIEST_NS // 1_000_000, le=LATEST_NS)]
"""A time of the venue, in any unit."""

OptionalTime = Annotated[int, msgspec.Meta(ge=0, le=LATEST_NS)]
"""The same, or 0 for none."""


def time_in(unit_ns: int) -> type[int]:
    """The type of a ``Time`` in this unit."""
    bounds = msgspec.Meta(ge=EARLIEST_NS // unit_ns, le=LATEST_NS // unit_ns)
    return Annotated[int, bounds]  # type: ignore[return-value]


def nanoseconds(time: int) -> int:
    """A ``Time`` or ``OptionalTime`` in nanoseconds. Raises ValueError for what cannot be one."""
    if not time:
        return 0
    for unit_ns in UNITS_NS:
        if EARLIEST_NS <= time * unit_ns <= LATEST_NS:
            return time * unit_ns
    raise ValueError(f"{time} cannot be a time")


def have_one_point_each(texts: Sequence[str]) -> bool:
    """Whether all are digits and one point, for less than 20 ns each. True is only said of ``PLAIN_DECIMAL``: it takes a mere point for one."""
    # Without its digits, "12.5" with "7.0" is ".,.": no other texts give that.
    points = ",".join(texts).encode(errors="replace").translate(None, _DIGITS)
    return points == b".," * (len(texts) - 1) + b"." if texts else True


def are_decimals(texts: Sequence[str]) -> bool:
    """Whether all of them, of ``Decimal``'s length, are decimals."""
    points = ",".join(texts).encode(errors="replace").translate(None, _DIGITS)
    between = max(0, len(texts) - 1)
    # Nothing is left of them but at most one point each, and the commas that were put between.
    plain = points.count(b",") == between and points.count(b".") == len(points) - between and b".." not in points
    return plain and "." not in texts and "" not in texts


def odd_decimal(texts: Sequence[str]) -> str | None:
    """The first that is no decimal, if any."""
    return next((text for text in texts if _DECIMAL.fullmatch(text) is None), None)


def are_plain_levels(content: memoryview, count: int) -> bool:
    """Whether this JSON holds as many levels, written as the venue writes them: a pair of ``PLAIN_DECIMAL`` with a point each.

    It takes half the time of looking at the texts. Each level was decoded from this content.
    """
    return _left_of_digits(content).count(b'[".","."]') == count


def are_levels_of_few_points(content: memoryview, count: int) -> bool:
    """The same where decimals may have no point, and be short: a mere point is none."""
    left = _left_of_digits(content)
    pairs = (b'[".","."]', b'[".",""]', b'["","."]', b'["",""]')
    return sum(map(left.count, pairs)) == count and b'"."' not in bytes(content)


def _left_of_digits(content: memoryview) -> bytes:
    pieces = [
        bytes(content[at : at + _PIECE]).translate(None, _DIGITS) for at in range(0, len(content), _PIECE)
    ]  # fmt: skip
    return b"".join(pieces)


class LongLevel(msgspec.Struct, array_like=True, gc=False):
    """A level of a book that may have more elements than two: the venue has sent an empty array behind them."""

    price: Decimal
    quantity: Decimal


def pairs(levels: Sequence[LongLevel]) -> list[Level]:
    """The levels without what follows their pairs."""
    return [(level.price, level.quantity) for level in levels]


def texts_of(levels: Sequence[Level]) -> list[str]:
    """All decimals of these levels."""
    return [text for level in levels for text in level]
