"""The numbers and slots of several venues: unique, shared by those that live equally long, and the same whoever begins first."""

from __future__ import annotations

import itertools

import pytest

from k2workers.processes.shard_numbers import Numbers, ShardNumbers, worker_name


def made(*needed: tuple[str, int, int]) -> ShardNumbers:
    """Venues with so many shards, each with one slot, and this lifetime."""
    numbers = ShardNumbers()
    for venue, shards, lifetime_ns in needed:
        numbers.expect(venue, shards=shards, slots=shards, lifetime_ns=lifetime_ns)
    return numbers


def test_a_venue_alone_has_the_slots_of_the_shards_that_run() -> None:
    assert made(("a", 8, 100)).begin("a", 3) == Numbers(first_shard=0, first_slot=0, slots=3)


@pytest.mark.parametrize("order", [*itertools.permutations("abc")])
def test_all_that_live_equally_long_share_the_slots_whoever_begins_first(order: tuple[str, ...]) -> None:
    numbers = made(("a", 2, 100), ("b", 3, 100), ("c", 1, 100))
    slots = {"a": 2, "b": 3, "c": 1}
    found = {venue: numbers.begin(venue, slots[venue]) for venue in order}
    assert found == {"a": Numbers(0, 0, 6), "b": Numbers(2, 2, 6), "c": Numbers(5, 5, 6)}


def test_another_lifetime_has_slots_of_its_own_and_no_number_twice() -> None:
    numbers = made(("a", 2, 100), ("b", 2, 50), ("c", 2, 100))
    found = {venue: numbers.begin(venue, 2) for venue in "abc"}
    assert found == {"a": Numbers(0, 0, 4), "b": Numbers(2, 0, 2), "c": Numbers(4, 2, 4)}


def test_how_many_slots_there_are_stays_once_somebody_runs_with_them() -> None:
    numbers = made(("a", 4, 100), ("b", 4, 100))
    assert numbers.begin("b", 1) == Numbers(first_shard=4, first_slot=4, slots=5)
    assert numbers.begin("a", 2) == Numbers(first_shard=0, first_slot=0, slots=5), "fewer leave some of theirs free"


def test_a_worker_is_called_by_its_shard() -> None:
    assert worker_name(3) == "worker-3"
