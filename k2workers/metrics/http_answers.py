"""Owns what an answer over HTTP is made of, and those that need no more than a word."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, NamedTuple

TEXT = "text/plain; charset=utf-8"
JSON = "application/json; charset=utf-8"


class HttpAnswer(NamedTuple):
    """What is answered; the length follows from the body."""

    status: HTTPStatus
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


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
