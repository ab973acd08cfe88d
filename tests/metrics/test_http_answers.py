"""Answers that are no more than a word, or plain data."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from k2workers.metrics.http_answers import JSON, TEXT, HttpAnswer, in_json, number_in, tagged, verdict, words


def test_a_verdict_is_yes_or_no_with_its_reasons() -> None:
    assert verdict([]) == HttpAnswer(HTTPStatus.OK, JSON, b'{"ok": true, "reasons": []}')
    assert verdict(["x"]) == HttpAnswer(HTTPStatus.SERVICE_UNAVAILABLE, JSON, b'{"ok": false, "reasons": ["x"]}')


def test_words_say_what_is_wrong_or_what_the_number_means() -> None:
    assert words(HTTPStatus.NOT_FOUND) == HttpAnswer(HTTPStatus.NOT_FOUND, TEXT, b"404: Not Found")
    headers = (("Allow", "GET"),)
    assert words(HTTPStatus.NOT_FOUND, "no", headers=headers) == HttpAnswer(
        HTTPStatus.NOT_FOUND, TEXT, b"404: no", headers
    )


def test_data_are_json() -> None:
    assert in_json({"a": 1}) == HttpAnswer(HTTPStatus.OK, JSON, b'{"a": 1}')


def test_who_has_what_the_tag_names_is_told_that_nothing_has_changed() -> None:
    answer = in_json({"a": 1}, headers=(("X", "y"),))
    tag = ("ETag", '"7"')
    assert tagged(answer, '"7"', '"6"').body == answer.body
    assert tagged(answer, '"7"', "").headers == (tag, ("Cache-Control", "no-cache"), ("X", "y"))
    for known in ('"7"', 'W/"7"', '"6", "7"'):
        told = tagged(answer, '"7"', known)
        assert (told.status, tag in told.headers) == (HTTPStatus.NOT_MODIFIED, True), known


@pytest.mark.parametrize(("query", "number"), [("", 20), ("n=1", 1), ("n=5&n=100", 100), ("m=0", 20)])
def test_a_number_is_that_of_the_query_or_the_usual_one(query: str, number: int) -> None:
    assert number_in(query, "n", 20, 100) == number


@pytest.mark.parametrize("asked", ["0", "101", "x", "", "-1", "1.5", "\u0663", "000001", "9" * 5_000])
def test_a_number_that_cannot_be_is_named_with_what_is_allowed(asked: str) -> None:
    answer = number_in(f"n={asked}", "n", 20, 100)
    assert answer == words(HTTPStatus.BAD_REQUEST, f"n = {asked!r}; allowed: 1 to 100")
