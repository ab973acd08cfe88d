"""How a setting is described and read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest

from k2workers.setting import About, default, name_in, read_all, settings_of


class Some(msgspec.Struct, kw_only=True):
    whole: Annotated[int, About(text="a whole one", ge=-5, le=10)] = 3
    number: Annotated[float, About(text="a number", gt=0, le=100, flag="other_name")] = 1.5
    maybe_s: Annotated[float | None, About(text="one that may be missing")] = None
    switch: Annotated[bool, About(text="a switch")] = False
    text: Annotated[str, About(text="a text", filled=True)] = "x"
    words: Annotated[list[str], About(text="words", filled=True)] = msgspec.field(default_factory=lambda: ["a"])
    choice: Annotated[Literal["red", "blue"], About(text="a colour")] = "red"
    step: Annotated[Literal[1, 10], About(text="a step")] = 1
    unsaid: int = 7


SOME = settings_of(Some)


def test_what_nothing_is_said_about_is_no_setting() -> None:
    assert "unsaid" not in SOME
    assert [setting.default for setting in SOME.values()] == [3, 1.5, None, False, "x", ["a"], "red", 1]
    assert default(Some, "unsaid") == 7


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("whole", "4", 4),
        ("whole", " +4 ", 4),
        ("whole", "-5", -5),
        ("whole", "4.0", 4),
        ("whole", 4.0, 4),
        ("number", "1e1", 10.0),
        ("number", ".5", 0.5),
        ("number", 2, 2.0),
        ("maybe_s", "-7", -7.0),
        ("switch", "TRUE", True),
        ("switch", "off", False),
        ("switch", 1, True),
        ("text", "y", "y"),
        ("words", " a, b ,,c", ["a", "b", "c"]),
        ("words", ("a", "b"), ["a", "b"]),
        ("choice", "Blue", "blue"),
        ("step", "10", 10),
    ],
)
def test_words_become_values(name: str, value: object, read: object) -> None:
    found: Any = SOME[name].read(value)
    assert (found, type(found)) == (read, type(read))


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("whole", "1_0", "not a whole number"),
        ("whole", "\u0664", "not a whole number"),
        ("whole", "4.5", "not a whole number"),
        ("whole", 4.5, "not a whole number"),
        ("whole", "", "not a whole number"),
        ("whole", [], "not a whole number"),
        ("whole", True, "not a number"),
        ("whole", "11", "too large"),
        ("whole", "-6", "too small"),
        ("whole", "9" * 5000, "too large"),
        ("whole", "-" + "9" * 5000, "too small"),
        ("number", "1_0.0", "not a number"),
        ("number", "0x1", "not a number"),
        ("number", False, "not a number"),
        ("number", "inf", "not a finite number"),
        ("number", "NaN", "not a finite number"),
        ("number", 10**400, "too large"),
        ("number", -(10**400), "too small"),
        ("number", 0, "too small"),
        ("number", "100.1", "too large"),
        ("switch", "maybe", "neither true nor false"),
        ("switch", 2, "neither true nor false"),
        ("switch", 1.0, "neither true nor false"),
        ("text", "", "empty"),
        ("text", 5, "not a text"),
        ("words", " , ", "names none"),
        ("words", [1], "not a list of texts"),
        ("words", 1, "not a list of texts"),
        ("choice", "green", "unknown"),
        ("step", "5", "unknown"),
        ("step", "x", "not a whole number"),
    ],
)
def test_what_stands_for_no_value_is_told_in_words(name: str, value: object, wrong: str) -> None:
    with pytest.raises(ValueError, match=f"^{wrong}$"):
        SOME[name].read(value)


def test_bounds_flags_and_sentences_follow_from_what_is_said() -> None:
    assert SOME["whole"].bounds == "≥ -5 and ≤ 10"
    assert SOME["number"].bounds == "> 0 and ≤ 100"
    assert SOME["switch"].bounds == ""
    assert SOME["step"].bounds == "1, 10"
    assert (SOME["number"].flag, SOME["maybe_s"].flag) == ("--other-name", "--maybe-s")
    assert SOME["choice"].sentence == "A colour (red, blue). [red]"
    assert SOME["text"].sentence == "A text. [x]"


def test_a_number_is_shown_as_it_was_written_and_a_text_in_its_marks() -> None:
    assert SOME["whole"].shown("1_0") == "1_0"
    assert SOME["whole"].shown(" 1") == "' 1'"
    assert SOME["whole"].shown("") == "''"
    assert SOME["number"].shown(2.5) == "2.5"
    assert SOME["text"].shown("a b") == "'a b'"


def test_values_and_mistakes_of_all_are_told_together_and_a_rule_has_the_last_word() -> None:
    def even(value: int) -> int:
        if value % 2:
            raise ValueError("not even")
        return value // 2

    given = {"whole": "3", "number": "x", "step": "10", "text": "a"}
    assert read_all(SOME, given, {"whole": even, "step": even, "number": even}) == (
        {"step": 5, "text": "a"},
        {"whole": "not even", "number": "not a number"},
    )


def test_what_is_somebodys_own_bears_his_name_in_front_and_keeps_the_rules_of_its_own_name() -> None:
    own = settings_of(Some, "his")
    assert list(own) == [name_in("his", key) for key in SOME]
    assert (own["his_number"].flag, own["his_number"].key) == ("--his-other-name", "number")
    assert read_all(own, {"his_whole": "3", "whole": "4"}, {"whole": lambda value: value + 1}) == ({"his_whole": 4}, {})
    assert own["his_whole"].mistake("11", "too large", "x").startswith("his_whole = 11: too large")


def test_a_mistake_says_what_is_allowed_and_where_it_can_be_set() -> None:
    assert SOME["whole"].mistake("11", "too large", "flag --whole", "environment X") == (
        "whole = 11: too large; allowed: ≥ -5 and ≤ 10 (flag --whole, environment X)"
    )
    assert SOME["text"].mistake(5, "not a text", "flag --text") == "text = 5: not a text (flag --text)"
