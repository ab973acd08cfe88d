"""Owns what a feed would publish for rows of a recording. Pure."""

from __future__ import annotations

import functools
from typing import cast

from k2workers.continuity import Continuity, Repair
from k2workers.events import Backfilled, BookSnapshot, Event, Gap, GivenUp, Reset, Void
from k2workers.recording.row import Loss, Restart
from k2workers.recording.timeline import Run
from k2workers.sequencing.coverage import NOT_KNOWN

LOST = "lost by the recorder"
NOT_RECORDED = "not in the recording"
"""Of what stood in a file that is gone or cannot be read."""

OUT_OF_ORDER = (Backfilled, BookSnapshot, GivenUp, Reset, Void)
"""Events that may come whatever their topic's last id is."""


def published(run: Run) -> list[Event]:
    """Events for these rows; none if only a recorder has use for them."""
    first = run.of[0]
    if isinstance(first, Loss):
        known = [loss for loss in run.of if isinstance(loss, Loss)] if run.continuity != NOT_KNOWN else []
        return [
            Gap(loss.first_id, loss.last_id, LOST, loss.at_ns)
            for loss in known
            if loss.first_id is not None and loss.last_id is not None
        ]
    if isinstance(first, Restart) or (isinstance(first, BookSnapshot) and run.own):
        return []
    return cast("list[Event]", run.of)


@functools.cache
def by_book(continuity: int) -> bool:
    """Whether a topic of this continuity holds changes of a book."""
    return continuity != NOT_KNOWN and Continuity.of(continuity).repair is Repair.BOOK
