"""hftbacktest as its users load data: ``TIMES TICK LOT FILE …``. Writes as JSON its best prices in ticks at each of the times that the JSON file ``TIMES`` lists, after its own check of order.

Files of CSV go through its own converter for Tardis.dev first.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from hftbacktest import BacktestAsset, HashMapMarketDepthBacktest
from hftbacktest.data import validate_event_order
from hftbacktest.data.utils import tardis
from hftbacktest.types import event_dtype


def events_of(files: list[str]) -> list[Any]:
    """The events of each file, or of files of CSV together."""
    if files[0].endswith(".csv.gz"):
        with contextlib.redirect_stdout(sys.stderr):
            return [tardis.convert(files, buffer_size=2_000_000, ss_buffer_size=100_000)]
    return [np.load(file)["data"] for file in files]


def backtest(events: list[Any], tick: float, lot: float) -> Any:
    """The asset of a user's program: nothing is traded, so fees and latencies of orders do not matter."""
    asset = (
        BacktestAsset()
        .data(events)
        .linear_asset(1.0)
        .constant_order_latency(0, 0)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(0.0, 0.0)
        .tick_size(tick)
        .lot_size(lot)
        .last_trades_capacity(1_000_000)
    )
    return HashMapMarketDepthBacktest([asset])


def best_of(depth: Any) -> list[int | None]:
    """Bid and ask in ticks; None of a side without a level."""
    prices = (depth.best_bid, depth.best_bid_tick), (depth.best_ask, depth.best_ask_tick)
    return [None if np.isnan(price) else tick for price, tick in prices]


def main() -> None:
    """Load, check, walk."""
    times, tick, lot, *files = sys.argv[1:]
    events = events_of(files)
    for data in events:
        assert data.dtype == event_dtype, data.dtype
        validate_event_order(data)
    hbt = backtest(events, float(tick), float(lot))
    hbt.elapse(0)  # its clock begins with the first event
    best, trades = [], 0
    for at_ns in json.loads(Path(times).read_text(encoding="utf-8")):
        hbt.elapse(at_ns - hbt.current_timestamp)
        best.append([at_ns, *best_of(hbt.depth(0))])
        trades += len(hbt.last_trades(0))
        hbt.clear_last_trades(0)
    json.dump({"events": sum(map(len, events)), "best": best, "trades": trades}, sys.stdout)
    hbt.close()


main()
