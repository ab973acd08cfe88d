"""Owns which ids a recording lacks that its venue may still give, and behind which file each of them belongs.

Asked for are ids of chains, and bars, that a venue gives by id or by time. A gap that the feed has announced is the feed's for as long as it tries: what came of that may not be in files yet.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec

from k2workers import venues, wire
from k2workers.continuity import Continuity, Link, Repair
from k2workers.events import COUNTED_TYPES, Event, Gap, GivenUp
from k2workers.recording import catalog, journal, journal_records
from k2workers.recording.catalog import Catalog
from k2workers.recording.id_audit import IdAudit
from k2workers.recording.journal_records import BATCH
from k2workers.recording.layout import FilePlace
from k2workers.recording.parquet_file import RecordingUnreadable
from k2workers.recording.row import Row
from k2workers.sequencing.backfill_planner import BackfillPolicy
from k2workers.sequencing.coverage import HIGHEST_ID, NOT_KNOWN
from k2workers.sequencing.ranges import IdRanges

FEED_TRIES_NS = BackfillPolicy().give_up_ns * 3 // 2
"""So long, and somewhat longer, a feed asks for what it has announced."""

SETTLED_NS = 60 * 10**9
"""A bar that ended so long ago is final, whatever our clock and the venue's say."""


class Hole(msgspec.Struct):
    """What one topic lacks in or before one file: ``ids`` belong behind it. ``number`` is that of the file's continuity, ``witness`` the first event of the
    topic that was recorded, if there is one: who has another in its place is another exchange.
    """

    place: FilePlace
    number: int
    ids: IdRanges
    witness: Event | None


def find(to: Path, now_ns: int) -> Iterator[list[Hole]]:
    """The holes of each topic that has some. Times are wall-clock ns."""
    until_ns = _in_files_until(to, now_ns)
    there = catalog.look(to)
    for topic, places in itertools.groupby(there.named, lambda file: file.topic):
        if topic.partition(".")[0] in venues.NAMES:
            holes = _of_topic([*places], there, until_ns - FEED_TRIES_NS, now_ns - SETTLED_NS)
            if holes:
                yield holes


def _in_files_until(to: Path, now_ns: int) -> int:
    """When the oldest batch was published that waits in the journal; now, if none does."""
    folder = journal.folder_of(to)
    for number in journal.segments(folder):
        with journal.content_of(journal.path_of(folder, number)) as content:
            for record in journal_records.records(content):
                if record.letter == BATCH:
                    return wire.read_header(bytes(content[record.begin : record.end])).publish_ns
    return now_ns


def _of_topic(places: list[FilePlace], there: Catalog, announced_ns: int, ended_ns: int) -> list[Hole]:
    audit, young, number = IdAudit(None), IdRanges(), NOT_KNOWN
    known: dict[str, tuple[FilePlace, int]] = {}
    witness: Event | None = None
    for place in places:
        name = f"{place.day}/{place.path.name}"
        try:
            reader = catalog.opened(place, there.told.get(place.path), lambda rows: catalog.check(rows.path, rows.told))
            number = number if reader.head.continuity == NOT_KNOWN else reader.head.continuity
            if audit.continuity is None and number != NOT_KNOWN:
                audit.continuity = Continuity.of(number)
                if not _can_be_asked_for(audit.continuity):
                    reader.close()
                    return []
            known[name] = place, number
            for row in reader.rows():
                audit.take(row, name)
                witness = witness or _as_witness(row)
                _follow(young, row, announced_ns)
        except (OSError, RecordingUnreadable):
            continue  # verify names it
    holes = []
    for name, ids in audit.lacking():
        for first, last in young:
            ids.remove(first, last)
        if audit.continuity is not None and audit.continuity.link is Link.NEXT_BAR:
            ids.remove(ended_ns, HIGHEST_ID)
        if ids:
            holes.append(Hole(*known[name], ids, witness))
    return holes


def _can_be_asked_for(continuity: Continuity) -> bool:
    return continuity.repair in (Repair.IDS, Repair.TIME) and (continuity.chained or continuity.link is Link.NEXT_BAR)


def _as_witness(row: Row) -> Event | None:
    """What came live and is never told otherwise; not a bar that goes on."""
    event = row.event
    if row.late or not isinstance(event, Event) or type(event) not in COUNTED_TYPES:
        return None
    return event if getattr(event, "final", True) else None


def _follow(young: IdRanges, row: Row, announced_ns: int) -> None:
    """Keep the ids of gaps that the feed may still fill."""
    if isinstance(row.event, Gap) and row.event.noticed_ns > announced_ns:
        young.add(row.event.first_id, row.event.last_id)
    elif isinstance(row.event, GivenUp):
        young.remove(row.event.first_id, row.event.last_id)
