"""Owns which connections have carried each shard, from when to when, and how each of them ended. Pure; times are wall-clock ms."""

from __future__ import annotations

import msgspec

from k2workers.rotation.record import RotationRecord

KEPT = 40
"""Connections of one route that are remembered at most: a week at the usual lifetime."""

LOST, GONE = "connection lost", "process ended"
"""How a connection ended, where no rotation ended it."""

APART_NS = 1_000_000_000
"""Two connections have carried the feed from moments that are further apart; what is told of one moment may differ by less."""


class LineSpan(msgspec.Struct):
    """One connection: when it was opened (for a first one: when it began to carry), since when it carried the feed, and its end, None while it carries it."""

    opened_ms: int
    carried_ms: int
    ended_ms: int | None = None
    end: str = ""
    """The reason of the rotation that ended it, or ``LOST``, ``GONE``."""
    complete: bool = True
    """Whether every active stream had continued on the next one when it ended."""


class RouteLines(msgspec.Struct):
    """The connections of one route of one worker, oldest first."""

    worker: str
    venue: str
    shard: int
    route: str
    spans: list[LineSpan]


class _Watched:
    """The lines of one route, and what was seen of its connection last."""

    def __init__(self, shown: RouteLines, kept: int) -> None:
        self.shown = shown
        self._kept = kept
        self.carried_ns = 0
        """Since when it has carried the feed (monotonic); 0 while none was seen."""
        self.rotated_ns = 0
        """When it was heard of the last rotation (monotonic): what was told before that is of the connection before."""

    @property
    def open(self) -> LineSpan | None:
        """The connection that carries the feed."""
        spans = self.shown.spans
        return spans[-1] if spans and spans[-1].ended_ms is None else None

    def begin(self, bar: LineSpan) -> None:
        """This one carries the feed from now on, or did until the next one."""
        spans = self.shown.spans
        spans.append(bar)
        if len(spans) > self._kept:
            del spans[:2]  # the page draws every second one below the others: it stays there

    def end(self, at_ms: int, end: str) -> None:
        """Its connection has ended, by no rotation."""
        if (bar := self.open) is not None:
            bar.ended_ms, bar.end, bar.complete = max(at_ms, bar.carried_ms), end, False
        self.carried_ns = 0


class LineHistory:
    """Say what is ``seen`` of each connection, about once a second, which rotations there were, and which worker is ``gone``.

    Wall-clock times are shown; whether a connection is another one is judged by ages, for the wall clock may be set.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._routes: dict[tuple[str, str], _Watched] = {}

    @property
    def routes(self) -> list[RouteLines]:
        """The lines of each route of each worker, in order of their shards."""
        return sorted(
            (watched.shown for watched in self._routes.values()), key=lambda shown: (shown.shard, shown.route)
        )

    def rotated(self, worker: str, venue: str, record: RotationRecord, now_ns: int) -> None:
        """A connection took over from another one; it was heard now."""
        watched = self._of(worker, venue, record.shard, record.route)
        cut_ms = record.cut_ns // 1_000_000
        before = watched.open
        if before is None:
            began_ms = cut_ms - int(record.lifetime_s * 1000)
            before = LineSpan(began_ms, began_ms)
            watched.begin(before)
        before.ended_ms, before.end, before.complete = cut_ms, record.reason, record.complete
        watched.begin(LineSpan(record.opened_ns // 1_000_000, cut_ms))
        watched.carried_ns, watched.rotated_ns = 0, now_ns

    def seen(
        self, worker: str, venue: str, shard: int, route: str, *, age_s: float | None, at_ns: int, at_ms: int
    ) -> None:
        """The connection of this route had carried the feed for so long at this moment (by both clocks); None if there was none."""
        watched = self._of(worker, venue, shard, route)
        if at_ns < watched.rotated_ns:
            return
        if age_s is None:
            watched.end(at_ms, LOST)
            return
        age_ns = int(age_s * 1e9)
        carried_ns, carried_ms = at_ns - age_ns, at_ms - age_ns // 1_000_000
        if watched.carried_ns and carried_ns - watched.carried_ns > APART_NS:
            watched.end(carried_ms, LOST)
        if watched.open is None:
            watched.begin(LineSpan(carried_ms, carried_ms))
        watched.carried_ns = max(watched.carried_ns, carried_ns)

    def gone(self, worker: str, at_ms: int) -> None:
        """Its process has ended, and its connections with it."""
        for watched in self._routes.values():
            if watched.shown.worker == worker:
                watched.end(at_ms, GONE)

    def _of(self, worker: str, venue: str, shard: int, route: str) -> _Watched:
        key = worker, route
        if key not in self._routes:
            self._routes[key] = _Watched(RouteLines(worker, venue, shard, route, []), self._kept)
        return self._routes[key]
