"""What keys do."""

from __future__ import annotations

import pytest

from k2workers.top.keys import MOST, Keys


def _pressed(keys: str) -> Keys:
    made = Keys("hte")
    made.press(keys)
    return made


@pytest.mark.parametrize(
    ("keys", "sort", "turned"),
    [
        ("", "h", False),
        ("e", "e", False),
        ("ee", "e", True),
        ("eee", "e", False),
        ("eet", "t", False),
        ("s", "t", False),
        ("sss", "h", False),
        ("hs", "t", False),
        ("z\x1b[A\x1bOPe", "e", False),
    ],
)
def test_a_letter_sorts_and_again_the_other_way(keys: str, sort: str, turned: bool) -> None:
    pressed = _pressed(keys)
    assert (pressed.sort, pressed.turned, pressed.search, pressed.ended) == (sort, turned, "", False)


@pytest.mark.parametrize(
    ("keys", "search", "typing"),
    [
        ("/btc", "btc", True),
        ("/q s", "q s", True),
        ("/btcx\x7f\r", "btc", False),
        ("/btc\n\x1b", "", False),
        ("/btc\x1b", "", False),
        ("/btc\x15e\x01\x1b[A", "e", True),
        ("/币安", "币安", True),
        ("/" + "x" * (MOST + 1), "x" * MOST, True),
        ("/\x7f", "", True),
    ],
)
def test_after_a_slash_keys_are_what_is_searched_for(keys: str, search: str, typing: bool) -> None:
    pressed = _pressed(keys)
    assert (pressed.search, pressed.typing, pressed.ended, pressed.sort) == (search, typing, False, "h")


def test_q_ends_also_while_something_is_found() -> None:
    assert _pressed("q").ended
    assert _pressed("/btc\rq").ended
