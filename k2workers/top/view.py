"""Owns what is known of the feed that is looked at: its newest parts, when they came, and what follows from two of them. Pure; times are monotonic seconds."""

from __future__ import annotations

import msgspec

from k2workers.page.annals import Happening
from k2workers.processes.page_now import Now
from k2workers.processes.shard_numbers import worker_name
from k2workers.processes.status import WorkerRow
from k2workers.processes.topic_page import TopicsFound
from k2workers.processes.worth_a_look import WorthALook
from k2workers.supervision.control_messages import BEAT_FRESH_S

LATE_S = 3.5
"""Something comes every second: after so long without, the feed does not answer."""


class FeedView:
    """``take`` each part that comes; raises msgspec.MsgspecError for one that is not understood."""

    def __init__(self, now_s: float) -> None:
        self.now: Now | None = None
        self.happened: list[Happening] = []
        self.watch: list[WorthALook] = []
        self.found: TopicsFound | None = None
        """The topics that are searched for."""
        self.cpu: dict[str, float] = {}
        """The share of a core that each process used between the two newest moments."""
        self.raw: dict[str, bytes] = {}
        """The newest parts as they came."""
        self._heard_s = now_s

    def take(self, name: str, data: bytes, now_s: float) -> None:
        """A part came."""
        self.raw[name] = data
        self._heard_s = now_s
        if name == "now":
            now = msgspec.json.decode(data, type=Now)
            self._use_of(now)
            self.now = now
        elif name == "happened":
            self.happened = msgspec.json.decode(data, type=list[Happening])
        elif name == "watch":
            self.watch = msgspec.json.decode(data, type=list[WorthALook])

    def silent_s(self, now_s: float) -> float:
        """For how long the feed does not answer; 0 while it does."""
        silent_s = now_s - self._heard_s
        return silent_s if silent_s > LATE_S or self.now is None else 0.0

    def _use_of(self, now: Now) -> None:
        before = self.now
        for name, usage in now.usage.items():
            earlier = before.usage.get(name) if before is not None else None
            if before is None or earlier is None or earlier.pid != usage.pid:
                self.cpu.pop(name, None)  # another life: what it used is not known yet
            elif now.at_ms > before.at_ms:
                self.cpu[name] = (usage.cpu_s - earlier.cpu_s) / ((now.at_ms - before.at_ms) / 1e3)

    def state_of(self, worker: WorkerRow) -> tuple[str, bool]:
        """What a worker is doing, and whether that is well."""
        told = worker.told
        if not worker.alive:
            return "down", False
        child = self.now.status.children.get(worker_name(worker.figures.shard)) if self.now is not None else None
        if child is not None and child.last_beat_s is not None and child.last_beat_s > BEAT_FRESH_S:
            return "no report", False
        return (told.state, told.live) if told is not None else ("starting", False)
