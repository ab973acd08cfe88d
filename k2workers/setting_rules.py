"""Owns the rules of single settings beyond sort and bounds: names, addresses, files. Each gives the value to use or raises ValueError."""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from k2workers import venues
from k2workers.errors import ConfigError
from k2workers.setting import Setting, name_in, read_all
from k2workers.setting_owners import joined
from k2workers.transport import endpoint


def _names(value: list[str]) -> list[str]:
    if value and all(" " in word and not word.startswith("file:") for word in value):
        raise ValueError(
            "names stand between commas"
        )  # an odd one among others is named later, and the others are served
    return value


def _known_venues(value: list[str]) -> list[str]:
    unknown = [name for name in value if name not in venues.NAMES]
    if unknown or not value:
        which = "" if unknown == value else f"{', '.join(map(repr, unknown))} is "
        raise ValueError(f"{which}unknown; allowed: {', '.join(venues.NAMES)}")
    for name, count in Counter(value).items():
        if count > 1:
            raise ValueError(f"{name!r} stands {count} times; allowed: once")
    return value


def unknown_kinds(running: Sequence[str], values: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with kinds of streams, by the setting's name. Each venue decides of its own, and those that run of what is said of all."""
    own = {venue: name for venue in venues.NAMES if (name := name_in(venue, "streams")) in values}
    found = {name: _unknown_to(venue, values[name]) for venue, name in own.items()}
    if "streams" in values:
        taking = [venue for venue in running if venue not in own]
        found["streams"] = joined({venue: _unknown_to(venue, values["streams"]) for venue in taking}) if taking else ""
    return {name: wrong for name, wrong in found.items() if wrong}


def _unknown_to(venue: str, kinds: list[str]) -> str:
    loaded = venues.load(venue)
    try:
        specs = loaded.stream_specs(kinds, ["ANY"])
    except ConfigError as error:
        return str(error).removeprefix("streams: ")
    # A shard is its connections.
    return "" if loaded.routes(specs) or not kinds else "all are asked for over REST; name one that is a stream as well"


MOST_BOOK_LEVELS = 1_000
"""Of each side. Whoever wants more wants the changes."""


def _book_topics(value: list[str]) -> list[str]:
    for name in value:
        levels = name.removeprefix("book_")
        if name != "book_top" and not (
            name.startswith("book_") and re.fullmatch("[1-9][0-9]{0,3}", levels) and int(levels) <= MOST_BOOK_LEVELS
        ):
            raise ValueError(f"{name!r} is unknown; allowed: book_top, and book_1 to book_{MOST_BOOK_LEVELS}")
    return list(dict.fromkeys(value))


def _endpoint(value: str) -> str:
    mistake = endpoint.mistake_in(value)
    if mistake:
        raise ValueError(mistake)
    return value


def _endpoint_if_any(value: str) -> str:
    return _endpoint(value) if value else value


LEAST_RING_GB = 0.01
"""Less would hold hardly more than the memory ring."""


def _a_ring(value: float) -> float:
    if 0 < value < LEAST_RING_GB:
        raise ValueError(f"too small; allowed: 0 (no disk ring), or {LEAST_RING_GB:g} and more")
    return value


def _directory_if_any(value: str) -> str:
    if value and Path(value).exists() and not Path(value).is_dir():
        raise ValueError("that is no directory")
    return value


def _websocket_url(value: str) -> str:
    return value and _url(value, ("ws", "wss"))


def _rest_url(value: str) -> str:
    return value and _url(value, ("http", "https"))


def _url(value: str, schemes: tuple[str, ...]) -> str:
    with contextlib.suppress(ValueError):
        address = urlsplit(value)
        # Asking for the port raises ValueError if it is none.
        if value.isascii() and address.scheme in schemes and address.hostname and address.port != 0:
            return value
    raise ValueError(f"allowed: {' or '.join(f'{scheme}://HOST[:PORT]' for scheme in schemes)}")


def _file_exists(value: str) -> str:
    if value and not Path(value).is_file():
        raise ValueError("no such file")
    return value


def _can_be_written(value: str) -> str:
    if value and (Path(value).is_dir() or not os.access(Path(value).parent, os.W_OK)):
        raise ValueError("allowed: a file in a directory that exists and can be written")
    return value


def _can_be_replaced(value: str) -> str:
    if not _can_be_written(value):
        return value
    real = Path(os.path.realpath(value))  # the link stays; and two names of one file are one checkpoint
    if real.exists() and not real.is_file():
        raise ValueError("that is no regular file, and each new checkpoint takes the place of the one before it")
    if not os.access(real.parent, os.W_OK):
        raise ValueError(f"it leads to {real}; allowed: a file in a directory that exists and can be written")
    return str(real) if Path(value).is_symlink() else value


RULES: Mapping[str, Callable[[Any], Any]] = {
    "symbols": _names,
    "venue": _known_venues,
    "report": _can_be_written,
    "checkpoint": _can_be_replaced,
    "websocket_url": _websocket_url,
    "rest_url": _rest_url,
    "ca_bundle": _file_exists,
    "book_topics": _book_topics,
    "publish_endpoint": _endpoint,
    "snapshot_endpoint": _endpoint,
    "books_endpoint": _endpoint_if_any,
    "disk_ring_endpoint": _endpoint_if_any,
    "disk_ring_gb": _a_ring,
    "disk_ring_dir": _directory_if_any,
}
"""By the setting's key: what is said of one venue's address holds for every venue's."""

DEMO_ONLY = frozenset({"rotation_lifetime_s", "replay"})
"""Settings that mean something only together with ``demo``."""


def judged(
    settings: Mapping[str, Setting], given: Mapping[str, Any], running: Sequence[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The values that can be used, and what is wrong with the others; ``running`` are the venues that are to run."""
    values, mistakes = read_all(settings, given, RULES)
    for name in DEMO_ONLY & values.keys():
        if values[name] and not values.get("demo") and "demo" not in mistakes:
            mistakes[name] = "allowed only together with demo"
    if values.get("replay") and len(running) > 1:
        mistakes["replay"] = "what was recorded of one venue is no other's; allowed only with one venue"
    return values, mistakes | unknown_kinds(running, values)
