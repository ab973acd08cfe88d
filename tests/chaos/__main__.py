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

from tests.chaos import soak
from tests.chaos.rig import CHAINED, Rig
from tests.chaos.table import SETTINGS, TABLE, Row
from tests.model import long
from tests.support.waiting import until

app = App(name="scripts/chaos", help="Break a running feed in every way of the table, and count what a subscriber got.")


async def run_fault(names: tuple[str, ...], rounds: int, seed: int, shards: int, rate: float) -> dict[str, Any]:
    """Rounds of one fault (or of several at once) against a fresh feed; the figures."""
    rows = [TABLE[name] for name in names]
    pauses: list[float] = []
    completes: list[float] = []
    with tempfile.TemporaryDirectory(prefix="k2-chaos-") as directory:
        async with Rig(Path(directory), shards=shards, rate=rate, seed=seed, settings=SETTINGS) as rig:
            for _ in range(rounds):
                pause_s, complete_s = await one_round(rig, rows)
                pauses.append(pause_s)
                completes.append(complete_s)
                await asyncio.sleep(0.2 + rig.rng.random() * 0.5 + max(row.rest_s for row in rows))
            verdict = await rig.settle()
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
        **{key: verdict[key] for key in ("by_kind", "holes", "books", "lost_batches", "unannounced")},
        "failures": judge(verdict, pauses, limit_s),
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
        "verdict",
    ):
        table.add_column(column, justify="left" if column in ("fault", "verdict") else "right")
    for result in results:
        kinds = result.get("by_kind")
        if kinds is None:
            table.add_row(result["fault"], str(result["rounds"]), *[""] * 8, f"[red]{result['failures'][0]}")
            continue
        sums = [
            str(sum(kinds[kind][word] for kind in CHAINED)) for word in ("emitted", "lost", "duplicated", "reordered")
        ]
        pause, whole, books = result["pause_s"], result["complete_s"], result["books"]
        table.add_row(
            result["fault"], str(result["rounds"]), *sums, str(result["gaps_announced"]),
            f"{pause['median']:.2f} ≤ {pause['max']:.2f}", f"{whole['median']:.1f} ≤ {whole['max']:.1f}",
            f"{books['equal']}/{books['equal'] + books['different']}",
            "[red]" + "; ".join(result["failures"]) if result["failures"] else "[green]held",
        )  # fmt: skip
    Console(width=170).print(table)


@app.default
def main(
    *,
    fault: list[str] | None = None,
    rounds: int = 20,
    pairs: int = 0,
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
    plans = [(name,) for name in chosen] + [tuple(rng.sample(chosen, 2)) for _ in range(pairs)]
    results = []
    for number, names in enumerate(plans):
        begun_s = time.monotonic()
        try:
            result = asyncio.run(run_fault(names, rounds, seed + number, shards, rate))
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
        f"{figures['lives']} lives, {figures['steps']} steps, {figures['seconds']} s: {len(figures['findings'])} findings\n"
    )
    if report is not None:
        report.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 1 if figures["findings"] else 0


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
