"""Rows and small recordings for tests of what is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from k2workers import wire
from k2workers.continuity import Continuity, Identity, Link, Proof, Repair
from k2workers.events import DepthUpdate, Event, Trade
from k2workers.recording import journal
from k2workers.recording.journal import Journal
from k2workers.recording.journal_records import BATCH, LOSS, RESTART
from k2workers.recording.row import Loss, Restart, Row

TRADES = Continuity(identity=Identity.NUMBER, link=Link.PLUS_ONE, proof=Proof.SEQUENCE, repair=Repair.IDS)
CHANGES = Continuity(identity=Identity.RANGE, link=Link.PLUS_ONE, proof=Proof.SEQUENCE, repair=Repair.BOOK)
BARS = Continuity(identity=Identity.TIME, link=Link.NEXT_BAR, proof=Proof.SEQUENCE, repair=Repair.TIME)
LATEST = Continuity(identity=Identity.NUMBER, repair=Repair.NEXT)

TOPIC, BOOK = "venue.trade.AB/C", "venue.depth.ABC"
DAY = "2026-11-27"
NOON_NS = 1_795_780_800_000_000_000
"""Of that day."""


def trade(number: int, at_ns: int = 7) -> Trade:
    return Trade(number, "1.50", "0.001", False, 5, 6, at_ns)


def change(first_id: int, last_id: int, *bids: tuple[str, str]) -> DepthUpdate:
    return DepthUpdate(first_id, last_id, list(bids), [], 6, 7)


def row(of: Event | Loss | Restart, sequence: int = 1) -> Row:
    own = isinstance(of, Loss | Restart)
    return Row(None if own else sequence, None if own else NOON_NS, of)


def put(
    made: Journal, topic: str, *things: Event | Loss | Restart, continuity: Continuity = TRADES, sequence: int = 1, publish_ns: int = NOON_NS
) -> None:  # fmt: skip
    """Append each as a recorder does: an event as a batch of its own."""
    for number, thing in enumerate(things, sequence):
        if isinstance(thing, Loss | Restart):
            letter = LOSS if isinstance(thing, Loss) else RESTART
            made.append(letter, msgspec.msgpack.encode((topic, thing)))
        else:
            batch = wire.batch_of(topic, [thing], continuity.number)
            made.append(BATCH, wire.publication(batch, epoch=1, sequence=number, publish_ns=publish_ns))


def journal_in(to: Path) -> Journal:
    return Journal(journal.folder_of(to))


def names(to: Path) -> Sequence[str]:
    """The files that are there, but for what only the recorder needs."""
    return sorted(
        path.relative_to(to).as_posix() for path in to.rglob("*") if path.is_file() and "journal" not in path.parts
    )
