"""Owns what /status shows of the children that the feed can do without: the books, and the disk ring."""

from __future__ import annotations

import msgspec

from k2workers.processes.child_status import BooksStatus, DiskRingStatus


class BooksShown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The books that are kept: topics, those of them that are whole, and why there are none. What is not known is not shown."""

    books: int | None = None
    whole: int | None = None
    error: str = ""


class DiskRingShown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The disk ring, if there is to be one: its bytes, how far back it goes, and why it cannot be kept or written. What is not known is not shown."""

    bytes: int | None = None
    oldest_age_s: float | None = None
    holes: int | None = None
    """Batches since its start that it could not have."""
    error: str = ""


def books_shown(told: BooksStatus | None, refused: str) -> BooksShown:
    """Out of what the books process told last, and why there are none, if that is so."""
    return BooksShown(error=refused) if told is None else BooksShown(books=told.books, whole=told.whole, error=refused)


def disk_ring_shown(told: DiskRingStatus | None, refused: str) -> DiskRingShown:
    """The same of the disk ring."""
    if told is None:
        return DiskRingShown(error=refused)
    return DiskRingShown(
        bytes=told.bytes, oldest_age_s=told.oldest_age_s, holes=told.holes, error=refused or told.error
    )
