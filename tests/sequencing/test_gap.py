"""How ids of one topic follow each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers.sequencing.gap import Step, chain_step


def test_the_first_event_of_a_topic_begins_its_chain() -> None:
    assert chain_step(None, 42, 42) is Step.NEXT


@pytest.mark.parametrize(
    ("first_id", "last_id", "step"),
    [
        (11, 11, Step.NEXT),
        (11, 15, Step.NEXT),
        (10, 10, Step.OLD),
        (3, 10, Step.OLD),
        (10, 11, Step.OVERLAPS),
        (3, 15, Step.OVERLAPS),
        (12, 12, Step.AHEAD),
        (12, 20, Step.AHEAD),
    ],
)
def test_an_event_after_id_10(first_id: int, last_id: int, step: Step) -> None:
    assert chain_step(10, first_id, last_id) is step


@given(last=st.integers(0, 60), first=st.integers(0, 60), length=st.integers(0, 20))
def test_the_step_says_which_ids_are_new_and_which_are_missing(last: int, first: int, length: int) -> None:
    had, event = set(range(last + 1)), set(range(first, first + length + 1))
    missing = set(range(last + 1, first))
    step = chain_step(last, first, first + length)
    if not event - had:
        assert step is Step.OLD
    elif missing:
        assert step is Step.AHEAD
    elif event & had:
        assert step is Step.OVERLAPS
    else:
        assert step is Step.NEXT
