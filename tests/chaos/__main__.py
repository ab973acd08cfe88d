"""The chaos table: faults against a running feed, judged by the exchange's own count. See ``scripts/chaos --help``."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cyclopts import App
from rich.console import Console
from rich.table import Table

from tests.chaos import joiners, lives, quiet, soak, unwritable
from tests.chaos.observer import CHAINED
from tests.chaos.readiness_watch import ReadinessWatch
from tests.chaos.rig import Rig
from tests.chaos.table import SETTINGS, TABLE, WHOLE_S, Row
from tests.model import long
from tests.support.waiting import until

app = App(name="scripts/chaos", help="Break a running feed in every way of the table, and count what a subscriber got.")


async def run_fault(
    names: tuple[str, ...], rounds: int, seed: int, shards: int, rate: float, *, with_joiners: bool
) -> dict[str, Any]:
    """Rounds of one fault (or of several at once) against a fresh feed; the figures."""
    rows = [TABLE[name] for name in names]
    pauses: list[float] = []
    completes: list[float] = []
    with tempfile.TemporaryDirectory(prefix="k2-chaos-") as directory:
        settings = joiners.SETTINGS_WITH_A_SHORT_RING if with_joiners else SETTINGS
        async with Rig(Path(directory), shards=shards, rate=rate, seed=seed, settings=settings) as rig:
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
        "failures": [*judge(verdict, pauses, limit_s), *joiners.wrong_with(books_of_joiners), *watch.promise.wrong()],
    }


async def one_round(rig: Rig, rows: list[Row]) -> tuple[float, float]:
    """(longest pause of the shards hit, time until everything was complete again)."""
    rig.observer.watch()
    begun_s = time.monotonic()
    hit = await asyncio.gather(*(row.act(rig) for row in rows))
    shards = sorted({shard for each in hit for shard in each})
    clear = rig.observer.longest_pause_s

    def over() -> bool:
        fresh = not shards or all(time.monotonic() - rig.observer.last_s[shard] < 0.5 for shard in shards)
        return fresh and not rig.observer.holes()

    await asyncio.sleep(0.5)
    await until(
        over,
        lambda: f"recovery; incomplete: {rig.observer.holes()[:5]}, given up: {rig.observer.lost[:5]}",
        WHOLE_S,
    )
    return (clear(shards) if shards else 0.0), time.monotonic() - begun_s


def judge(verdict: dict[str, Any], pauses: list[float], limit_s: float | None) -> list[str]:
    """What is wrong, in words; nothing if the guarantees held."""
    failures = []
    for kind in CHAINED:
        counts = verdict["by_kind"][kind]
        failures += [f"{kind} {word} {counts[word]}" for word in ("lost", "duplicated", "reordered") if counts[word]]
    depth = verdict["by_kind"]["depth"]
    failures += [f"depth {word} {depth[word]}" for word in ("duplicated", "reordered", "unannounced") if depth[word]]
    tickers = verdict["by_kind"]["book_ticker"]
    if tickers["duplicated"]:
        failures.append(f"book_ticker went back {tickers['duplicated']}")
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


def show(results: list[dict[str, Any]]) -> None:
    """The table, for people."""
    table = Table(title="Chaos: what a subscriber got, against what the exchange emitted")
    for column in (
        "fault",
        "rounds",
        "trades",
        "lost",
        "dup",
        "reord",
        "gaps",
        "pause s",
        "whole s",
        "books",
        "bars",
        "verdict",
    ):
        table.add_column(column, justify="left" if column in ("fault", "verdict") else "right")
    for result in results:
        kinds = result.get("by_kind")
        if kinds is None:
            table.add_row(result["fault"], str(result["rounds"]), *[""] * 9, f"[red]{result['failures'][0]}")
            continue
        sums = [
            str(sum(kinds[kind][word] for kind in CHAINED)) for word in ("emitted", "lost", "duplicated", "reordered")
        ]
        pause, whole, books = result["pause_s"], result["complete_s"], result["books"]
        table.add_row(
            result["fault"], str(result["rounds"]), *sums, str(result["gaps_announced"]),
            f"{pause['median']:.2f} ≤ {pause['max']:.2f}", f"{whole['median']:.1f} ≤ {whole['max']:.1f}",
            f"{books['equal']}/{books['equal'] + books['different']}",
            str(sum(bars["finals"] - bars["missing"] - bars["different"] for bars in result["bars"].values())),
            "[red]" + "; ".join(result["failures"]) if result["failures"] else "[green]held",
        )  # fmt: skip
    Console(width=170).print(table)


@app.default
def main(
    *,
    fault: list[str] | None = None,
    rounds: int = 20,
    pairs: int = 0,
    singly: bool = True,
    joining: bool = False,
    seed: int = 1,
    shards: int = 8,
    rate: float = 2000.0,
    report: Path | None = None,
) -> int:
    """Run the table (or some of it) and tell what was lost, repeated or out of order.

    Parameters
    ----------
    fault
        Only these faults; repeat for more. A name may be a beginning, such as "REST".
    rounds
        How often each fault strikes.
    pairs
        Also so many random pairs of faults at the same time.
    singly
        Each fault by itself; with --no-singly only the pairs.
    joining
        After each fault also two more subscribers: one that joins late, and one whose position is older than the replay
        ring. Each must rebuild every book.
    seed
        Same seed, same targets and same market.
    shards
        Workers of the feed under test.
    rate
        Events a second of the market.
    report
        Write all figures to this JSON file.
    """
    chosen = [name for name in TABLE if not fault or any(name.startswith(word) for word in fault)]
    if not chosen:
        sys.stderr.write(f"scripts/chaos: no fault begins with {fault}; known are: {', '.join(TABLE)}\n")
        return 2
    rng = random.Random(seed)
    if pairs and len(chosen) < 2:
        sys.stderr.write("scripts/chaos: a pair needs two faults to choose from\n")
        return 2
    plans = [(name,) for name in chosen if singly] + [tuple(rng.sample(chosen, 2)) for _ in range(pairs)]
    results = []
    for number, names in enumerate(plans):
        begun_s = time.monotonic()
        try:
            result = asyncio.run(run_fault(names, rounds, seed + number, shards, rate, with_joiners=joining))
        except (AssertionError, OSError) as error:
            # A feed that does not even come back is a failure of the fault, told in its row.
            result = {
                "fault": " + ".join(names),
                "rounds": rounds,
                "seed": seed + number,
                "failures": [str(error).strip()],
            }
        results.append(result)
        verdict = "; ".join(result["failures"]) or "held"
        sys.stdout.write(f"{' + '.join(names)}: {verdict} ({time.monotonic() - begun_s:.0f} s)\n")
        sys.stdout.flush()
        if report is not None:
            report.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    show(results)
    return 1 if any(result["failures"] for result in results) else 0


@app.command(name="model")
def run_model(
    *, minutes: float = 1.0, seed: int = 0, length: int = 50, lives: int | None = None, report: Path | None = None
) -> int:
    """The whole chain in a model with a clock of its own: deaths and faults anywhere, thousands of lives a minute.

    Prints the shortest script of each kind of finding: ``tests.model.chain.live(script)`` does it again.

    Parameters
    ----------
    minutes
        How long.
    seed
        Of the first life; each further life has the next one.
    length
        Steps of each life.
    lives
        So many instead of ``minutes``.
    report
        Write the figures to this JSON file.
    """
    figures = long.run(minutes, seed, length, lives)
    sys.stdout.write(
        f"{figures['lives']} lives and {figures['lives_of_lines']} of lines, {figures['steps']} steps, "
        f"{figures['seconds']} s: {len(figures['findings'])} findings\n"
    )
    if report is not None:
        report.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 1 if figures["findings"] else 0


@app.command(name="books")
def run_books(*, seed: int = 1, report: Path | None = None) -> int:
    """Join late, lose one's place, be frozen: every one of these subscribers must rebuild every book level by level.

    Parameters
    ----------
    seed
        Same seed, same market.
    report
        Write all figures to this JSON file.
    """
    return _tell(asyncio.run(joiners.run(seed=seed)), report)


@app.command(name="quiet")
def run_quiet(
    *, minutes: float = 20.0, symbols: int = 300, shards: int = 8, seed: int = 1, report: Path | None = None
) -> int:
    """Let a market be quiet, an event of each symbol every ten minutes: ready throughout, no reconnect, little weight.

    Parameters
    ----------
    minutes
        How long, from when the feed is ready.
    symbols
        How many.
    shards
        Workers of the feed.
    seed
        Same seed, same market.
    report
        Write all figures to this JSON file.
    """
    return _tell(asyncio.run(quiet.run(minutes, symbols=symbols, shards=shards, seed=seed)), report)


@app.command(name="lives")
def run_lives(
    *, minutes: float = 10.0, shards: int = 4, rate: float = 1000.0, seed: int = 1, report: Path | None = None
) -> int:
    """Kill the aggregator every 8 s while gaps are open and REST is ill half of the time; programs that save positions restart too.

    Parameters
    ----------
    minutes
        How long.
    shards
        Workers of the feed.
    rate
        Events a second of the market.
    seed
        Same seed, same market.
    report
        Write all figures to this JSON file.
    """
    return _tell(asyncio.run(lives.run(minutes, shards=shards, rate=rate, seed=seed)), report)


@app.command(name="unwritable")
def run_unwritable(
    *, minutes: float = 10.0, shards: int = 2, rate: float = 20_000.0, seed: int = 1, report: Path | None = None
) -> int:
    """Let no checkpoint be written at a high rate, then kill the aggregator: memory and CPU flat, and every loss named.

    Parameters
    ----------
    minutes
        How long no checkpoint can be written.
    shards
        Workers of the feed.
    rate
        Events a second of the market; the figures tell how many really came.
    seed
        Same seed, same market.
    report
        Write all figures to this JSON file.
    """
    return _tell(asyncio.run(unwritable.run(minutes, shards=shards, rate=rate, seed=seed)), report)


def _tell(figures: dict[str, Any], report: Path | None) -> int:
    text = json.dumps(figures, indent=2)
    sys.stdout.write(text + "\n")
    if report is not None:
        report.write_text(text + "\n", encoding="utf-8")
    return 1 if figures["failures"] else 0


@app.command(name="soak")
def run_soak(
    *, rotations: int = 500, shards: int = 8, lifetime: float = 4.0, rate: float = 2000.0, report: Path | None = None
) -> int:
    """Rotate hundreds of times under load: every event once, and memory that does not grow.

    Parameters
    ----------
    rotations
        How many, over all shards.
    shards
        Workers of the feed.
    lifetime
        Seconds that a connection lives.
    rate
        Events a second of the market.
    report
        Write all figures to this JSON file.
    """
    figures = soak.run(rotations, shards, lifetime, rate)
    text = json.dumps(figures, indent=2)
    sys.stdout.write(text + "\n")
    if report is not None:
        report.write_text(text + "\n", encoding="utf-8")
    truth = figures["truth"]
    return 1 if truth["lost"] or truth["duplicated"] or truth["reordered"] else 0


if __name__ == "__main__":
    sys.exit(app())
