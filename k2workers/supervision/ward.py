"""Owns what is known of one child's name through all lives of the child: its process now, its last beat, what it counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

from k2workers.supervision.child import Child, ChildSpec, ChildState
from k2workers.supervision.control_messages import Beat
from k2workers.supervision.restart import RestartTracker
from k2workers.supervision.signs_of_life import SignsOfLife


class Ward:
    """One child under care. Say what is ``heard`` of it; the rest is set by whoever cares for it."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.child: Child | None = None
        self.tracker = RestartTracker(spec.restart)
        self.life = SignsOfLife(0)
        self.ready = asyncio.Event()
        self.served = False
        """In any of its lives."""
        self.restart_at_ns: int | None = None
        self.beat: Beat | None = None
        """The last one, from whichever of its lives."""
        self._earlier: Counter[str] = Counter()
        """What its ended lives had counted, as far as their last beats told."""

    @property
    def running(self) -> Child | None:
        """Its process, if it runs."""
        return self.child if self.child is not None and self.child.alive else None

    def heard(self, beat: Beat) -> None:
        """A beat came."""
        if self.beat is not None and self.beat.pid != beat.pid:
            self._earlier.update(self.beat.counters)
        self.beat = beat

    def said_ready(self) -> None:
        """Its present life serves from now on."""
        self.served = True
        self.ready.set()

    def counted(self) -> Mapping[str, int]:
        """Its counters over all its lives. Of a life that was killed, what it counted after its last beat is missing."""
        present = Counter(self.beat.counters if self.beat is not None else {})
        return self._earlier + present

    def state(self, now_ns: int) -> ChildState:
        """What to show of it."""
        # Its signs of life would not do: they are excused for as long as we could not listen, and what it told is as old all the same.
        told_ns = max(self.life.begun_ns, self.beat.at_ns if self.beat is not None else 0)
        return ChildState(
            pid=self.child.pid if self.child is not None else None,
            alive=self.running is not None,
            ready=self.ready.is_set(),
            restarts=self.tracker.restarts,
            last_beat_s=round((now_ns - told_ns) / 1e9, 1) if told_ns else None,
        )
