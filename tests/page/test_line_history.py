"""Which connections have carried each shard. Ages are what is told; the wall clock only says when that was."""

from __future__ import annotations

from k2workers.page.line_history import GONE, LOST, LineHistory, LineSpan, RouteLines
from k2workers.rotation.policy import SCHEDULED
from tests.support.told import rotated

S = 1_000_000_000
WALL_MS = 1_700_000_000_000
"""The wall clock when the monotonic one stands at 0."""


class Watched:
    """One route, seen as a run goes on."""

    def __init__(self, kept: int = 40) -> None:
        self.history = LineHistory(kept)

    def seen(self, at_s: float, age_s: float | None, *, set_s: float = 0.0, route: str = "") -> None:
        """``set_s`` is by how much the wall clock was set meanwhile."""
        self.history.seen(
            "worker-0", "v", 0, route, age_s=age_s, at_ns=int(at_s * S), at_ms=WALL_MS + int((at_s + set_s) * 1_000)
        )

    def rotated(self, opened_s: float, cut_s: float, lifetime_s: float, **changes: object) -> None:
        opened_ns, cut_ns = ((WALL_MS * 1_000_000) + int(at_s * S) for at_s in (opened_s, cut_s))
        record = rotated(0, opened_ns=opened_ns, cut_ns=cut_ns, lifetime_s=lifetime_s, **changes)
        self.history.rotated("worker-0", "v", record, int(cut_s * S) + 1)

    @property
    def bars(self) -> list[tuple[float, float, float | None, str, bool]]:
        """Opened, carried, ended (seconds), how, and whether all had continued."""
        (route,) = self.history.routes
        return [
            (
                (bar.opened_ms - WALL_MS) / 1000,
                (bar.carried_ms - WALL_MS) / 1000,
                None if bar.ended_ms is None else (bar.ended_ms - WALL_MS) / 1000,
                bar.end,
                bar.complete,
            )
            for bar in route.spans
        ]


def test_a_connection_is_one_bar_that_grows() -> None:
    watched = Watched()
    watched.seen(1, None)
    assert watched.bars == []
    for at_s in (3, 4, 5):
        watched.seen(at_s, at_s - 2)
    assert watched.bars == [(2, 2, None, "", True)]


def test_a_rotation_ends_one_and_the_next_has_begun_before_that() -> None:
    watched = Watched()
    watched.seen(3, 1)
    watched.rotated(opened_s=16, cut_s=17, lifetime_s=15)
    watched.seen(17.02, 0.0)
    watched.seen(18, 1)
    assert watched.bars == [(2, 2, 17, SCHEDULED, True), (16, 17, None, "", True)]


def test_what_was_told_before_a_rotation_says_nothing_of_the_connection_after_it() -> None:
    watched = Watched()
    watched.seen(3, 1)
    watched.rotated(opened_s=16, cut_s=17, lifetime_s=15)
    watched.seen(16.9, 14.9)
    watched.seen(17.5, 0.5)
    assert [bar[2:4] for bar in watched.bars] == [(17, SCHEDULED), (None, "")]


def test_a_rotation_of_a_connection_that_nobody_saw_tells_of_both() -> None:
    watched = Watched()
    watched.rotated(opened_s=16, cut_s=17, lifetime_s=15, complete=False)
    assert watched.bars == [(2, 2, 17, SCHEDULED, False), (16, 17, None, "", True)]


def test_a_connection_that_was_lost_ends_when_the_next_one_carries_or_none_does() -> None:
    watched = Watched()
    watched.seen(3, 1)
    watched.seen(5, 0.5)
    watched.seen(6, None)
    watched.seen(7, None)
    watched.seen(9, 1)
    assert watched.bars == [(2, 2, 4.5, LOST, False), (4.5, 4.5, 6, LOST, False), (8, 8, None, "", True)]


def test_a_wall_clock_that_is_set_loses_no_connection() -> None:
    watched = Watched()
    watched.seen(3, 1)
    watched.seen(4, 2, set_s=3_600)
    watched.seen(5, 3, set_s=-3_600)
    assert watched.bars == [(2, 2, None, "", True)]
    watched.seen(6, 0.5, set_s=-3_600)
    assert watched.bars[0] == (2, 2, 2, LOST, False), "it cannot have ended before it began"


def test_a_process_that_stood_still_while_it_told_of_a_connection_has_not_lost_it() -> None:
    watched = Watched()
    watched.seen(4, 1)
    watched.seen(4.5, 2.2)
    watched.seen(6, 3)
    assert watched.bars == [(3, 3, None, "", True)]


def test_the_end_of_a_process_is_the_end_of_its_connections_and_of_no_others() -> None:
    watched = Watched()
    watched.seen(3, 1)
    watched.history.seen("worker-1", "v", 1, "", age_s=1, at_ns=3 * S, at_ms=WALL_MS + 3_000)
    watched.history.gone("worker-0", WALL_MS + 4_000)
    watched.history.gone("worker-0", WALL_MS + 5_000)
    first, second = watched.history.routes
    assert first.spans == [LineSpan(WALL_MS + 2_000, WALL_MS + 2_000, WALL_MS + 4_000, GONE, False)]
    assert second == RouteLines("worker-1", "v", 1, "", [LineSpan(WALL_MS + 2_000, WALL_MS + 2_000)])
    watched.seen(6, 0.5)
    assert [bar.end for bar in first.spans] == [GONE, ""]


def test_each_route_has_lines_of_its_own_in_order() -> None:
    watched = Watched()
    for route in ("public", "market"):
        watched.seen(3, 1, route=route)
    assert [shown.route for shown in watched.history.routes] == ["market", "public"]


def test_only_the_newest_connections_are_kept() -> None:
    watched = Watched(kept=3)
    for number in range(5):
        watched.seen(10 * number + 1, 0.5)
    assert [bar[0] for bar in watched.bars] == [20.5, 30.5, 40.5]


def test_a_connection_keeps_an_even_or_an_odd_place_while_it_is_remembered() -> None:
    watched = Watched(kept=5)
    places: dict[float, int] = {}
    for number in range(20):
        watched.seen(10 * number + 1, 0.5)
        for place, bar in enumerate(watched.bars):
            assert places.setdefault(bar[0], place % 2) == place % 2
    assert len(places) == 20
