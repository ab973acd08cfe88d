"""Faults in effect: those that have ended leave when there are many."""

from __future__ import annotations

from k2workers.simulator import faults
from k2workers.simulator.fault_set import MOST_FAULTS, FaultSet


def test_ended_faults_leave_when_there_are_too_many_and_others_stay() -> None:
    active = FaultSet(1)
    lasting = active.add(faults.parse("stall:stream=@trade", {}), 0.0)
    for number in range(3 * MOST_FAULTS):
        active.add(faults.parse("drop:for_s=1", {}), float(number))
    assert lasting in active and active.withheld("btcusdt@trade", 1e9)
    assert len(active.as_data()) <= MOST_FAULTS and len(active.messages) <= MOST_FAULTS


def test_a_refused_stream_is_counted_and_ends_after_its_count() -> None:
    active = FaultSet(1)
    fault = active.add(faults.parse("refuse_stream:stream=@depth,count=1", {}), 0.0)
    assert not active.refuses(["btcusdt@trade"], 1.0)
    assert active.refuses(["btcusdt@trade", "btcusdt@depth"], 1.0)
    assert not active.refuses(["btcusdt@depth"], 1.0)
    assert fault.acted == 1
