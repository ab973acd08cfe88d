"""Replies to the handshake that do not let us in, however odd."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers.feed.handshake_refusal import MAX_BODY_BYTES, read


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket",
        b"",
        b"\x00",
        b"HTTP/2 429",
        b"HTTP/1.1 42 x",
        b"SSH-2.0",
    ],
)
def test_what_lets_us_in_or_is_no_reply_is_left_to_the_library(head: bytes) -> None:
    assert read(head, b"") is None


@pytest.mark.parametrize("first", [b"HTTP/1.1 429 Too Many Requests", b"HTTP/1.0 429 No", b"HTTP/1.1 429"])
def test_the_status_line_and_the_headers_that_are_some_are_read(first: bytes) -> None:
    refusal = read(first + b"\r\nRetry-After: 7\r\nA Name: x\r\nno header\r\nX:\xff\r\nRETRY-after:  9 ", b"body")
    assert refusal is not None
    assert (refusal.status, refusal.body) == (429, b"body")
    assert refusal.headers == {"retry-after": "9", "a name": "x", "x": "\xff"}


@pytest.mark.parametrize(
    ("length", "body", "complete"),
    [
        (b"4", b"bod", False), (b"4", b"body", True), (b"0", b"", True), (b"", b"x" * MAX_BODY_BYTES, True), (b"", b"x", False),
        (b"-1", b"x", False), (b"9" * 30, b"x", False), (b"999999999", b"x", False),
    ],
)  # fmt: skip
def test_a_body_is_complete_at_its_length_or_at_ours(length: bytes, body: bytes, complete: bool) -> None:
    refusal = read(b"HTTP/1.1 403 No\r\nContent-Length: " + length, body)
    assert refusal is not None
    assert refusal.complete is complete


@given(st.binary())
def test_no_bytes_raise(head: bytes) -> None:
    read(head, b"")
    read(b"HTTP/1.1 500 " + head, b"")
