"""Owns how figures, times and names are written for who reads them: as in the page's ``words.js``. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
NONE = "–"


def number(value: float | None) -> str:
    """Whole, in groups of three."""
    return NONE if value is None else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """In its two largest units."""
    whole = max(0, int(seconds))
    for larger, unit, smaller, rest in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if whole >= larger:
            more = whole % larger // smaller
            return f"{whole // larger} {unit}" + (f" {more} {rest}" if more else "")
    return f"{whole} s"


def size(count: float) -> str:
    """Of bytes."""
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= one:
            return f"{count / one:.{0 if count >= 100 * one else 1}f} {unit}"
    return f"{count:.0f} B"


def latency(microseconds: float | None) -> str:
    """In the unit that suits it."""
    if microseconds is None:
        return NONE
    if microseconds >= 1_000:
        value, unit = (microseconds / 1e6, "s") if microseconds >= 1e6 else (microseconds / 1e3, "ms")
        return f"{value:.1f}".removesuffix(".0") + f" {unit}"
    return f"{microseconds:.0f} µs"


def moment(at_ms: int, now_ms: int) -> str:
    """The time of day here, with the day unless it is today's."""
    at, now = datetime.fromtimestamp(at_ms / 1e3).astimezone(), datetime.fromtimestamp(now_ms / 1e3).astimezone()
    return f"{at:%H:%M:%S}" if at.date() == now.date() else f"{at.day} {at:%b %H:%M:%S}"


def zone(at_ms: int) -> str:
    """The time zone of this machine, in which all times are shown; the log is written in UTC."""
    offset = datetime.fromtimestamp(at_ms / 1e3).astimezone().utcoffset() or timedelta()
    minutes = offset // timedelta(minutes=1)
    whole, rest = divmod(abs(minutes), 60)
    return f"UTC{'−' if minutes < 0 else '+'}{whole}{f':{rest:02}' if rest else ''}" if minutes else "UTC"


def plural(count: int, one: str, many: str = "") -> str:
    """The number with its noun."""
    return f"{number(count)} {one if count == 1 else many or f'{one}s'}"
