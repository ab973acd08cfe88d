"""Owns what ``/topics?search=WORDS`` answers: the topics whose names hold these words, each with its last event, age and state."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qs

import msgspec

from k2workers import wire
from k2workers.book_events import STALE
from k2workers.continuity import Continuity
from k2workers.events import SCHEMAS, Event, Gap
from k2workers.metrics.http_answers import JSON, HttpAnswer, HttpQuestion, number_in
from k2workers.processes.asked_process import AskedProcess
from k2workers.transport.topics_client import TopicsClient

SHOWN, MOST_SHOWN = 50, 200
"""How many are shown, by itself and at most."""

FRESH_S = 5.0
"""So long the list of topics is not asked for again: it is long, and seldom another."""

FLOWS_S = 60.0
"""A topic that brought something within this time flows; later it is called quiet: were it silent, its worker would say so."""

EVENT_CHARACTERS = 400
"""So much of an event is shown."""

MOST_BYTES = 64 * 1024
"""Longer ones, which are whole books, are not read."""


class FeedKnows(NamedTuple):
    """What the processes tell of topics: those that are asked of the venues, of some what keeps them from being served, and of some how many ids are missing."""

    asked: Callable[[], Sequence[str]]
    unserved: Mapping[str, str]
    missing: Mapping[str, int]


class TopicShown(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One topic. Without an event so far it has no more than its name and state."""

    topic: str
    state: str
    missing: int = 0
    """Ids that are announced as missing."""
    age_s: float | None = None
    """Since it was published last."""
    sequence: int | None = None
    """Ours, of the last batch."""
    last_id: int | None = None
    """The venue's."""
    guarantee: str | None = None
    type: str | None = None
    """Of the last event."""
    event: str | None = None
    """The last event in JSON, or how it begins."""


class TopicsFound(msgspec.Struct):
    """How many topics there are, how many have the words in their names, and those that are shown, in order of their names."""

    topics: int
    found: int
    shown: list[TopicShown]


class TopicPage:
    """``prefixes`` are those of all topics; ``knows`` tells what the processes know. ``answer`` is for any thread; call ``listening`` when the aggregator has told where."""

    def __init__(self, prefixes: Sequence[str], knows: Callable[[], FeedKnows]) -> None:
        self._prefixes = prefixes
        self._knows = knows
        self._process = AskedProcess(TopicsClient)
        self.listening, self.close = self._process.listening, self._process.close
        self._published: tuple[float, frozenset[str]] = (-FRESH_S, frozenset())
        """When the topics were asked for, and those that were published."""

    def answer(self, asked: HttpQuestion) -> HttpAnswer:
        """What is asked for. Raises TimeoutError if the aggregator, or the parent's loop, does not answer."""
        limit = number_in(asked.query, "limit", SHOWN, MOST_SHOWN)
        if isinstance(limit, HttpAnswer):
            return limit
        search = parse_qs(asked.query).get("search", [""])[-1]
        with self._process.making():
            found = self._find(frozenset(search.lower().split()), limit)
        return HttpAnswer(HTTPStatus.OK, JSON, msgspec.json.encode(found), (("Cache-Control", "no-store"),))

    def _find(self, wanted: frozenset[str], limit: int) -> TopicsFound:
        client = self._process.client
        knows = self._knows()
        if time.monotonic() - self._published[0] >= FRESH_S:
            self._published = time.monotonic(), frozenset(client.newest(self._prefixes))
        every = self._published[1].union(knows.asked())
        names = sorted(name for name in every if all(word in name.lower() for word in wanted))
        frames = client.last([name for name in names[:limit] if name in self._published[1]])
        last = {frame.partition(b" ")[0].decode(): frame for frame in frames}
        now_ns = time.time_ns()
        shown = [_shown(name, last.get(name), knows, now_ns) for name in names[:limit]]
        return TopicsFound(len(every), len(names), shown)


def _shown(topic: str, frame: bytes | None, knows: FeedKnows, now_ns: int) -> TopicShown:
    missing = knows.missing.get(topic, 0)
    unserved = knows.unserved.get(topic) or ("gap" if missing else "")
    if frame is None:
        return TopicShown(topic=topic, state=unserved or "no event yet", missing=missing)
    try:
        header = wire.read_header(frame)
        event = wire.decode_events(frame, header)[-1] if len(frame) <= MOST_BYTES else None
    except wire.WireError:
        return TopicShown(topic=topic, state=unserved or "unreadable", missing=missing)
    age_s = max(0.0, (now_ns - header.publish_ns) / 1e9)
    own = "gap" if isinstance(event, Gap) else STALE if getattr(event, "state", "") == STALE else ""
    return TopicShown(
        topic=topic,
        state=unserved or own or ("flowing" if age_s < FLOWS_S else "quiet"),
        missing=missing,
        age_s=round(age_s, 3),
        sequence=header.sequence,
        last_id=header.last_id,
        guarantee=Continuity.of(header.continuity).guarantee.value,
        type=SCHEMAS[header.schema].__name__ if event is None else type(event).__name__,
        event=f"{len(frame):,} bytes" if event is None else _in_words(event),
    )


def _in_words(event: Event) -> str:
    text = msgspec.json.encode({name: getattr(event, name) for name in event.__struct_fields__}).decode()
    return text if len(text) <= EVENT_CHARACTERS else f"{text[:EVENT_CHARACTERS]}…"
