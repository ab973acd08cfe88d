"""Who stops when."""

from __future__ import annotations

from k2workers.supervision.stop_order import StopOrder, turns


def test_children_stop_in_the_direction_in_which_data_flows_those_of_one_turn_together() -> None:
    children = {
        "exchange": StopOrder.EXCHANGE, "aggregator": StopOrder.AGGREGATOR, "books": StopOrder.SUBSCRIBERS,
        "witness": StopOrder.SUBSCRIBERS, "worker-0": StopOrder.WORKERS, "worker-1": StopOrder.WORKERS,
    }  # fmt: skip
    assert turns(children) == [["worker-0", "worker-1"], ["aggregator"], ["books", "witness"], ["exchange"]]


def test_a_turn_that_nobody_has_is_left_out() -> None:
    assert turns({"worker-0": StopOrder.WORKERS, "books": StopOrder.SUBSCRIBERS}) == [["worker-0"], ["books"]]
    assert turns({}) == []
