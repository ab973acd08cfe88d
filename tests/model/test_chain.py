"""The whole chain through thousands of short lives with deaths anywhere: nothing silent, nothing twice, nothing out of order, every gauge true at rest.

``scripts/chaos model --minutes N`` runs the same for as long as one likes.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.chain import WEIGHTS, kind_of, live, script, shortest

LIVES = 1_200
PART = 100
"""Lives of one test: each is short, however busy the machine."""

STEPS = st.tuples(
    st.sampled_from([name for name, weight in WEIGHTS.items() for _ in range(weight)]), st.integers(0, 239)
)


@pytest.mark.parametrize("first", range(0, LIVES, PART))
def test_lives_of_a_random_script_hold(first: int) -> None:
    for seed in range(first, first + PART):
        steps = script(random.Random(seed), 50)
        try:
            live(steps)
        except Exception as error:  # noqa: BLE001 - whatever it is, the script that shows it is what helps
            short = shortest(steps, kind_of(error))
            pytest.fail(f"life {seed}: {error}\nthe shortest script that shows it: {short}")


@settings(max_examples=600)
@given(st.lists(STEPS, max_size=40))
def test_lives_that_hypothesis_looks_for_hold(steps: list[tuple[str, int]]) -> None:
    live(steps)
