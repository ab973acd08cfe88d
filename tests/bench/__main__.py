"""The benchmark: CPU time an event, by way of reading, in one interleaved run. See ``scripts/bench --help``."""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter, validators
from rich.console import Console
from rich.table import Table

from tests.bench import books as books_process
from tests.bench import books_whole, log_lag
from tests.bench import footprint as tree
from tests.bench import rotating as latency_of_rotations
from tests.bench.frames import recorded
from tests.bench.measuring import (
    Certificate,
    Pipeline,
    certificate,
    machine,
    measure,
    measure_floor,
    measure_latency,
    measure_pipeline,
    process,
    tell,
)
from tests.bench.peers import comparison
from tests.bench.peers.typed import SHAPES
from tests.bench.pump import Pumping
from tests.bench.readers import Reading
from tests.bench.steady import comparison as steady_loads
from tests.support import environments

RECORDED = "recorded"
PLOTS = ("matplotlib==3.11.2",)
FIGURES = Path(__file__).parent / "figures"

Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]
Counts = Annotated[list[int], Parameter(validator=validators.Number(gte=1))]
Seconds = Annotated[float, Parameter(validator=validators.Number(gt=0))]
Recordings = Annotated[list[Path], Parameter(validator=validators.Path(exists=True, dir_okay=False))]
Kind = Literal["trade", "agg_trade", "book_ticker", "depth"]
Way = Literal["worker", "worker_python", "decode", "websockets", "websockets_msgspec", "drain"]


def _writable(_: type, file: Path | None) -> None:
    if file is not None and not file.parent.is_dir():
        raise ValueError(f"{file}: allowed is a file in a directory that exists")


Report = Annotated[Path, Parameter(validator=_writable)]

app = App(
    name="scripts/bench",
    help="What an event costs in CPU time, beside other ways of reading; what the running feed costs. All of it offline.",
)


@app.command
def path(
    *,
    kind: list[Kind] | None = None,
    symbols: Counts | None = None,
    events: Count = 200_000,
    rounds: Count = 5,
    way: list[Way] | None = None,
    recording: Recordings | None = None,
    report: Report | None = None,
) -> int:
    """The worker's path alone: microseconds of CPU an event, over TCP and TLS, 1 and 64 frames a write.

    Parameters
    ----------
    kind
        Of what kinds the events are.
    symbols
        How many, evenly mixed.
    events
        How many a run.
    rounds
        Interleaved runs of each; the median counts.
    way
        Of worker (all of it), worker_python (the same without the native lane), decode (Python without the push), websockets (that library's loop and json), websockets_msgspec (its
        fastest; only trade and agg_trade), drain (only takes the bytes: what the pump can do; not of recordings).
    recording
        Also the messages of these files (gzip; a line each of receive time, a blank, and the message of BTCUSDT).
    report
        Write all figures to this JSON file.
    """
    kinds = [*(kind or ["trade"]), *([RECORDED] if recording else [])]
    counts, ways = symbols or [1, 10, 100], way or ["worker", "worker_python", "websockets"]
    with certificate() as made, process("tests.bench.readers", "sink", '{"port":0}') as (endpoint, _):

        def run(case: tuple[str, int, str, int, str]) -> dict[str, float]:
            a_kind, count, layer, a_write, a_way = case
            bundle, chain = made if layer == "TLS" else Certificate()
            pumping = Pumping(
                kind=a_kind, symbols=count, events=events, frames_a_write=a_write, certificate=chain
            )  # fmt: skip
            reading = Reading(port=0, kind=a_kind, symbols=count, events=events, push=endpoint, ca_bundle=bundle)
            if a_kind == RECORDED:
                pumping.recording = tuple(str(file) for file in recording or ())
                pumping.events = reading.events = sum(1 for file in recording or () for _ in recorded(file))
                reading.recorded = True
            return measure(a_way, pumping, reading)

        cases = {
            case: case
            for case in itertools.product(kinds, counts, ("TCP", "TLS"), (64, 1), ways)
            if can_read(case[4], case[0]) and (case[0] != RECORDED or case[1] == counts[0])
        }
        rows = interleaved(("kind", "symbols", "layer", "frames_a_write", "way"), cases, run, rounds)
    tell(rows, report)
    return 0


