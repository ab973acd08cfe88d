"""What an answer of the venue says to everybody behind our address."""

from __future__ import annotations

import pytest

from k2workers.errors import AddressRefused, VenueError
from k2workers.network.venue_answers import SUCCESS, Answer


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (VenueError("no answer"), Answer()),
        (VenueError("an error of theirs", status=500), Answer(500)),
        (AddressRefused("too much", status=429, retry_after_s=3.0, weight_limit=1_200), Answer(429, 3.0, 1_200)),
    ],
)
def test_an_error_stands_for_the_answer_that_it_came_of(error: VenueError, answer: Answer) -> None:
    assert Answer.of(error) == answer
    assert answer != SUCCESS
