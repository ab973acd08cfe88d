"""The chaos table: faults against a running feed, judged by the exchange's own count. See ``scripts/chaos --help``."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App
from rich.console import Console
from rich.table import Table

from k2workers import venues
from tests.chaos import hour, joiners, lives, quiet, soak, unwritable
from tests.chaos.ledger import TRADES
from tests.chaos.market import Market
from tests.chaos.rounds import run_fault
from tests.chaos.table import TABLE, rows_for
from tests.model import long
from tests.observing import alerts

app = App(name="scripts/chaos", help="Break a running feed in every way of the table, and count what a subscriber got.")


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
        if "skipped" in result:
            table.add_row(result["fault"], *[""] * 10, f"[yellow]skipped: {result['skipped']}")
            continue
        kinds = result.get("by_kind")
        if kinds is None:
            table.add_row(result["fault"], str(result["rounds"]), *[""] * 9, f"[red]{result['failures'][0]}")
            continue
        sums = [
            str(sum(kinds[kind][word] for kind in TRADES if kind in kinds))
            for word in ("emitted", "lost", "duplicated", "reordered")
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
    venue: str = venues.DEFAULT,
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
    venue
        The market: one that has a stand-in.
    seed
        Same seed, same targets and same market.
    shards
        Workers of the feed under test.
    rate
        Events a second of the market.
    report
        Write all figures to this JSON file.
    """
    market = Market(venue)
    known = rows_for(market)
    chosen = [name for name in known if not fault or any(name.startswith(word) for word in fault)]
    for name, row in TABLE.items():
        if row.senseless(market):
            sys.stdout.write(f"{name}: left out on {venue}, {row.senseless(market)}\n")
    if not chosen:
        sys.stderr.write(f"scripts/chaos: no fault begins with {fault}; known are: {', '.join(known)}\n")
        return 2
    rng = random.Random(seed)
    together = [name for name in chosen if not TABLE[name].alone]
    if pairs and len(together) < 2:
        sys.stderr.write("scripts/chaos: a pair needs two faults to choose from\n")
        return 2
    plans = [(name,) for name in chosen if singly] + [tuple(rng.sample(together, 2)) for _ in range(pairs)]
    results = []
    for number, names in enumerate(plans):
        begun_s = time.monotonic()
        try:
            result = asyncio.run(
                run_fault(names, rounds, seed + number, shards, rate, venue=venue, with_joiners=joining)
            )
        except pytest.skip.Exception as reason:
            result = {"fault": " + ".join(names), "skipped": str(reason), "failures": []}
        except (AssertionError, OSError, pytest.fail.Exception) as error:
            # A feed that does not even come back is a failure of the fault, told in its row.
            result = {
                "fault": " + ".join(names),
                "rounds": rounds,
                "seed": seed + number,
                "failures": [str(error).strip()],
            }
        results.append(result)
        held = f"skipped: {result['skipped']}" if "skipped" in result else "held"
        verdict = "; ".join(result["failures"]) or held
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
def run_books(*, venue: str = venues.DEFAULT, seed: int = 1, report: Path | None = None) -> int:
    """Join late, lose one's place, be frozen: every one of these subscribers must rebuild every book level by level.

    Parameters
    ----------
    venue
        The market.
    seed
        Same seed, same market.
    report
        Write all figures to this JSON file.
    """
    return _tell(asyncio.run(joiners.run(seed=seed, venue=venue)), report)


@app.command(name="quiet")
def run_quiet(
    *,
    minutes: float = 20.0,
    symbols: int = 300,
    shards: int = 8,
    venue: str = venues.DEFAULT,
    seed: int = 1,
    report: Path | None = None,
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
    venue
        The market.
    seed
        Same seed, same market.
    report
        Write all figures to this JSON file.
    """
    return _tell(asyncio.run(quiet.run(minutes, symbols=symbols, shards=shards, seed=seed, venue=venue)), report)


@app.command(name="lives")
def run_lives(
    *,
    minutes: float = 10.0,
    shards: int = 4,
    rate: float = 1000.0,
    venue: str = venues.DEFAULT,
    seed: int = 1,
    report: Path | None = None,
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
    venue
        The market.
    seed
        Same seed, same market.
    report
        Write all figures to this JSON file.
    """
    return _tell(asyncio.run(lives.run(minutes, shards=shards, rate=rate, seed=seed, venue=venue)), report)


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


@app.command(name="alerts")
def run_alerts(*words: str) -> int:
    """Bring about each real trouble that an alert is for, watched by a real Prometheus with the rules of config/prometheus.

    Parameters
    ----------
    words
        Only troubles whose names have one of these words.
    """
    return alerts.main(list(words))


@app.command(name="hour")
def run_hour(
    *,
    minutes: float = 60.0,
    shards: int = 4,
    rate: float = 5000.0,
    venue: str = venues.DEFAULT,
    seed: int = 1,
    report: Path | None = None,
) -> int:
    """Let every fault of the table (but a death of the parent) strike one feed in random order: nothing lost, nothing grown, and a report that adds up.

    Parameters
    ----------
    minutes
        How long.
    shards
        Workers of the feed.
    rate
        Events a second of the market.
    venue
        The market.
    seed
        Same seed, same order of faults and same market.
    report
        Write all figures to this JSON file, and the feed's log beside it.
    """
    return _tell(
        asyncio.run(
            hour.run(
                minutes,
                shards=shards,
                rate=rate,
                seed=seed,
                venue=venue,
                log=report.with_suffix(".log") if report else None,
            )
        ),
        report,
    )


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