@app.command
def load(
    *,
    rates: Counts | None = None,
    seconds: Seconds = 3.0,
    rounds: Count = 3,
    symbols: Count = 10,
    report: Report | None = None,
) -> int:
    """The whole pipeline at given rates of single messages: microseconds of CPU an event, with and without gathering.

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
    cases = {
        (rate, gather_us): Pipeline(
            symbols=symbols, events=int(rate * seconds), frames_a_write=1, rate=rate, gather_us=gather_us
        )
        for rate, gather_us in itertools.product(rates or [100, 1_000, 5_000, 20_000, 50_000], (0, 500))
    }
    tell(interleaved(("rate", "gather_us"), cases, measure_pipeline, rounds), report)
    return 0


@app.command
def pipeline(
    *,
    symbols: Counts | None = None,
    shards: Counts | None = None,
    subscribers: Counts | None = None,
    events: Count = 400_000,
    rounds: Count = 5,
    frames_a_write: Count = 64,
    report: Report | None = None,
) -> int:
    """Workers, the aggregator and decoding subscribers at saturation: microseconds of CPU an event, by kind of process.

    Parameters
    ----------
    symbols
        How many, evenly mixed.
    shards
        How many workers, each with an exchange of its own.
    subscribers
        How many, in one process.
    events
        How many a run, over all shards.
    rounds
        Interleaved runs of each; the median counts.
    frames_a_write
        How many frames the exchange sends at once.
    report
        Write all figures to this JSON file.
    """
    cases = {
        (count, workers, readers): Pipeline(
            symbols=count, events=events // workers, shards=workers, subscribers=readers, frames_a_write=frames_a_write
        )
        for count, workers, readers in itertools.product(
            symbols or [1, 10, 100, 500], shards or [1], subscribers or [1]
        )
        if count >= workers
    }
    tell(interleaved(("symbols", "shards", "subscribers"), cases, measure_pipeline, rounds), report)
    return 0


@app.command(name="books")
def run_books(*, updates: Count = 20_000, books: Count = 20, rounds: Count = 5, report: Report | None = None) -> int:
    """CPU µs of one change of a book of 1,000 levels a side, without sockets: decoded, kept, and told as best prices and levels.

    Parameters
    ----------
    updates
        How many of each round.
    books
        Of how many books, in turn.
    rounds
        Interleaved runs; the median counts.
    report
        Write all figures to this JSON file.
    """
    return _show(books_process.measure(updates, books, rounds), report)


@app.command(name="whole")
def run_whole(symbols: Counts | None = None, *, report: Report | None = None) -> int:
    """How soon after its start a feed has every book, and every book with 1,000 levels, beside the least time that the venue's weight allows.

    Parameters
    ----------
    symbols
        How many, one run each; 40 and 400 by themselves.
    report
        Write all figures to this JSON file.
    """
    return _show([books_whole.measure(count) for count in symbols or [40, 400]], report)


def _show(figures: Any, report: Path | None) -> int:
    text = json.dumps(figures, indent=2) + "\n"
    sys.stdout.write(text)
    if report is not None:
        report.write_text(text, encoding="utf-8")
    return 0


@app.command
def latency(
    *,
    rates: Counts | None = None,
    seconds: Seconds = 5.0,
    rounds: Count = 3,
    symbols: Count = 10,
    report: Report | None = None,
) -> int:
    """Microseconds from the exchange's write of an event to the subscriber, beside the same three hops with nothing on them.

    Parameters
    ----------
    rates
        Events a second, each written alone.
    seconds
        How long each run takes.
    rounds
        Interleaved runs of each; the median of each quantile counts.
    symbols
        How many, evenly mixed.
    report
        Write all figures to this JSON file.
    """
    ways = {"pipeline": measure_latency, "floor": measure_floor}
    cases = {
        (rate, way): (measured, Pipeline(symbols=symbols, events=int(rate * seconds), frames_a_write=1, rate=rate))
        for rate, (way, measured) in itertools.product(rates or [100, 1_000, 10_000, 50_000], ways.items())
    }
    rows = interleaved(("rate", "way"), cases, lambda case: case[0](case[1]), rounds)
    tell(rows, report, title="Latency (us)")
    return 0


@app.command
def rotating(
    *, rate: Count = 1_000, shards: Count = 8, seconds: Seconds = 20.0, rounds: Count = 3, report: Report | None = None
) -> int:
    """Microseconds from a trade's venue time to a subscriber of the running feed, with and without rotations.

    Parameters
    ----------
    rate
        Events a second of the embedded exchange.
    shards
        How many workers; with 8 one of them rotates every half second.
    seconds
        How long each run takes.
    rounds
        Interleaved runs of each; the median of each quantile counts.
    report
        Write all figures to this JSON file.
    """
    cases = {(name,): lifetime_s for name, lifetime_s in latency_of_rotations.LIFETIMES_S.items()}
    rows = interleaved(
        ("feed",), cases, lambda lifetime_s: latency_of_rotations.measure(lifetime_s, rate, shards, seconds), rounds
    )
    tell(rows, report, title="Latency (us)")
    return 0


@app.command
def log(*, seconds: Seconds = 10.0, lines: Count = 1_000, rounds: Count = 3, report: Report | None = None) -> int:
    """Microseconds by which the loop of a process that logs at debug level is late: while its log is read, and while nobody reads it.

    ``own`` is without the time for which the host let it wait for a processor.

    Parameters
    ----------
    seconds
        How long each run takes, and nobody reads.
    lines
        How many it logs a second.
    rounds
        Interleaved runs of each; the median of each figure counts.
    report
        Write all figures to this JSON file.
    """
    cases = {(name,): reads for name, reads in log_lag.READERS.items()}
    rows = interleaved(("reader",), cases, lambda reads: log_lag.measure(reads, lines, seconds), rounds)
    tell(rows, report, title="Lag of the loop (us)")
    return 0


@app.command
def steady(
    *,
    rates: Counts | None = None,
    shards: Counts | None = None,
    symbols: Count = 40,
    seconds: Seconds = 6.0,
    warm: Seconds = 6.0,
    rounds: Count = 3,
    threads_at: Count = 1_600,
    gather: list[Literal["fast", "balanced", "cheap"]] | None = None,
    peer: list[str] | None = None,
    report: Report | None = None,
) -> int:
    """The running feed, all its processes, at steady rates: percent of one core, beside other libraries with the same load.

    Each gets single frames on the same schedule, from an exchange that is not counted: trade, agg_trade, book_ticker and depth (cryptofeed:
    without trade, at the same rate). Then which process and thread of ours
    takes how much, and how often it is woken.

    Parameters
    ----------
    rates
        Events a second, of all streams together.
    shards
        With how many workers.
    symbols
        How many, evenly mixed.
    seconds
        How long each is measured at each rate.
    warm
        How long each runs before the first of them; a fourth of it before the others.
    rounds
        Interleaved runs of each, with a new start; the medians count.
    threads_at
        At which rate the threads are told apart.
    gather
        In which profiles.
    peer
        Of the other libraries only these (any part of their names; "none": none).
    report
        Write all figures to this JSON file.
    """
    asked = rates or [500, 1_600, 5_000, 20_000]
    each = steady_loads.contestants.ours(shards or [1, 8], gather or ["balanced"])
    each += steady_loads.contestants.theirs(peer or [""], comparison.interpreter_of)
    found = steady_loads.compare(each, asked, symbols, rounds, seconds, warm)
    tell(steady_loads.rows(found, asked), report, title="CPU (% of one core)")
    told = threads_at if threads_at in asked else asked[0]
    for name, of_rates in found.items():
        if name.startswith("tree"):
            threads = steady_loads.by_thread(of_rates[told])
            tell(threads, _beside(report, name), title=f"{name}, {told:,} events/s: what each thread takes")
    return 0


@app.command
def everything(directory: Path, *, rounds: Count = 3, recording: Recordings | None = None) -> int:
    """All of it with a report for each in this directory, and the figures of tests/bench/README.md from them. Takes three quarters of an hour.

    Parameters
    ----------
    directory
        Where the reports go.
    rounds
        Interleaved runs of each.
    recording
        See ``path``.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path(
        kind=["trade", "agg_trade", "book_ticker", "depth"],
        symbols=[10],
        way=["worker"],
        rounds=rounds,
        recording=recording,
        report=directory / "path.json",
    )
    pipeline(rounds=rounds, report=directory / "pipeline.json")
    pipeline(symbols=[100], shards=[1, 2, 4, 8], rounds=rounds, report=directory / "shards.json")
    pipeline(
        symbols=[100], subscribers=[1, 10, 100], events=40_000, rounds=rounds, report=directory / "subscribers.json"
    )
    pipeline(symbols=[10], frames_a_write=1, rounds=rounds, report=directory / "saturation.json")
    load(rounds=rounds, report=directory / "load.json")
    latency(rounds=rounds, report=directory / "latency.json")
    rotating(rounds=rounds, report=directory / "rotating.json")
    log(rounds=rounds, report=directory / "log.json")
    steady(rounds=rounds, report=directory / "steady.json")
    footprint(rotations=500, report=directory / "footprint.json")
    peers(rounds=rounds, tls=True, report=directory / "peers.json")
    return plot(directory)


