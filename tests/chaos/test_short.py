"""The short form of the chaos table: a few faults, one round each, judged as strictly as the long form."""

from __future__ import annotations

from pathlib import Path

import pytest

from k2workers import venues
from tests.chaos.readiness_watch import ReadinessWatch
from tests.chaos.rig import Rig
from tests.chaos.rounds import judge, one_round
from tests.chaos.table import SETTINGS, TABLE
from tests.support.waiting import WAIT_S

FEEDS = {
    "connections": (
        "reset",
        "reset of all lines",
        "closed 1008",
        "serverShutdown, 0 s",
        "half-open silence",
        "handshake 403",
    ),
    "messages": (
        "messages dropped",
        "messages reordered",
        "truncated JSON",
        "fragmented, ping inside",
        "oversize frame",
        "an odd level in diffs",
    ),
    "REST": (
        "REST 429",
        "REST sees ids late",
        "snapshot older than diffs",
        "ids that never existed",
        "REST with an odd row",
    ),
    "processes": ("worker killed", "aggregator killed", "aggregator stopped 3 s", "subscriber restarted"),
    "surroundings": (
        "no room under the run directory, two die",
        "a second copy",
        "hostile peers on all ports",
        "a reader that takes nothing",
    ),
    "all of it": ("parent killed, all restarted",),
    "classes of futures": (
        "one class reset",
        "one class acknowledged and mute",
        "messages dropped",
        "aggregates that do not join",
        "worker killed",
    ),
}
"""Which faults strike one feed after the other."""

FUTURES = {"classes of futures": "binance_usdm"}
"""On another market than spot."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("feed", FEEDS)
async def test_nothing_is_lost_repeated_or_out_of_order(feed: str, tmp_path: Path) -> None:
    venue = FUTURES.get(feed, venues.DEFAULT)
    async with Rig(
        tmp_path, shards=3, symbols=12, rate=1500, settings=SETTINGS, venue=venue, place=True, alarm_s=WAIT_S
    ) as rig:
        async with ReadinessWatch(rig) as watch:
            for name in FEEDS[feed]:
                # How long a pause or an alarm may take is judged by the long form: a test must not fail because a machine is slow.
                await one_round(rig, [TABLE[name]])
            await rig.control("clear_faults")
            await watch.see_it_out(WAIT_S)
        verdict = await rig.settle()
        assert [*judge(rig.market, verdict, [0.0], None), *watch.promise.wrong()] == []
        assert verdict["by_kind"][rig.market.trades]["emitted"] > 1_000
        refused = {status for status in (await rig.ask("status"))["rest"]["by_status"] if status == "418"}
        assert not refused, "never a ban"
        rig.feed.stop()
        assert not any("Traceback" in line for line in rig.feed.raw), "".join(rig.feed.raw)
