"""Owns how a time is written on a command line: when it was, or how long ago. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

ALLOWED_TIME = "a time such as 2026-11-27T12:00 (UTC unless it says another zone)"
ALLOWED_AGO = f"how long ago, such as 90s, 10m, 2h or 1d, or {ALLOWED_TIME}"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def time_ns(word: str) -> int | None:
    """A time in ns since 1970; None for what is none."""
    try:
        time = datetime.fromisoformat(word)
    except ValueError:
        return None
    return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1) * 1_000


def time_or_ago_ns(word: str, now_ns: int) -> int | None:
    """The same, where it may also be said how long ago it was; None for what is none, or lies ahead."""
    ago = re.fullmatch(r"(\d{1,9})([smhd])", word, re.ASCII)
    found = now_ns - int(ago[1]) * _SECONDS[ago[2]] * 1_000_000_000 if ago is not None else time_ns(word)
    return found if found is not None and 0 <= found <= now_ns else None
