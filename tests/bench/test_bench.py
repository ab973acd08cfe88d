"""The benchmark's own parts work: pump, readers and meter, on few events. Nothing is installed and no time is judged."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import log_lag
from tests.bench.frames import BEGAN_US, KINDS, symbols
from tests.bench.measuring import Certificate, RunFailedError, against_pump, certificate, measure, process
from tests.bench.peers.table import ENVIRONMENTS, PEERS
from tests.bench.pump import Pumping
from tests.bench.readers import Reading
from tests.bench.steady import comparison, contestants
from tests.bench.steady.exchange import Sending
from tests.bench.steady.ready import FIRST_ID, Ready

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


@pytest.mark.parametrize("shards", [1, pytest.param(2, marks=pytest.mark.long)])
def test_under_a_steady_load_all_processes_and_threads_of_the_tree_are_counted_and_nothing_is_missing(
    shards: int,
) -> None:
    (one, bare) = contestants.ours([shards], ["balanced"])
    found = comparison.compare([one, bare], [200], symbols=4, rounds=1, seconds=1.0, warm_s=1.0)
    ((window,), (alone,)) = found[one.name][200], found[bare.name][200]
    assert window.had_per_s
    threads = comparison.by_thread([window])
    processes = {row["process"] for row in threads}
    assert processes >= {"parent", "aggregator", "books", "worker", "(subscriber)"}
    assert {row["thread"] for row in threads if row["process"] == "worker"} >= {"main", "ZMQbg/IO/0"}
    assert comparison.percent(window) > comparison.percent(alone) > 0
    taken = sum(row["% of a core"] for row in threads if row["process"] != "(subscriber)")
    assert comparison.percent(window) == pytest.approx(taken)
    ((row,),) = (comparison.rows(found, [200]),)
    assert row.keys() == {"events/s", one.name, bare.name}


def test_one_that_has_not_had_the_steady_load_is_told_and_has_no_figures(capsys: pytest.CaptureFixture[str]) -> None:
    bare = contestants.ours([], ["balanced"])[0]

    @contextlib.contextmanager
    def half(port: int, sending: Sending) -> Iterator[contestants.Running]:
        with bare.start(port, sending) as running:
            yield contestants.Running(running.processes, lambda: int(contestants.ask(port, "/sent")["events"]) // 2)

    found = comparison.compare(
        [contestants.Contestant("half", half)], [200], symbols=4, rounds=1, seconds=2.0, warm_s=0.1
    )
    assert not found
    assert re.search(r"half: was sent \d+/s and had \d+/s", capsys.readouterr().err)


@pytest.mark.parametrize("unit_us", [1, 1_000])
@pytest.mark.parametrize("kind", KINDS)
def test_a_ready_frame_holds_the_id_and_the_time_that_it_is_sent_with(kind: str, unit_us: int) -> None:
    ready, now_us = Ready(kind, "S001USDT", unit_us), BEGAN_US + 7_000_000
    first, second = (ready.frame(FIRST_ID + number, now_us) for number in (0, 1_234))
    assert len(first) == len(second)
    data = json.loads(second[second.index(b"{") :])["data"]
    ids = [data[name] for name in ("t", "a", "f", "l", "u", "U") if isinstance(data.get(name), int)]
    assert set(ids) == {FIRST_ID + 1_234}
    assert {data[name] for name in ("E", "T") if name in data} <= {now_us // unit_us}
