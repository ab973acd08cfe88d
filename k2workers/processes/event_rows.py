"""Owns how ``tail`` writes an event: as a readable line, as a JSON object, as a row of CSV. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from k2workers.errors import ConfigError
from k2workers.events import ROW_OF, Backfilled, Event, Part
from k2workers.transport.deliveries import Lost
from k2workers.transport.items import Message

_ABOUT = ("topic", "sequence", "publish_ns", "type")
"""The first columns of every table."""

_IN_TABLES = frozenset({Part.DATA, Part.MADE, Part.SNAPSHOT, Part.RECORD})


def line(item: Message | Lost) -> str:
    """For who reads it."""
    if isinstance(item, Lost):
        ids = f", ids {item.first_id} to {item.last_id}" if item.first_id is not None else ""
        return f"LOST {item.topic}: {item.count} batches{ids}"
    at = datetime.fromtimestamp(item.publish_ns / 1e9, UTC).strftime("%H:%M:%S.%f")
    fields = " ".join(f"{name}={_short(value)}" for name, value in _fields(item.event).items())
    return f"{at} {item.topic} #{item.sequence} {type(item.event).__name__} {fields}"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _fields(event: Event) -> dict[str, object]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


def _with_type(event: Event) -> dict[str, object]:
    if isinstance(event, Backfilled):
        return {"type": type(event).__name__, "event": _with_type(event.event)}
    return {"type": type(event).__name__, **_fields(event)}


def json_row(item: Message | Lost) -> str:
    """One object with the names of the fields; integers are whole, however large."""
    if isinstance(item, Lost):
        row: dict[str, object] = {
            "lost": item.topic,
            "first": item.first_sequence,
            "last": item.last_sequence,
            "first_id": item.first_id,
            "last_id": item.last_id,
        }
    else:
        about = {"topic": item.topic, "sequence": item.sequence, "publish_ns": item.publish_ns}
        row = {**about, **_with_type(item.event)}
    return msgspec.json.encode(row).decode()


class CsvTable:
    """One table of events of one type, which the first one decides; one that came late has ``Backfilled`` as its type."""

    def __init__(self) -> None:
        self._type: type[Event] | None = None

    def rows(self, item: Message | Lost) -> list[str]:
        """Its row, the first time below the header; nothing for what the feed itself says, which has no place in a table.

        Raises ConfigError for an event of another type.
        """
        if isinstance(item, Lost):
            return []
        event = item.event.event if isinstance(item.event, Backfilled) else item.event
        if ROW_OF[type(event)].part not in _IN_TABLES:
            return []
        fields = _fields(event)
        head = []
        if self._type is None:
            self._type = type(event)
            head = [_csv([*_ABOUT, *fields])]
        if type(event) is not self._type:
            first, other = self._type.__name__, type(event).__name__
            raise ConfigError(
                f"csv: {item.topic} brings {other} into a table of {first}; allowed: topics of one kind, or only one type: "
                f"--where type={first}, or type={other} (flag --csv)"
            )
        about = [item.topic, str(item.sequence), str(item.publish_ns), type(item.event).__name__]
        return [*head, _csv([*about, *map(_cell, fields.values())])]


def _cell(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _csv(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()
