"""Owns how Binance refuses over HTTP: what a status means, how long to wait, which limit the reply names. Pure.

Sources: "Limits" and "HTTP return codes" of the spot REST documents. 429 and 418 carry ``Retry-After`` in seconds; firewalls and proxies
before the venue write it as a date, or leave it out, and a ban tells its end in the words of the body.
"""

from __future__ import annotations

import email.utils
import math
import re
from collections.abc import Mapping

import msgspec

from k2workers.errors import AddressRefused, VenueError, VenueRefused
from k2workers.network.venue_answers import Pause, Pauses, Service

_CONNECT, _REST = frozenset({Service.CONNECT}), frozenset({Service.REST})
_QUARTER_S = 900.0

PAUSES: Pauses = {
    # The service is ill; whoever repeats himself at once makes it worse, who waits for long is late when it is well again.
    **{(service, status): Pause(frozenset({service}), 1.0, 30.0) for service in Service for status in range(500, 600)},
    # The minute's weight is used up. Handshakes are counted apart: a lost line must come back.
    (Service.REST, 429): Pause(_REST, 10.0, _QUARTER_S),
    # A ban for having gone on after 429; the shortest is two minutes. It is of the REST interface, not of the streams.
    (Service.REST, 418): Pause(_REST, 120.0, _QUARTER_S),
    # The firewall in front of the REST interface.
    (Service.REST, 403): Pause(_REST, 10.0, _QUARTER_S),
    # Not served from where we are: no sooner than somebody changes the address.
    (Service.REST, 451): Pause(_REST, 60.0, _QUARTER_S),
    # The REST interface cannot be reached, or answers what nobody understands, such as a page of something between.
    (Service.REST, 0): Pause(_REST, 1.0, 30.0),
    # Too many attempts in the window, by us or by others on this IP.
    (Service.CONNECT, 429): Pause(_CONNECT, 30.0, _QUARTER_S),
    # The firewall in front of the streams.
    (Service.CONNECT, 403): Pause(_CONNECT, 10.0, _QUARTER_S),
    (Service.CONNECT, 451): Pause(_CONNECT, 60.0, _QUARTER_S),
    # The IP itself is banned; requests would lengthen the ban.
    (Service.CONNECT, 418): Pause(_CONNECT | _REST, 120.0, _QUARTER_S),
}
"""Who pauses after which answer. Only that 429 and 418 carry a time, that bans last from two minutes to three days, and that 403 is the firewall
is documented; the rest is our choice.
"""

ADDRESS_STATUSES = frozenset({403, 418, 429, 451})
"""Those that mean our IP, not the request or the venue's health."""

_BAN_END = re.compile(rb"(?:banned until|retryAfter\\?\"?:) ?(\d{13})\b")
"""The end of a ban in epoch ms."""

_WEIGHT_LIMIT = re.compile(rb"limit is (\d{1,9}) request weight per 1 MINUTE")


class _Body(msgspec.Struct):
    code: int = 0
    msg: str = ""


def read(asked: str, status: int, headers: Mapping[str, str], body: bytes, now_s: float) -> VenueError:
    """The error for an answer other than 200 (or 101).

    ``asked`` is the address for the message, ``headers`` have small letters, ``now_s`` is the epoch time by our clock; if the
    answer is dated, times in it count from its own date.
    """
    now_s = _epoch_s(headers.get("date", "")) or now_s
    try:
        refusal = msgspec.json.decode(body, type=_Body)
        words = f"{refusal.code} {refusal.msg}"
    except (msgspec.MsgspecError, ValueError):
        words = body[:200].decode(errors="replace")
    kind = VenueError
    if status in ADDRESS_STATUSES:
        kind = AddressRefused
    elif 400 <= status < 500:
        kind = VenueRefused
    limit = _WEIGHT_LIMIT.search(body)
    return kind(
        f"{asked} answered HTTP {status}: {words}",
        status=status,
        retry_after_s=max(retry_after_s(headers.get("retry-after", ""), now_s), _ban_end_s(body, now_s)),
        weight_limit=int(limit[1]) if limit else 0,
    )


def retry_after_s(header: str, now_s: float) -> float:
    """Seconds to wait from a ``Retry-After`` header: a number, also a decimal, or a date (RFC 9110, 10.2.3); 0 if it tells nothing."""
    try:
        seconds = float(header)
    except ValueError:
        at_s = _epoch_s(header)
        seconds = at_s - now_s if at_s else 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0


def _epoch_s(date: str) -> float:
    """An HTTP date as epoch seconds; 0 if it is none."""
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _ban_end_s(body: bytes, now_s: float) -> float:
    found = _BAN_END.search(body)
    return max(0.0, int(found[1]) / 1_000 - now_s) if found else 0.0
