"""What a shard's topic does when it has found out that its ids begin anew, without the run of events that shows it."""

from __future__ import annotations

import time

from k2workers.feed.intake import Intake


def begin_anew(intake: Intake, topic_index: int, first_new_id: int) -> None:
    """The venue's ids of this topic begin anew with this one."""
    intake.lanes[topic_index].begin_anew(first_new_id, time.time_ns())
    intake.fill(topic_index, [], 0)
