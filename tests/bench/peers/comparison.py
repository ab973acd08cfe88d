"""Owns the comparison: our own ways and every peer on the same frames, in turn, and how many times our worker's time each takes."""

from __future__ import annotations

import itertools
import json
import os
import statistics
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench import frames
from tests.bench.measuring import Certificate, RunFailedError, against_pump, certificate, measure, process
from tests.bench.peers.table import ENVIRONMENTS, PEERS, Peer
from tests.bench.pump import Pumping
from tests.bench.readers import Reading
from tests.support import environments

WAYS = {
    "worker": "batches, pushed", "decode": "events", "drain": "nothing", "websockets": "dict", "websockets_msgspec": "struct",
}  # fmt: skip
"""Ways of our own readers, and what they give; those of ``websockets`` need no environment of their own."""

A_WRITE = (64, 1)
"""Frames a write of the pump."""

MILLISECONDS = 1_000
"""The unit of the times in the frames, which peers take for granted; our worker reads the same bytes."""

Run = Callable[[Pumping, Certificate], dict[str, float]]


class Contestant(NamedTuple):
    """Who reads what; ``run`` is None if it could not be installed, for the reason in ``note``."""

    name: str
    gives: str
    kind: str
    run: Run | None
    note: str = ""
    layers: tuple[str, ...] = ("TCP", "TLS")


def compare(
    kind: str, symbols: int, events: int, rounds: int, layers: Iterable[str], wanted: list[str]
) -> list[dict[str, Any]]:
    """A row for each contestant, layer and number of frames a write; also for those that could not be measured, and why."""
    peers = [peer for peer in PEERS if any(part in peer.name for part in wanted)]
    with (
        certificate() as made,
        process("tests.bench.readers", "sink", '{"port":0}') as (endpoint, _),
        process("tests.bench.floor", "forward") as (bare, _),
    ):
        contestants = _contestants(kind, peers, endpoint, bare.split()[0])
        cases = list(itertools.product(layers, A_WRITE))
        runs: dict[tuple[str, int, Contestant], list[dict[str, float]]] = {}
        failures: dict[tuple[str, int, Contestant], str] = {}
        for _, (layer, a_write), contestant in itertools.product(range(rounds), cases, contestants):
            case = (layer, a_write, contestant)
            if contestant.run is None or layer not in contestant.layers or case in failures:
                continue
            files = made if layer == "TLS" else Certificate()
            pumping = Pumping(
                kind=contestant.kind, symbols=symbols, events=events, frames_a_write=a_write,
                certificate=files.chain, time_unit_us=MILLISECONDS,
            )  # fmt: skip
            try:
                runs.setdefault(case, []).append(contestant.run(pumping, files))
            except RunFailedError as error:
                if contestant.name == "worker":
                    raise  # there is nothing to hold the others against
                failures[case] = str(error).splitlines()[-1]
                sys.stderr.write(f"scripts/bench: {contestant.name} ({layer}, {a_write}) failed: {error}\n")
    rows: list[dict[str, Any]] = []
    for (layer, a_write), contestant in itertools.product(cases, contestants):
        case = (layer, a_write, contestant)
        worker = next(one for one in contestants if one.name == "worker" and one.kind == contestant.kind)
        note = contestant.note if layer in contestant.layers else f"not over {layer}"
        rows.append(
            {
                "layer": layer, "a write": a_write, "reader": contestant.name, "kind": contestant.kind, "gives": contestant.gives,
                **_figures([] if case in failures else runs.get(case, []), runs[layer, a_write, worker]),
                "note": failures.get(case, note),
            }
        )  # fmt: skip
    return rows


def _figures(own: list[dict[str, float]], workers: list[dict[str, float]]) -> dict[str, Any]:
    """Medians, and the median of the ratios of each round."""
    if not own:
        return {"us": None, "ratio": None, "pump_us": None, "runs_us": []}
    return {
        "us": statistics.median(run["us"] for run in own),
        "ratio": statistics.median(run["us"] / worker["us"] for run, worker in zip(own, workers, strict=True)),
        "pump_us": statistics.median(run["pump_us"] for run in own),
        "runs_us": [run["us"] for run in own],
    }


def _contestants(kind: str, peers: list[Peer], endpoint: str, bare: str) -> list[Contestant]:
    """Our worker also for kinds that some peer reads instead, so that nobody is held against other frames."""
    interpreters = {name: interpreter_of(name) for name in {peer.environment for peer in peers}}
    theirs = []
    for peer in peers:
        interpreter, read = interpreters[peer.environment], kind if kind in peer.kinds else peer.kinds[0]
        run, note = (
            (None, interpreter) if isinstance(interpreter, str) else (partial(_run_peer, peer, interpreter, bare), "")
        )
        theirs.append(Contestant(peer.name, peer.gives, read, run, note, peer.layers))
    ours = [(way, kind) for way in WAYS] + [("worker", other) for other in {peer.kind for peer in theirs} - {kind}]
    return [Contestant(way, WAYS[way], read, partial(_run_ours, way, endpoint)) for way, read in ours] + theirs


def interpreter_of(environment: str) -> Path | str:
    """Of an environment, or why there is none."""
    try:
        return environments.python(environments.ROOT / ".bench" / environment, ENVIRONMENTS[environment])
    except environments.NotInstalledError as error:
        return f"not installed: {error}"


def _run_ours(way: str, endpoint: str, pumping: Pumping, files: Certificate) -> dict[str, float]:
    reading = Reading(
        port=0, kind=pumping.kind, symbols=pumping.symbols, events=pumping.events, push=endpoint,
        ca_bundle=files.bundle, time_unit_us=pumping.time_unit_us,
    )  # fmt: skip
    return measure(way, pumping, reading)


def _run_peer(peer: Peer, interpreter: Path, push: str, pumping: Pumping, files: Certificate) -> dict[str, float]:
    asked: dict[str, Any] = {
        "kind": pumping.kind, "symbols": frames.symbols(pumping.symbols), "events": pumping.events,
        "ca_bundle": files.bundle, "way": peer.way, "push": push,
    }  # fmt: skip
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    if files.bundle:
        environment["SSL_CERT_FILE"] = files.bundle  # for libraries that have no setting for it
    script = str(Path(__file__).parent / peer.script)
    return against_pump(
        pumping, lambda port: [str(interpreter), script, json.dumps({**asked, "port": port})], environment
    )
