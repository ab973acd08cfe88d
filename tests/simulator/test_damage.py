"""What faults make of a message, as bytes."""

from __future__ import annotations

import json

import pytest

from k2workers.simulator.damage import malformed, with_element


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("[1,2]", [None, 1, 2]),
        ("[]", [None]),
        ('{"data":[{"a":[]}]}', {"data": [None, {"a": []}]}),
        ('{"b":[],"a":[["1","2"]]}', {"b": [None], "a": [["1", "2"]]}),
        ('{"t":1}', {"t": 1}),
    ],
)
def test_an_element_is_put_into_the_first_array_and_the_rest_stays(payload: str, expected: object) -> None:
    assert json.loads(with_element(payload.encode(), b"null")) == expected


def test_decimals_become_numbers_and_names_stay() -> None:
    payload = '{"s":"1000SATSUSDT","p":"0.50000000","b":[["1.5","2.0"]],"i":"1m"}'
    assert json.loads(malformed(payload.encode())) == {"s": "1000SATSUSDT", "p": 0.5, "b": [[1.5, 2.0]], "i": "1m"}