@app.command
def plot(directory: Path, *, figures: Path = FIGURES) -> int:
    """Draw the figures of tests/bench/README.md from the reports of ``everything``.

    Parameters
    ----------
    directory
        Where the reports are.
    figures
        Where the figures go.
    """
    interpreter = environments.python(environments.ROOT / ".bench" / "plots", PLOTS)
    script = Path(__file__).parent / "plotting.py"
    return subprocess.run([str(interpreter), str(script), str(directory), str(figures)], check=False).returncode


def _beside(report: Path | None, name: str) -> Path | None:
    """The file for one part of a report."""
    return report and report.with_stem(f"{report.stem}-{name.replace(', ', '-').replace(' ', '-')}")


def can_read(way: str, kind: str) -> bool:
    """Whether there is such a measurement."""
    return (way != "websockets_msgspec" or kind in SHAPES) and (way != "drain" or kind != RECORDED)


def interleaved(
    names: Sequence[str], cases: Mapping[tuple[Any, ...], Any], measured: Callable[[Any], dict[str, float]], rounds: int
) -> list[dict[str, Any]]:
    """Each case measured ``rounds`` times in turn: a row of medians for each."""
    figures: dict[tuple[Any, ...], list[dict[str, float]]] = {}
    for _, (key, case) in itertools.product(range(rounds), cases.items()):
        figures.setdefault(key, []).append(measured(case))
    return [
        {
            **dict(zip(names, key, strict=True)),
            **{name: statistics.median(run[name] for run in runs) for name in runs[0]},
        }
        for key, runs in figures.items()
    ]


