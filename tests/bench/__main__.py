"""The benchmark: CPU time an event, by way of reading, in one interleaved run. See ``scripts/bench --help``."""

from __future__ import annotations

import itertools
import statistics
import sys
from pathlib import Path
from typing import Any, Literal

from cyclopts import App

from tests.bench.measuring import Certificate, certificate, measure, measure_pipeline, process, tell
from tests.bench.peers import comparison
from tests.bench.pump import Pumping
from tests.bench.readers import Reading

app = App(name="scripts/bench", help="What an event costs, in CPU time, offline and beside other ways of reading.")


@app.command
def path(
    *,
    kind: list[str] | None = None,
    symbols: list[int] | None = None,
    events: int = 200_000,
    rounds: int = 5,
    way: list[str] | None = None,
    report: Path | None = None,
) -> int:
    """The worker's path alone: microseconds of CPU an event, over TCP and TLS, 1 and 64 frames a write.

    Parameters
    ----------
    kind
        Of trade, agg_trade, book_ticker, depth.
    symbols
        How many, evenly mixed.
    events
        How many a run.
    rounds
        Interleaved runs of each; the median counts.
    way
        Of worker (all of it), decode (without the push), websockets (that library's loop and json), websockets_msgspec (its
        fastest), drain (only takes the bytes: what the pump can do).
    report
        Write all figures to this JSON file.
    """
    kinds, counts, ways = kind or ["trade"], symbols or [1, 10, 100], way or ["worker", "decode", "websockets"]
    figures: dict[tuple[Any, ...], list[dict[str, float]]] = {}
    with certificate() as made, process("tests.bench.readers", "sink", '{"port":0}') as (endpoint, _):
        cases = list(itertools.product(kinds, counts, ("TCP", "TLS"), (64, 1), ways))
        for _, case in itertools.product(range(rounds), cases):
            a_kind, count, layer, a_write, a_way = case
            bundle, chain = made if layer == "TLS" else Certificate()
            figures.setdefault(case, []).append(
                measure(
                    a_way,
                    Pumping(kind=a_kind, symbols=count, events=events, frames_a_write=a_write, certificate=chain),
                    Reading(port=0, kind=a_kind, symbols=count, events=events, push=endpoint, ca_bundle=bundle),
                )
            )
    rows = [
        {
            **dict(zip(("kind", "symbols", "layer", "frames_a_write", "way"), case, strict=True)),
            **{name: statistics.median(run[name] for run in runs) for name in runs[0]},
            "runs_us": [run["us"] for run in runs],
        }
        for case, runs in figures.items()
    ]
    tell(rows, report)
    return 0


@app.command
def load(
    *,
    rates: list[int] | None = None,
    seconds: float = 3.0,
    rounds: int = 3,
    symbols: int = 10,
    report: Path | None = None,
) -> int:
    """The worker's path at given rates of single messages: microseconds of CPU an event, with and without gathering.

    Parameters
    ----------
    rates
        Events a second.
    seconds
        How long each run takes.
    rounds
        Interleaved runs of each; the median counts.
    symbols
        How many, evenly mixed.
    report
        Write all figures to this JSON file.
    """
    figures: dict[tuple[int, int], list[dict[str, float]]] = {}
    with process("tests.bench.readers", "sink", '{"port":0}') as (endpoint, _):
        cases = list(itertools.product(rates or [1_000, 5_000, 20_000, 50_000], (0, 500)))
        for _, (rate, gather_us) in itertools.product(range(rounds), cases):
            events = int(rate * seconds)
            pumping = Pumping(symbols=symbols, events=events, frames_a_write=1, rate=rate)
            reading = Reading(port=0, symbols=symbols, events=events, push=endpoint, gather_us=gather_us)
            figures.setdefault((rate, gather_us), []).append(measure("worker", pumping, reading))
    rows = [
        {
            "rate": rate,
            "gather_us": gather_us,
            **{name: statistics.median(run[name] for run in runs) for name in runs[0]},
        }
        for (rate, gather_us), runs in figures.items()
    ]
    tell(rows, report)
    return 0


@app.command
def pipeline(
    *,
    symbols: list[int] | None = None,
    events: int = 500_000,
    rounds: int = 5,
    frames_a_write: int = 64,
    report: Path | None = None,
) -> int:
    """One worker, the aggregator and one decoding subscriber at saturation: microseconds of CPU an event, by process.

    Parameters
    ----------
    symbols
        How many, evenly mixed.
    events
        How many a run.
    rounds
        Interleaved runs of each; the median counts.
    frames_a_write
        How many frames the exchange sends at once.
    report
        Write all figures to this JSON file.
    """
    counts = symbols or [1, 10, 100, 500]
    figures: dict[int, list[dict[str, float]]] = {}
    for _, count in itertools.product(range(rounds), counts):
        figures.setdefault(count, []).append(measure_pipeline(count, events, frames_a_write))
    rows = [
        {"symbols": count, **{name: statistics.median(run[name] for run in runs) for name in runs[0]}}
        for count, runs in figures.items()
    ]
    tell(rows, report)
    return 0


@app.command
def peers(
    *,
    kind: Literal["trade", "agg_trade"] = "trade",
    symbols: int = 10,
    events: int = 50_000,
    rounds: int = 3,
    tls: bool = False,
    peer: list[str] | None = None,
    report: Path | None = None,
) -> int:
    """Other people's libraries on the same frames: microseconds of CPU an event, and how many times our worker's that is.

    Each in its fastest documented setting and in an environment of its own, which is made under .bench the first time.

    Parameters
    ----------
    kind
        What the frames are. A peer that does not read it gets its own kind, and is held against our worker on that.
    symbols
        How many, evenly mixed.
    events
        How many a run.
    rounds
        Interleaved runs of each; the medians count.
    tls
        Over TLS as well.
    peer
        Only these (any part of their names).
    report
        Write all figures to this JSON file.
    """
    layers = ("TCP", "TLS") if tls else ("TCP",)
    tell(comparison.compare(kind, symbols, events, rounds, layers, peer or [""]), report)
    return 0


if __name__ == "__main__":
    sys.exit(app())
