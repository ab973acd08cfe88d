"""Owns what an export tells of itself: each file with what it lacks, and what of the recording is in none. Pure."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

import msgspec

from k2workers.recording.id_audit import DayFigures

LACKS = ("named", "missing", "twice", "gaps", "losses", "late")


class FileMade(msgspec.Struct):
    """One file, or with no entries one that was not made, because nothing of its day is there.

    ``named`` ids are missing and the recording says so, ``missing`` ones without a word; ``late`` rows fill gaps. ``unused`` says what is not in it for another reason.
    """

    name: str
    topics: tuple[str, ...]
    entries: int = 0
    """Lines, or events."""
    bytes: int = 0
    named: int = 0
    missing: int = 0
    twice: int = 0
    gaps: int = 0
    losses: int = 0
    late: int = 0
    unused: dict[str, int] = {}
    local_times_later_ns: int = 0
    """Our clock was behind the venue's: all local times of the file are so much later."""

    def add(self, figures: DayFigures) -> None:
        """What a topic's rows of the day tell."""
        for name in LACKS:
            setattr(self, name, getattr(self, name) + getattr(figures, name))


class Exported(msgspec.Struct):
    """Everything. ``damaged`` files could not be read; ``left_out`` topics, with the reason, go into no file of this format."""

    whole: bool
    files: list[FileMade]
    damaged: dict[str, str]
    left_out: dict[str, str]
    journal_bytes: int
    """What the recorder has not made into files yet, and so is not exported."""


def lines(found: Exported) -> Iterator[str]:
    """What was done, in words: a line for each file, then what is not exported, then the sum."""
    for file in found.files:
        counts = {name: getattr(file, name) for name in LACKS} | file.unused
        told = "".join(f", {name} {count:,}" for name, count in counts.items() if count or name in LACKS[:2])
        moved = f", local times {file.local_times_later_ns / 1e6:g} ms later" if file.local_times_later_ns else ""
        entries = f"entries {file.entries:,}" if file.entries else "not made, nothing for it is there"
        yield f"{file.name}: {entries}, of {' and '.join(file.topics)}{told}{moved}"
    reason_of = found.left_out.__getitem__
    for reason, topics in itertools.groupby(sorted(found.left_out, key=reason_of), reason_of):
        kinds = Counter(".".join(topic.split(".")[:2]) for topic in topics)
        yield f"left out: {', '.join(f'{kind} ({count})' for kind, count in sorted(kinds.items()))}: {reason}"
    yield from (f"damaged: {path}: {reason}" for path, reason in sorted(found.damaged.items()))
    if found.journal_bytes:
        yield f"journal: {found.journal_bytes} bytes that the recorder has not made into files yet are not exported"
    sums = {name: sum(getattr(file, name) for file in found.files) for name in ("entries", *LACKS[:3])}
    told = "".join(f", {name} {count:,}" for name, count in sums.items())
    yield f"{'whole' if found.whole else 'NOT WHOLE'}: files {sum(file.entries > 0 for file in found.files)}{told}"
