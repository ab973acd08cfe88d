"""Owns how Binance says no over HTTP: what a status means, how long to wait, which limit its words name. Pure.

Sources: "Limits" and "HTTP return codes" of the spot REST documents. 429 and 418 carry ``Retry-After`` in seconds; firewalls and proxies
before the venue write it as a date, or leave it out, and a ban tells its end in the words of the body.
"""

from __future__ import annotations

import email.utils
import math
import re

import msgspec

from k2workers.errors import AddressRefused, VenueError, VenueRefused

ADDRESS_STATUSES = frozenset({403, 418, 429, 451})
"""403 is the firewall, 418 a ban, 429 a limit that is used up, 451 a region that is not served: all of them mean our IP, not the request."""

_BAN_END = re.compile(rb"(?:banned until|retryAfter\\?\"?:) ?(\d{13})\b")
"""The end of a ban in epoch ms."""

_WEIGHT_LIMIT = re.compile(rb"limit is (\d{1,9}) request weight per 1 MINUTE")


class _Body(msgspec.Struct):
    code: int = 0
    msg: str = ""


def read(asked: str, status: int, retry_after: str, body: bytes, now_s: float) -> VenueError:
    """The error for an answer other than 200 (or 101). ``asked`` is the address for the message; ``now_s`` the epoch time."""
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
        retry_after_s=max(retry_after_s(retry_after, now_s), _ban_end_s(body, now_s)),
        weight_limit=int(limit[1]) if limit else 0,
    )


def retry_after_s(header: str, now_s: float) -> float:
    """Seconds to wait from a ``Retry-After`` header: a number, also a decimal, or a date (RFC 9110, 10.2.3); 0 if it tells nothing."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - now_s
        except (ValueError, OverflowError):
            return 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0


def _ban_end_s(body: bytes, now_s: float) -> float:
    found = _BAN_END.search(body)
    return max(0.0, int(found[1]) / 1_000 - now_s) if found else 0.0
