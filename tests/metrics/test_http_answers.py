"""Answers that are no more than a word, or plain data."""

from __future__ import annotations

from http import HTTPStatus

from k2workers.metrics.http_answers import JSON, TEXT, HttpAnswer, in_json, verdict, words


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
