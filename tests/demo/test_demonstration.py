"""What a demonstration adds to a feed, what it proves, and that a feed without one carries none of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from k2workers import venues
from k2workers.config import Settings
from k2workers.demo.demonstration import EXCHANGE, WITNESS, Demonstration, proof
from k2workers.venues.binance.spot import BinanceSpot
from tests.support.told import LOGS
from tests.support.waiting import WAIT_S

ROOT = Path(__file__).resolve().parents[2]

PARENT = """
import sys, time
from k2workers.processes import bootstrap
from k2workers.config import Settings
from k2workers.processes import places, topology
settings = Settings(run_dir=sys.argv[1], demo=sys.argv[2] == "demo")
with places.held(settings) as held:
    topology.Topology(settings, held)
print(*sys.modules)
"""


def made(**settings: Any) -> Demonstration:
    return Demonstration(Settings(demo=True, **settings), LOGS)


SEVERAL = ["binance", "binance_us"]


def test_its_exchange_takes_any_port_and_as_many_events_as_were_asked_for() -> None:
    spec = made(demo_rate=250.0).exchange("binance")
    assert spec.name == EXCHANGE
    assert (spec.settings.simulator.port, spec.settings.simulator.rate) == (0, 250.0)
    assert made().exchange("binance", 4711).settings.simulator.port == 4711, "where it listened before"
    assert Demonstration.addresses({"ws_port": 81, "rest_port": 82}) == ("ws://127.0.0.1:81", "http://127.0.0.1:82")


def test_the_witness_reads_what_the_aggregator_publishes_of_the_venue() -> None:
    witness = made().witness("tcp://127.0.0.1:1", "tcp://127.0.0.1:2").settings
    assert (witness.endpoint, witness.snapshot_endpoint) == ("tcp://127.0.0.1:1", "tcp://127.0.0.1:2")
    assert witness.prefixes == ("binance.",)


def test_each_of_several_venues_has_an_exchange_of_its_own_and_one_witness_reads_all() -> None:
    demonstration = made(venue=SEVERAL)
    assert [demonstration.exchange(venue).name for venue in SEVERAL] == ["exchange-binance", "exchange-binance_us"]
    assert demonstration.witness("", "").settings.prefixes == ("binance.", "binance_us.")


def test_the_truth_of_several_venues_is_of_all_their_topics() -> None:
    demonstration = made(venue=SEVERAL)
    streams = {venue: venues.load(venue).stream_specs(["trade"], ["BTCUSDT"]) for venue in SEVERAL}
    records: dict[tuple[str, str], dict[str, Any]] = {
        (demonstration.exchange(venue).name, "emitted"): {
            "topics": {"btcusdt@trade": {"emitted": 1, "ranges": [[number, number]]}}, "left_out": {"x": number},
        }
        for number, venue in enumerate(SEVERAL, 1)
    }  # fmt: skip
    records[WITNESS, "received"] = {"topics": {"binance_us.trade.BTCUSDT": {"received": 1, "ranges": [[2, 2]]}}}
    truth = demonstration.truth(records, streams, {})
    assert (truth["emitted"], truth["received"], truth["lost"], truth["left_out"]) == (2, 1, 1, {"x": 3})


def test_the_truth_is_of_the_streams_of_single_symbols_by_topic() -> None:
    one = {"emitted": 1, "ranges": [[7, 7]]}
    emitted = dict.fromkeys(("btcusdt@trade", "币usdt@depth@100ms", "btcusdt@aggTrade", "!miniTicker@arr"), one)
    streams = BinanceSpot().stream_specs(["trade", "depth"], ["BTCUSDT", "币USDT"])
    received = {"binance.trade.BTCUSDT": {"received": 1, "ranges": [[7, 7]]}}
    records: dict[tuple[str, str], dict[str, Any]] = {
        (EXCHANGE, "emitted"): {"topics": emitted, "left_out": {"x": 2}},
        (WITNESS, "received"): {"topics": received},
    }
    truth = made().truth(records, {"binance": streams}, {"worker-0": 4})
    assert (truth["emitted"], truth["received"], truth["lost"], truth["left_out"]) == (2, 1, 1, {"x": 2})
    assert truth["restarts"] == 0, "of others"
    assert truth["by_kind"].keys() == {"trade", "depth"}
    assert made().truth({}, {"binance": streams}, {})["emitted"] == 0


def test_nothing_is_claimed_of_what_the_witness_did_not_come_to_tell() -> None:
    truth = made().truth({}, {}, {})
    with capture_logs() as logs:
        made().tell(truth, 3, {})
        assert logs == []
        made().tell(truth, 3, {(WITNESS, "received"): {}})
    assert [(line["event"], line["rotations"], line["lost"]) for line in logs] == [("demonstrated", 3, 0)]


def test_a_demonstration_proves_itself_in_plain_words() -> None:
    truth = {
        "emitted": 246_384,
        "received": 246_384,
        "lost": 0,
        "unannounced": 0,
        "duplicated": 0,
        "reordered": 0,
        "restarts": 0,
    }
    assert proof(truth, 118) == (
        "The exchange emitted 246,384 events across 118 rotations.\n"
        "An independent reader received 246,384: lost 0, repeated 0, out of order 0."
    )
    truth |= {"received": 246_370, "lost": 1_014, "unannounced": 7, "duplicated": 1_000}
    assert proof(truth, 1) == (
        "The exchange emitted 246,384 events across 1 rotation.\n"
        "An independent reader received 246,370: lost 1,014 (7 of them unannounced), repeated 1,000, out of order 0."
    )


def test_a_demonstration_whose_exchange_or_reader_was_restarted_claims_nothing() -> None:
    truth = made().truth({}, {}, {EXCHANGE: 1, WITNESS: 2})
    assert truth["restarts"] == 3
    assert proof(truth, 1).splitlines()[-1] == (
        "The exchange or the reader was restarted meanwhile and counted from zero: these figures prove nothing."
    )


@pytest.mark.parametrize("kind", ["live", "demo"])
def test_the_parent_of_a_live_feed_imports_nothing_of_a_demonstration(kind: str, tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", PARENT, str(tmp_path), kind], cwd=ROOT, capture_output=True, text=True, check=True, timeout=WAIT_S,
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
    )  # fmt: skip
    of_it = {name for name in found.stdout.split() if name.startswith("k2workers.demo")}
    if kind == "demo":
        assert of_it == {"k2workers.demo", "k2workers.demo.demonstration", "k2workers.demo.demo_settings"}
    else:
        assert of_it == set()
