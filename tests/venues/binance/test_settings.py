"""What a user says of a venue wins over what the venue says of itself."""

from __future__ import annotations

import pytest

from k2workers import venues
from k2workers.config import Settings, load
from k2workers.errors import ConfigError
from k2workers.venues.binance.settings import BOOK_LEVELS, CA_BUNDLE_SETTING, SPOT_SETTINGS


def test_the_venues_own_addresses_hold_until_others_are_given() -> None:
    assert Settings().of_venue == SPOT_SETTINGS
    given = Settings(binance_websocket_url="ws://elsewhere", binance_rest_url="").of_venue
    assert (given.websocket_url, given.rest_url) == ("ws://elsewhere", SPOT_SETTINGS.rest_url)


def test_the_name_of_the_setting_for_words_is_one_that_can_be_set() -> None:
    assert hasattr(Settings(), CA_BUNDLE_SETTING)
    assert {venues.load(name).ca_bundle_setting for name in venues.NAMES} == {CA_BUNDLE_SETTING}


@pytest.mark.parametrize("levels", BOOK_LEVELS)
def test_books_come_with_levels_that_the_venue_has(levels: int) -> None:
    assert load({"book_levels": levels}).book_levels == levels
    with pytest.raises(ConfigError, match="allowed: 100, 500, 1000, 5000"):
        load({"book_levels": levels + 1})
