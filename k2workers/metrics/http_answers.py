"""Owns what an answer over HTTP is made of, and those that need no more than a word."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qs

TEXT = "text/plain; charset=utf-8"
JSON = "application/json; charset=utf-8"

MOST_DIGITS = 5
"""Of a number in a query: longer ones are not even read."""


class HttpAnswer(NamedTuple):
    """What is answered; the length follows from the body."""

    status: HTTPStatus
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Parts(Protocol):
    """An answer's parts, one after the other; each may let itself be waited for. ``close`` it when nobody takes any more."""

    def __iter__(self) -> Parts: ...
    def __next__(self) -> bytes: ...
    def close(self) -> None: ...


class HttpStream(NamedTuple):
    """An answer of which more comes for as long as the client stays."""

    content_type: str
    parts: Parts
    headers: tuple[tuple[str, str], ...] = ()


class HttpQuestion(NamedTuple):
    """What a client asked: what follows the part of the path that chose who answers, the query, the tags of what it has, and the types that it accepts."""

    name: str
    query: str
    known: str
    accepts: str


def number_in(query: str, name: str, usual: int, most: int) -> int | HttpAnswer:
    """The number from 1 to ``most`` that a query gives this name, or the usual one; the answer to whoever gives something else."""
    asked = parse_qs(query, keep_blank_values=True).get(name, [str(usual)])[-1]
    if asked.isascii() and asked.isdecimal() and len(asked) <= MOST_DIGITS and 1 <= int(asked) <= most:
        return int(asked)
    return words(HTTPStatus.BAD_REQUEST, f"{name} = {asked!r}; allowed: 1 to {most}")


def in_json(data: Any, *, headers: tuple[tuple[str, str], ...] = ()) -> HttpAnswer:
    """Plain data."""
    return HttpAnswer(HTTPStatus.OK, JSON, json.dumps(data).encode(), headers)


def verdict(reasons: list[str]) -> HttpAnswer:
    """Yes, or no with the reasons."""
    status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
    return HttpAnswer(status, JSON, json.dumps({"ok": not reasons, "reasons": reasons}).encode())


def words(status: HTTPStatus, more: str = "", *, headers: tuple[tuple[str, str], ...] = ()) -> HttpAnswer:
    """The number of an answer in words, and what else there is to say."""
    return HttpAnswer(status, TEXT, f"{status.value}: {more or status.phrase}".encode(), headers)


def tagged(answer: HttpAnswer, tag: str, known: str) -> HttpAnswer:
    """The answer with this tag, or only that nothing has changed, for who ``known`` it: its ``If-None-Match``."""
    headers = (("ETag", tag), ("Cache-Control", "no-cache"), *answer.headers)
    if tag in [each.strip().removeprefix("W/") for each in known.split(",")]:
        return words(HTTPStatus.NOT_MODIFIED, headers=headers)
    return answer._replace(headers=headers)
