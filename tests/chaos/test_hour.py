"""The short form of the long proof of everything, and its judge."""

from __future__ import annotations

import random

import pytest

from tests.chaos import hour
from tests.chaos.table import TABLE


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_faults_in_random_order_lose_nothing_and_the_report_adds_up() -> None:
    faults = ("messages dropped", "worker killed", "reset of all lines")
    figures = await hour.run(0.2, shards=2, rate=1500.0, faults=faults)
    assert figures["failures"] == []
    assert figures["strikes"] >= 1
    assert figures["by_kind"]["trade"]["emitted"] > 1_000


def test_the_faults_that_are_treated_apart_are_in_the_table() -> None:
    assert {*hour.LEFT_OUT, *hour.TWO_DIE, hour.AT_THE_END} <= TABLE.keys()


def test_each_fault_strikes_as_often_as_every_other() -> None:
    deck = hour.shuffled(["a", "b", "c"], random.Random(1))
    struck = [next(deck) for _ in range(9)]
    assert [struck.count(name) for name in "abc"] == [3, 3, 3]


def test_a_run_whose_only_fault_is_the_one_for_the_end_waits_for_no_other() -> None:
    assert list(hour.shuffled([], random.Random(1))) == []


def test_what_grew_is_told_and_what_moves_a_little_is_not() -> None:
    made = hour.Hour.__new__(hour.Hour)
    made.samples = [hour.Sample(float(n), {"parent": 60.0 + n % 2, "books": 40.0 + n}, 100.0, 3) for n in range(80)]
    assert made.grown() == ["MB of books grew from 70 to 110"]
