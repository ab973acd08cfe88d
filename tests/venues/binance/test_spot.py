"""Binance spot as a whole: what of it is loaded when, and that its parts speak together."""

from __future__ import annotations

import json
import subprocess
import sys

from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.market_evidence import Evidence
from tests.support.waiting import WAIT_S

SPOT = BinanceSpot()


def test_whoever_imports_the_package_alone_carries_no_codec() -> None:
    script = "import sys, k2workers.venues.binance\nprint(*(name for name in sys.modules if name.startswith('k2workers.venues')))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=WAIT_S)
    assert ended.stdout.split() == ["k2workers.venues", "k2workers.venues.binance"]


def test_the_streams_of_a_kind_are_subscribed_by_the_names_that_its_messages_have() -> None:
    specs = SPOT.stream_specs(["trade"], ["AAAUSDT", "BBBUSDT"])
    (names,) = SPOT.subscribe_chunks([spec.name for spec in specs])
    assert json.loads(SPOT.subscribe_message(names, 7)) == {
        "method": "SUBSCRIBE", "params": ["aaausdt@trade", "bbbusdt@trade"], "id": 7,
    }  # fmt: skip
    assert [topic.topic for topic in SPOT.codec(specs).topics] == ["binance.trade.AAAUSDT", "binance.trade.BBBUSDT"]


def test_of_a_kind_without_evidence_a_look_at_the_market_tells_nothing() -> None:
    assert (SPOT.evidence("trade"), SPOT.evidence("avg_price")) == (Evidence.OWN_TRADES, Evidence.NONE)
