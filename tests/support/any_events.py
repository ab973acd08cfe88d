"""Events of any type with any values, for properties: most batches alike in form, as a venue's are, some not."""

from __future__ import annotations

import typing
from typing import Any

from hypothesis import strategies as st

from k2workers.events import DATA_SCHEMAS, ROW_OF, SCHEMAS, Event

DATA_TYPES = [SCHEMAS[schema] for schema in sorted(DATA_SCHEMAS)]

_INTEGERS = [
    (0, 127),
    (128, 2**8 - 1),
    (2**8, 2**16 - 1),
    (2**16, 2**32 - 1),
    (2**32, 2**63 - 1),
    (-(2**63), 2**64 - 1),
]


def _decimal(whole: int, decimals: int) -> st.SearchStrategy[str]:
    text = st.integers(0, 10 ** (whole + decimals) - 1).map(lambda number: f"{number:0{whole + decimals}d}")
    return text.map(lambda digits: f"{digits[:whole]}.{digits[whole:]}" if decimals else digits)


_TEXTS = st.one_of(
    st.sampled_from(["", "-1.5", "1e5", "0", "5m", "9" * 19, "9223372036854775807", "-0.00", "1.", ".5", "1\n2", "٣"]),
    st.text(max_size=5),
    st.tuples(st.integers(1, 12), st.integers(0, 8)).flatmap(lambda form: _decimal(*form)),
)


def _forms(hint: Any) -> st.SearchStrategy[st.SearchStrategy[Any]]:
    """How the values of one field look in one batch."""
    if hint is int:
        return st.sampled_from(_INTEGERS).map(lambda bounds: st.integers(*bounds))
    if hint is bool:
        return st.just(st.booleans())
    if hint is str:
        alike = st.tuples(st.integers(1, 9), st.integers(0, 8)).map(lambda form: _decimal(*form))
        return st.one_of(alike, alike, alike, st.just(_TEXTS))
    if hint == (str | None):
        return st.one_of(_forms(str), st.just(st.none()), st.just(st.none() | _TEXTS))
    ((*texts,),) = map(typing.get_args, typing.get_args(hint))  # levels of a book, or the like
    return st.just(st.lists(st.tuples(*(_TEXTS for _ in texts)), max_size=2))


@st.composite
def batches_of(draw: st.DrawFn, event_type: type[Event], most: int = 20) -> list[Event]:
    """Some events of this type."""
    hints = typing.get_type_hints(event_type)
    row = ROW_OF[event_type]
    forms = {name: draw(_forms(hints[name])) for name in event_type.__struct_fields__}
    for name in (row.first, row.last):  # ids have 64 bits with a sign in the frame's head
        forms[name] = st.integers(*draw(st.sampled_from(_INTEGERS[:-1])))
    return draw(st.lists(st.builds(event_type, **forms), min_size=1, max_size=most))


any_batch = st.sampled_from(DATA_TYPES).flatmap(batches_of)
