"""The delay before trying again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers.backoff import Backoff

BACKOFF = Backoff(first_ns=1_000, cap_ns=60_000)


@pytest.mark.parametrize("attempt", [0, -1])
def test_the_first_retry_is_at_once(attempt: int) -> None:
    assert BACKOFF.delay_ns(attempt, 0.99) == 0


def test_delays_double_up_to_the_cap() -> None:
    assert [BACKOFF.delay_ns(n, 0.0) * 2 for n in range(1, 9)] == [
        1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000,
    ]  # fmt: skip


def test_another_factor_grows_faster() -> None:
    assert Backoff(first_ns=1_000, cap_ns=60_000, factor=3).delay_ns(3, 0.0) == 4_500


@given(attempt=st.integers(1, 10**9), jitter=st.floats(0, 1, exclude_max=True))
def test_a_delay_is_never_under_half_of_its_step_nor_over_the_cap(attempt: int, jitter: float) -> None:
    step_ns = min(60_000, 1_000 * 2 ** min(attempt - 1, 64))
    assert step_ns // 2 <= BACKOFF.delay_ns(attempt, jitter) <= step_ns
