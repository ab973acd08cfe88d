"""What may be set of Binance's markets agrees with what the venue documents, and what a user says wins over it."""

from __future__ import annotations

import pytest

from k2workers.config import SETTINGS, Settings, load
from k2workers.errors import ConfigError
from k2workers.venues.binance.limits import SPOT_LIMITS
from k2workers.venues.binance.settings import SpotSettings, UsSettings


def test_the_venues_own_addresses_hold_until_others_are_given() -> None:
    assert Settings().of_venue("binance") == SpotSettings()
    given = load({"binance_websocket_url": "ws://elsewhere", "binance_rest_url": ""}).of_venue("binance")
    assert (given.websocket_url, given.rest_url) == ("ws://elsewhere", SpotSettings().rest_url)


def test_markets_differ_in_their_addresses_alone() -> None:
    own, other = SpotSettings(), UsSettings()
    assert {key for key in own.__struct_fields__ if getattr(own, key) != getattr(other, key)} == {
        "websocket_url",
        "rest_url",
    }


def test_no_connection_is_to_live_longer_than_the_venue_lets_it() -> None:
    most = SETTINGS["binance_connection_max_lifetime_hours"].about.le
    assert most is not None and most * 3.6e12 == SPOT_LIMITS.max_connection_age_ns


@pytest.mark.parametrize("levels", [100, 500, 1000, 5000])
@pytest.mark.parametrize("name", ["book_levels", "binance_book_levels"])
def test_books_come_with_levels_that_the_venue_has(name: str, levels: int) -> None:
    assert load({name: levels}).of_venue("binance").book_levels == levels
    with pytest.raises(ConfigError, match=rf"^{name} = {levels + 1}: unknown; allowed: 100, 500, 1000, 5000 \("):
        load({name: levels + 1})
