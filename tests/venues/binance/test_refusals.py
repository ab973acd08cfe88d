"""How Binance says no: how long to wait stands in a header, in one of several forms, or only in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers.errors import AddressRefused, VenueError, VenueRefused
from k2workers.venues.binance.refusals import read, retry_after_s

NOW_S = 1_795_000_000.0
BAN = (
    b'{"code":-1003,"msg":"Way too much request weight used; IP banned until 1795000077500. '
    b'Please use WebSocket Streams for live updates to avoid bans."}'
)
LIMIT = b'{"code":-1003,"msg":"Too much request weight used; current limit is 1200 request weight per 1 MINUTE. Please use"}'


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0), ("0", 0.0), ("1.5", 1.5), ("Wed, 18 Nov 2026 10:27:10 GMT", 2_030.0), ("Wed, 18 Nov 2020 10:00:00 GMT", 0.0),
        ("", 0.0), ("soon", 0.0), ("-5", 0.0), ("nan", 0.0), ("inf", 0.0),
    ],
)  # fmt: skip
def test_every_form_of_retry_after_is_read(header: str, seconds: float) -> None:
    assert retry_after_s(header, 1_794_995_600.0) == pytest.approx(seconds)


@given(st.text())
def test_no_header_raises(header: str) -> None:
    assert retry_after_s(header, NOW_S) >= 0


def test_the_end_of_a_ban_in_words_counts_where_the_header_is_missing_or_sooner() -> None:
    for header in ("", "0", "3"):
        assert read("x", 418, {"retry-after": header}, BAN, NOW_S).retry_after_s == pytest.approx(77.5)
    assert read("x", 418, {"retry-after": "300"}, BAN, NOW_S).retry_after_s == 300
    assert (
        read("x", 429, {"retry-after": ""}, b'{"error":{"data":{"retryAfter":1795000012000}}}', NOW_S).retry_after_s
        == 12
    )


def test_the_limit_that_a_refusal_names_is_reported() -> None:
    assert read("x", 429, {"retry-after": "9"}, LIMIT, NOW_S).weight_limit == 1_200
    assert read("x", 418, {"retry-after": "9"}, BAN, NOW_S).weight_limit == 0


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (403, AddressRefused, True), (418, AddressRefused, True), (429, AddressRefused, True), (451, AddressRefused, True),
        (400, VenueRefused, False), (404, VenueRefused, False), (500, VenueError, True), (503, VenueError, True), (302, VenueError, True),
    ],
)  # fmt: skip
def test_a_status_says_whether_it_is_us_the_request_or_the_venue(
    status: int, kind: type[VenueError], retryable: bool
) -> None:
    error = read("https://x/y", status, {}, b"<html>no</html>", NOW_S)
    assert type(error) is kind
    assert (error.status, error.retryable) == (status, retryable)
    assert str(error) == f"https://x/y answered HTTP {status}: <html>no</html>"


def test_times_count_from_the_answers_own_date() -> None:
    headers = {"date": "Wed, 18 Nov 2026 10:27:10 GMT", "retry-after": "Wed, 18 Nov 2026 10:27:40 GMT"}
    assert read("x", 429, headers, b"", NOW_S + 86_400).retry_after_s == 30
    assert read("x", 418, {"date": "Wed, 18 Nov 2026 10:27:10 GMT"}, BAN, 0.0).retry_after_s == pytest.approx(2_447.5)
