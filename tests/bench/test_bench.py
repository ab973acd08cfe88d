"""The benchmark's own parts work: pump, readers and meter, on few events. Nothing is installed and no time is judged."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.bench import log_lag
from tests.bench.frames import symbols
from tests.bench.measuring import Certificate, RunFailedError, against_pump, certificate, measure, process
from tests.bench.peers.table import ENVIRONMENTS, PEERS
from tests.bench.pump import Pumping
from tests.bench.readers import Reading

EVENTS = 2_000

PEER = """
import sys, json
from meter import PeerMeter, asked
from websockets.sync.client import connect
asked = asked()
meter = PeerMeter(asked)
with connect(asked.base_url + "/stream", compression=None) as connection:
    connection.send(json.dumps({"method": "SUBSCRIBE", "params": asked.streams, "id": 1}))
    for message in connection:
        if meter.count():
            meter.finish(asked.id_in(message) + SHIFT)
"""
"""A peer that, like some, asks for its streams after it has connected."""


@pytest.mark.parametrize("layer", ["TCP", "TLS"])
@pytest.mark.parametrize("way", ["decode", "websockets", "websockets_msgspec", "drain"])
def test_every_way_reads_all_that_the_pump_sends(way: str, layer: str) -> None:
    with certificate() as made:
        files = made if layer == "TLS" else Certificate()
        pumping = Pumping(events=EVENTS, certificate=files.chain, time_unit_us=1_000)
        found = measure(way, pumping, Reading(port=0, events=EVENTS, ca_bundle=files.bundle, time_unit_us=1_000))
    assert found["us"] > 0
    assert found["pump_us"] > 0


@pytest.mark.parametrize("kind", ["trade", "agg_trade"])
def test_the_worker_pushes_all_that_the_pump_sends(kind: str) -> None:
    with process("tests.bench.readers", "sink", '{"port":0}') as (endpoint, _):
        found = measure(
            "worker", Pumping(kind=kind, events=EVENTS), Reading(port=0, kind=kind, events=EVENTS, push=endpoint)
        )
    assert found["us"] > 0


def peer_run(directory: Path, shift: int) -> dict[str, float]:
    script = directory / "reader.py"
    script.write_text(f"SHIFT = {shift}\n{PEER}", encoding="utf-8")
    asked = {"kind": "trade", "symbols": symbols(7), "events": EVENTS}
    return against_pump(
        Pumping(symbols=7, events=EVENTS),
        lambda port: [sys.executable, str(script), json.dumps({**asked, "port": port})],
        {"PYTHONPATH": "tests/bench/peers"},
    )


def test_a_peer_that_got_everything_tells_its_figures(tmp_path: Path) -> None:
    assert peer_run(tmp_path, 0)["events_per_s"] > 0


def test_a_peer_whose_last_id_is_wrong_fails(tmp_path: Path) -> None:
    with pytest.raises(RunFailedError, match="the last id is 287, not 286; 0 events missing"):
        peer_run(tmp_path, 1)


def test_every_peer_has_its_script_its_environment_and_a_version() -> None:
    for peer in PEERS:
        compile(Path("tests/bench/peers", peer.script).read_text(encoding="utf-8"), peer.script, "exec")
    assert {peer.environment for peer in PEERS} == set(ENVIRONMENTS)
    assert len({peer.name for peer in PEERS}) == len(PEERS)
    assert all(pin.count("==") == 1 for pins in ENVIRONMENTS.values() for pin in pins)


@pytest.mark.parametrize("reads", [True, False])
def test_a_process_that_logs_tells_how_late_its_turns_came_and_what_it_dropped(reads: bool) -> None:
    found = log_lag.measure(reads, 100_000, 1.0)
    assert found["turns"] > 0
    assert found["longest"] >= found["own longest"] >= found["own p50"] >= 0
    assert reads or found["dropped"] > 0
