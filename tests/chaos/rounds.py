"""Owns one round of faults against a running feed, and the verdict on it: the same for the table, its short form and the long proofs."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from k2workers.continuity import Guarantee
from tests.chaos import book_judge, joiners
from tests.chaos.market import Market
from tests.chaos.readiness_watch import ReadinessWatch
from tests.chaos.rig import Rig
from tests.chaos.table import SETTINGS, TABLE, WHOLE_S, Row
from tests.support.waiting import until

FRESH_S = 0.5
"""A connection that has brought something within this time flows."""


async def run_fault(
    names: tuple[str, ...], rounds: int, seed: int, shards: int, rate: float, *, venue: str, with_joiners: bool
) -> dict[str, Any]:
    """Rounds of one fault (or of several at once) against a fresh feed; the figures."""
    rows = [TABLE[name] for name in names]
    pauses: list[float] = []
    completes: list[float] = []
    with tempfile.TemporaryDirectory(prefix="k2-chaos-") as directory:
        settings = joiners.SETTINGS_WITH_A_SHORT_RING if with_joiners else SETTINGS
        more: tuple[str, ...] = ()
        for row in rows:
            settings, more = {**settings, **row.settings}, (*more, *row.kinds)
        market = Market(venue)
        kinds = tuple(dict.fromkeys((*market.kinds, *filter(market.has, more))))
        async with Rig(
            Path(directory),
            shards=shards,
            rate=rate,
            seed=seed,
            settings=settings,
            venue=venue,
            kinds=kinds,
            place=True,
            watch_books=True,
        ) as rig:
            joined = joiners.Joiners(rig, rig.subscriber.position())
            async with ReadinessWatch(rig) as watch:
                for _ in range(rounds):
                    pause_s, complete_s = await one_round(rig, rows)
                    pauses.append(pause_s)
                    completes.append(complete_s)
                    await asyncio.sleep(0.2 + rig.rng.random() * 0.5 + max(row.rest_s for row in rows))
                if with_joiners:
                    await asyncio.sleep(joiners.RING_S)
                    await joined.join()
                await rig.control("clear_faults")
                await watch.see_it_out(WHOLE_S)
            verdict = await rig.settle()
            books_of_joiners = await joined.verdict()
            assert rig.book_watch is not None
            watched = await rig.book_watch.end()
            exchange = await rig.ask("status")
    connects = exchange["connects"]
    limit_s = rows[0].pause_limit_s if len(rows) == 1 else None
    return {
        "fault": " + ".join(names),
        "rounds": rounds,
        "seed": seed,
        "pause_s": {"median": statistics.median(pauses), "max": max(pauses), "limit": limit_s},
        "complete_s": {"median": statistics.median(completes), "max": max(completes)},
        "gaps_announced": rig.observer.gaps,
        "connects": len(connects),
        "min_connect_spacing_s": min((b - a for a, b in itertools.pairwise(connects)), default=None),
        "rest": exchange["rest"],
        **{
            key: verdict[key]
            for key in ("by_kind", "holes", "books", "bars", "broken_rules", "lost_batches", "unannounced")
        },
        "ready": watch.promise.figures(),
        "books_of_joiners": books_of_joiners,
        "books_watched": watched,
        "failures": [
            *judge(rig.market, verdict, pauses, limit_s),
            *joiners.wrong_with(books_of_joiners),
            *book_judge.wrong_in(watched),
            *watch.promise.wrong(),
            *rig.died_healthy(),
        ],
    }


async def one_round(rig: Rig, rows: list[Row], limit_s: float = WHOLE_S) -> tuple[float, float]:
    """(longest pause of the shards hit, time until everything was complete again, which must come within ``limit_s``)."""
    rig.observer.watch()
    begun_s = time.monotonic()
    hit = await asyncio.gather(*(row.act(rig) for row in rows))
    shards = sorted({shard for each in hit for shard in each})
    clear = rig.observer.longest_pause_s

    def over() -> bool:
        fresh = not shards or rig.observer.quiet_s(shards) < FRESH_S
        return fresh and not rig.observer.holes()

    await asyncio.sleep(0.5)
    await until(
        over,
        lambda: f"recovery; incomplete: {rig.observer.holes()[:5]}, given up: {rig.observer.lost[:5]}",
        limit_s,
    )
    return (clear(shards) if shards else 0.0), time.monotonic() - begun_s


FORBIDDEN = {
    Guarantee.REPAIRABLE: ("lost", "duplicated", "reordered"),
    Guarantee.CHAINED: ("unannounced", "duplicated", "reordered"),
    Guarantee.LATEST: ("duplicated",),  # it went back
}
"""What the count may not show of a kind with this guarantee; bars are judged by themselves."""


def judge(market: Market, verdict: dict[str, Any], pauses: list[float], limit_s: float | None) -> list[str]:
    """What is wrong, in words; nothing if the guarantees held."""
    failures = []
    for kind, counts in verdict["by_kind"].items():
        forbidden = FORBIDDEN.get(market.guarantee(kind), ())
        failures += [f"{kind} {word} {counts[word]}" for word in forbidden if counts[word]]
    if verdict["books"]["different"] or verdict["books"]["broken_chains"]:
        failures.append(f"books {str(verdict['books'])[:300]}")
    failures += [
        f"{kind} {str(bars)[:300]}" for kind, bars in verdict["bars"].items() if bars["missing"] or bars["different"]
    ]
    failures += verdict["broken_rules"][:5]
    if verdict["holes"]:
        failures.append(f"holes {verdict['holes'][:3]}")
    if limit_s is not None and statistics.median(pauses) > limit_s:
        failures.append(f"median pause {statistics.median(pauses):.2f} s above {limit_s:g} s")
    return failures