@app.command
def peers(
    *,
    kind: Literal["trade", "agg_trade"] = "trade",
    symbols: Count = 10,
    events: Count = 50_000,
    rounds: Count = 3,
    tls: bool = False,
    peer: list[str] | None = None,
    report: Report | None = None,
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


@app.command
def footprint(
    *, shards: Count = 8, starts: Count = 3, rotations: int = 0, plain: bool = False, report: Report | None = None
) -> int:
    """The whole running feed: seconds from the command to the first event at a subscriber, memory by process.

    Parameters
    ----------
    shards
        How many workers.
    starts
        How many starts; the median of their seconds counts, the memory is that of the last.
    rotations
        Look at the memory again after so many rotations, four seconds of each connection (500 take five minutes).
    plain
        Without TLS, as a demonstration; the venue speaks TLS.
    report
        Write all figures to this JSON file.
    """
    with tempfile.TemporaryDirectory(prefix="k2-bench-") as directory:
        found = tree.run(shards, starts, rotations, Path(directory), secure=not plain)
    rotated = found["rotated"] or {}
    grown = rotated.get("rss_kb_a_rotation", {})
    layer = "TLS" if found["tls"] else "plain"
    table = Table()
    table.add_column("process")
    for column in ("RSS MB", "PSS MB", *([f"RSS kB a rotation ({rotated['rotations']})"] if rotated else [])):
        table.add_column(column, justify="right")
    for name, figures in {**found["at_rest"], "sum": found["sum"]}.items():
        growth = [f"{grown[name]:.2f}"] if name in grown else []
        table.add_row(name, f"{figures['rss_mb']:.1f}", f"{figures['pss_mb']:.1f}", *growth)
    console = Console(width=130)
    console.print(f"{shards} shards, {layer}; {machine()}")
    console.print(
        f"first event after {found['first_event_s']:.2f} s, of every shard after {found['every_shard_s']:.2f} s"
    )
    console.print(table)
    if report is not None:
        report.write_text(json.dumps({"machine": machine(), **found}, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(app())
