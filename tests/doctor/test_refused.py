"""What to do about a venue's refusal."""

from __future__ import annotations

import pytest

from k2workers.doctor.refused import advice


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (451, "region block"),
        (403, "firewall in front of the venue"),
        (418, "banned"),
        (429, "used up its limit"),
        (503, "ill or under maintenance"),
        (404, "does not know what the feed asks"),
        (302, "page to log in"),
        (0, "https_proxy"),
    ],
)
def test_each_refusal_has_its_advice(status: int, words: str) -> None:
    assert words in advice(status, 0.0)


def test_a_time_that_the_venue_named_is_told() -> None:
    assert "try again in 90 s" in advice(418, 90.0)
    assert "try again in a few minutes" in advice(418, 0.0)
