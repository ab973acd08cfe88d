"""What ``tail`` prints of a loss."""

from __future__ import annotations

import json

import pytest

from k2workers import Lost
from k2workers.processes.tail import _json, _line


@pytest.mark.parametrize(
    ("lost", "line", "row"),
    [
        (
            Lost("t", 0, -1, 35, 81),
            "LOST t: 0 batches, ids 35 to 81",
            {"lost": "t", "first": 0, "last": -1, "first_id": 35, "last_id": 81},
        ),
        (Lost("t", 4, 5), "LOST t: 2 batches", {"lost": "t", "first": 4, "last": 5, "first_id": None, "last_id": None}),
    ],
)
def test_a_loss_is_printed_with_the_ids_that_are_known(lost: Lost, line: str, row: dict[str, object]) -> None:
    assert _line(lost) == line
    assert json.loads(_json(lost)) == row
