"""Lists that others wrote: one odd element never rejects its list."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers.venues.elements import ElementReader, members


class Row(msgspec.Struct, frozen=True):
    id: int
    name: str


ROWS = ElementReader(Row)
ODD: list[Any] = [None, [], 5, "x", {"id": 1}, {"id": "1", "name": "a"}, {"id": 2, "name": None}]


@given(st.lists(st.one_of(st.integers(-(2**60), 2**60), st.sampled_from(ODD))))
def test_the_others_are_read_and_keep_their_places(elements: list[Any]) -> None:
    rows = [{"id": e, "name": "a"} if type(e) is int and e != 5 else e for e in elements]
    read = ROWS.read(json.dumps(rows).encode())
    sound = [isinstance(row, dict) and row.get("name") == "a" and type(row["id"]) is int for row in rows]
    assert [element is not None for element in read.found] == sound
    assert [row.id for row in read.sound] == [row["id"] for row, good in zip(rows, sound, strict=True) if good]
    assert read.odd == sound.count(False)
    assert bool(read.cause) == bool(read.odd)


def test_the_first_odd_element_is_reported() -> None:
    read = ROWS.read(b'[{"id":1,"name":"a"},{"id":null,"name":"b"},7]')
    assert (read.odd, read.sample) == (2, '{"id":null,"name":"b"}')
    assert "id" in read.cause


@pytest.mark.parametrize("odd", [rb'{"id":2,"name":"\ud800"}', b'{"id":1e400,"name":"a"}'])
def test_an_element_that_our_reader_stops_at_costs_itself_alone(odd: bytes) -> None:
    read = ROWS.read(b'[{"id":1,"name":"a"},' + odd + b',{"id":3,"name":"c"}]')
    assert [row.id for row in read.sound] == [1, 3]
    assert read.odd == 1
    inside = members(b'{"a":[' + odd + b'],"b":[{"id":3,"name":"c"}],"c":1}')
    assert [row.id for row in ROWS.read(inside["b"]).sound] == [3]


def test_members_of_what_is_no_object_raise() -> None:
    for content in (b"", b"[]", b"{", b"5"):
        with pytest.raises(ValueError):
            members(content)


@pytest.mark.parametrize("content", [b"", b"{}", b"null", b'[{"id":1', b"[" * 100_000, b"\xff"])
def test_what_is_no_list_raises(content: bytes) -> None:
    with pytest.raises(ValueError):
        ROWS.read(content)
