"""Owns the file from which a restarted aggregator continues: where every topic stands, written whole or not at all.

The file is one line of JSON about it, then the positions in MessagePack: ``{"format", "source", "written_ns", "epoch",
"digest", "run", "tally", "sources"}``. A file that is damaged, too old, or of other sources is a warning and a fresh start, never an error.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from k2workers.errors import CheckpointUnusable
from k2workers.sequencing.coverage import PublishedPosition
from k2workers.sequencing.tally import Tally

FORMAT = 1

Sources = Mapping[str, str]
"""Venue → where its events come from: its address, or an embedded exchange. Elsewhere its ids are others."""


class Head(msgspec.Struct, frozen=True):
    """The first line. ``source`` is said for readers; ``epoch`` is that of the sequence numbers; times are wall-clock ns."""

    format: int
    source: str
    written_ns: int
    epoch: int
    digest: str
    run: str = ""
    """Of which run of the program ``tally`` is."""
    tally: Tally = Tally()
    sources: dict[str, str] = {}
    """Earlier versions knew of one venue only: then ``source`` is where its events come from."""


class Checkpoint(msgspec.Struct, frozen=True):
    """What was read: ``positions`` by topic, the epoch of the life that wrote it, and what its run had counted, if that goes on."""

    epoch: int
    positions: dict[str, PublishedPosition]
    tally: Tally = Tally()


_positions = msgspec.msgpack.Decoder(dict[str, PublishedPosition])


def encode(
    sources: Sources,
    epoch: int,
    positions: dict[str, PublishedPosition],
    now_ns: int,
    run: str = "",
    tally: Tally = Tally(),  # noqa: B008 - frozen
) -> bytes:
    """The bytes of the file."""
    body = msgspec.msgpack.encode(positions)
    source = ", ".join(dict.fromkeys(sources.values()))
    digest = hashlib.blake2b(body, digest_size=16).hexdigest()
    head = Head(FORMAT, source, now_ns, epoch, digest, run, tally, dict(sources))
    return msgspec.json.encode(head) + b"\n" + body


def decode(content: bytes, sources: Sources, max_age_ns: int, now_ns: int, run: str = "") -> Checkpoint:
    """Read it back, but for topics of venues that are not among these; what another run than this had counted is not. Raises CheckpointUnusable for
    damage, no venue that is among these, or more age than ``max_age_ns``.
    """
    line, _, body = content.partition(b"\n")
    try:
        head = msgspec.json.decode(line, type=Head)
    except (msgspec.MsgspecError, ValueError):
        raise CheckpointUnusable("it is damaged: no readable first line") from None
    if head.format != FORMAT:
        raise CheckpointUnusable(f"it has format {head.format}, known is {FORMAT}", head.epoch)
    if hashlib.blake2b(body, digest_size=16).hexdigest() != head.digest:
        raise CheckpointUnusable("it is damaged: its digest does not match", head.epoch)
    theirs = head.sources or dict.fromkeys(sources, head.source)
    strange = {venue for venue, source in theirs.items() if sources.get(venue) != source}
    if strange == theirs.keys():
        raise CheckpointUnusable(f"it is of another source, {head.source!r}", head.epoch)
    age_ns = now_ns - head.written_ns
    if age_ns > max_age_ns:
        raise CheckpointUnusable(f"it is {age_ns / 1e9:.0f} s old, allowed are {max_age_ns / 1e9:.0f} s", head.epoch)
    try:
        positions = _positions.decode(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise CheckpointUnusable(f"it is damaged: {error}", head.epoch) from None
    ours = {topic: position for topic, position in positions.items() if topic.partition(".")[0] not in strange}
    return Checkpoint(head.epoch, ours, head.tally if head.run == run else Tally())


def write(path: Path, content: bytes) -> None:
    """Replace the file as a whole: a crash at any moment leaves the old one or the new one. Raises OSError."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
