"""The judge of readiness: what it must find, and what it must let pass."""

from __future__ import annotations

import pytest

from tests.chaos.promise import Head, Promise

T, U = "binance.trade.T", "binance.trade.U"


def promised(base: dict[str, Head] | None = None) -> Promise:
    promise = Promise()
    promise.begin(base or {})
    return promise


@pytest.mark.parametrize("reached", [{T: (0, 7)}, {T: (0, 9)}, {T: (1, 2)}])
def test_what_came_or_was_superseded_keeps_the_promise(reached: dict[str, Head]) -> None:
    promise = promised()
    promise.sample(1.0, [], {T: (0, 7)}, reached)
    assert (promise.violations, promise.ready_samples, promise.wrong()) == (0, 1, [])


@pytest.mark.parametrize("reached", [{}, {T: (0, 6)}])
def test_a_feed_that_lies_is_found(reached: dict[str, Head]) -> None:
    promise = promised()
    promise.sample(1.0, [], {T: (0, 7), U: (0, -1)}, reached)
    promise.sample(1.5, [], {T: (0, 7)}, reached)
    (words,) = promise.wrong()
    assert promise.figures()["violations"] == 2
    assert words.startswith("ready 2 times while something was overdue: binance.trade.T: sent (0, 7), reached")


def test_old_ids_do_not_stand_in_for_those_of_a_new_life() -> None:
    promise = promised({T: (0, 1_000)})
    promise.sample(1.0, [], {T: (1, 5)}, {T: (0, 1_000)})
    assert promise.violations == 1
    promise.sample(1.5, [], {T: (1, 5)}, {T: (1, 5)})
    assert promise.violations == 1


def test_a_feed_that_is_not_ready_promises_nothing() -> None:
    promise = promised()
    promise.sample(1.0, ["streams_silent: worker-0 has 1"], {T: (0, 7)}, {})
    promise.sample(1.5, [], {T: (0, 7)}, {T: (0, 7)})
    assert promise.wrong() == []
    assert promise.figures()["unready_s"] == 0.5


def test_what_was_sent_before_the_beginning_or_while_the_subscriber_was_away_is_not_judged() -> None:
    promise = promised({T: (0, 7)})
    promise.sample(1.0, [], {T: (0, 7)}, {})
    promise.sample(1.5, [], {T: (0, 8)}, None)
    assert promise.violations == 0
    promise.sample(2.0, [], {T: (0, 8)}, {})
    assert promise.violations == 1


def test_not_being_ready_must_end_unless_the_weight_forbids_it() -> None:
    promise = promised()
    weight = "waiting_for_weight: about 40 s until the venue's limit allows the 50 that are wanted"
    for second, reasons in enumerate([[], ["gaps_open: worker-0 has 1"], ["gaps_open: worker-0 has 1", weight]]):
        promise.sample(float(second), reasons, {}, {})
    assert promise.wrong() == []
    promise.sample(5.0, ["gaps_open: worker-0 has 1"], {}, {})
    assert promise.wrong() == ["not ready in the end: gaps_open: worker-0 has 1"]
    figures = promise.figures()
    assert (figures["unready_s"], figures["waiting_for_weight_s"]) == (4.0, 3.0)


def test_only_some_examples_are_kept() -> None:
    promise = promised()
    for second in range(20):
        promise.sample(float(second), [], {T: (0, 7)}, {})
    assert (promise.violations, len(promise.examples)) == (20, 5)
