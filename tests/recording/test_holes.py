"""Which ids are asked for, and behind which file they belong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from k2workers.events import Backfilled, Event, Gap, GivenUp, Kline, Reset
from k2workers.recording import holes, layout
from k2workers.recording.conversion import convert
from k2workers.recording.row import Loss, Restart
from tests.recording.support import BARS, CHANGES, DAY, LATEST, NOON_NS, change, journal_in, put, trade

TOPIC = "binance.trade.A"
HOUR_NS = 3600 * 10**9
Things = Sequence[Event | Loss | Restart]


def recorded(to: Path, *segments: Things, topic: str = TOPIC, **more: Any) -> None:
    made = journal_in(to)
    for things in segments:
        put(made, topic, *things, **more)
        made.roll(b"")
    convert(to, made.number)
    made.close()


def found(to: Path, now_ns: int = NOON_NS + 24 * HOUR_NS) -> list[tuple[str, int, list[tuple[int, int]]]]:
    return [(hole.place.topic, hole.place.segment, [*hole.ids]) for topic in holes.find(to, now_ns) for hole in topic]


def test_ids_are_looked_for_behind_the_file_that_lacks_them(tmp_path: Path) -> None:
    things: list[Things] = [[trade(1), Loss(1, 2, 2, 5, NOON_NS)], [trade(8)], [Backfilled(trade(3)), Gap(9, 9, "x", NOON_NS)]]  # fmt: skip
    recorded(tmp_path, [Restart("feed", NOON_NS)], *things)
    assert found(tmp_path) == [(TOPIC, 2, [(2, 2), (4, 5)]), (TOPIC, 3, [(6, 7)]), (TOPIC, 4, [(9, 9)])]


def test_of_earlier_ids_nothing_is_asked_after_a_reset(tmp_path: Path) -> None:
    recorded(tmp_path, [trade(1), Loss(1, 2, 2, 5, NOON_NS), Reset(5, 1, NOON_NS), trade(1)], [trade(3)])
    assert found(tmp_path) == [(TOPIC, 2, [(2, 2)])]


def test_a_gap_is_the_feed_s_as_long_as_it_may_ask_itself(tmp_path: Path) -> None:
    gaps: Things = [Gap(2, 5, "x", NOON_NS), GivenUp(4, 4, "x", NOON_NS), trade(6), Loss(1, 2, 7, 8, NOON_NS)]
    recorded(tmp_path, [trade(1), *gaps])
    assert found(tmp_path, NOON_NS + HOUR_NS) == [(TOPIC, 1, [(4, 4), (7, 8)])]
    assert found(tmp_path, NOON_NS + 2 * HOUR_NS) == [(TOPIC, 1, [(2, 5), (7, 8)])]
    made = journal_in(tmp_path)
    put(made, TOPIC, Restart("feed", NOON_NS), trade(9), publish_ns=NOON_NS + HOUR_NS)
    made.commit(b"p")
    assert found(tmp_path) == [(TOPIC, 1, [(4, 4), (7, 8)])]


def test_only_what_a_venue_gives_by_id_or_time(tmp_path: Path) -> None:
    loss = Loss(1, 2, 2, 5, NOON_NS)
    recorded(tmp_path, [change(1, 1), loss], topic="binance.depth.A", continuity=CHANGES)
    recorded(tmp_path, [trade(1), trade(3)], topic="binance.other.A", continuity=LATEST)
    recorded(tmp_path, [trade(1), loss], topic="nobody.trade.A")
    recorded(tmp_path, [loss], topic="binance.trade.B")
    recorded(tmp_path, [trade(1), trade(2)])
    assert found(tmp_path) == []


def test_a_bar_that_may_still_change_is_not_asked_for(tmp_path: Path) -> None:
    minute_ns = 60 * 10**9

    def bar(minute: int) -> Kline:
        opens = NOON_NS + minute * minute_ns
        return Kline(
            opens, opens + minute_ns - 1_000_000, "1", "1", "1", "1", "1", "1", "1", "1", -1, -1, 0, True, 1, 1
        )

    topic = "binance.kline_1m.A"
    recorded(tmp_path, [bar(0), bar(3)], topic=topic, continuity=BARS)
    assert found(tmp_path) == [(topic, 1, [(NOON_NS + minute_ns, NOON_NS + 3 * minute_ns - 1)])]
    assert found(tmp_path, NOON_NS + 3 * minute_ns) == [
        (topic, 1, [(NOON_NS + minute_ns, NOON_NS + 2 * minute_ns - 1)])
    ]


def test_what_cannot_be_read_is_missing(tmp_path: Path) -> None:
    recorded(tmp_path, *([trade(number)] for number in range(1, 5)))
    layout.file_of(tmp_path, TOPIC, DAY, 2).write_bytes(b"")
    layout.file_of(tmp_path, TOPIC, DAY, 3).unlink()
    assert found(tmp_path) == [(TOPIC, 4, [(2, 3)])]
