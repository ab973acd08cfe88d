"""What may be set of any venue: whole for each, cheap to read, and by names that no two share."""

from __future__ import annotations

import subprocess
import sys

import pytest

from k2workers import venues
from k2workers.config import SETTINGS
from k2workers.errors import ConfigError
from k2workers.setting import settings_of
from k2workers.setting_owners import SHORT
from k2workers.venues.venue_settings import VenueSettings, ca_bundle_setting
from tests.support.waiting import WAIT_S


@pytest.mark.parametrize("name", venues.NAMES)
def test_of_each_venue_everything_can_be_set_that_the_feed_asks_of_any(name: str) -> None:
    own = settings_of(venues.settings_struct(name), name)
    assert {setting.key for setting in own.values()} >= {*VenueSettings.__struct_fields__}
    assert own.keys() <= SETTINGS.keys()
    assert {setting.key for setting in own.values() if setting.default is None} == {"symbols", "streams", "shards"}
    assert venues.load(name).stream_specs(venues.settings_struct(name).usual_streams, ["A"])


def test_no_two_settings_have_one_name_or_one_flag_and_no_venue_is_called_like_a_setting() -> None:
    listed = [setting for name in venues.NAMES for setting in settings_of(venues.settings_struct(name), name).values()]
    others = [setting for setting in SETTINGS.values() if not setting.table]
    assert len({setting.name for setting in listed + others}) == len(listed + others) == len(SETTINGS)
    assert len({setting.flag for setting in SETTINGS.values()}) == len(SETTINGS)
    assert not SETTINGS.keys() & {*venues.NAMES}


def test_a_name_that_is_of_whatever_venue_runs_is_shown_with_the_bounds_and_default_of_all_or_none() -> None:
    for setting in SHORT.values():
        told = {(own.bounds, own.default) for name in venues.NAMES for own in (SETTINGS[f"{name}_{setting.key}"],)}
        assert (setting.bounds, setting.default) in (told if len(told) == 1 else {("", None)})


@pytest.mark.parametrize("name", venues.NAMES)
def test_the_name_of_the_ca_bundle_for_words_is_one_that_can_be_set(name: str) -> None:
    assert ca_bundle_setting(name) == venues.load(name).ca_bundle_setting
    assert ca_bundle_setting(name) in SETTINGS


def test_the_settings_of_a_name_of_no_venue_are_refused_with_all_names() -> None:
    with pytest.raises(ConfigError, match="venue = 'okx': unknown; allowed: binance"):
        venues.settings_struct("okx")


def test_settings_are_read_without_the_code_of_any_venue() -> None:
    script = (
        "import sys, k2workers.config\nprint(*(name for name in sys.modules if name.startswith('k2workers.venues.')))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=WAIT_S)
    loaded = {*ended.stdout.split()} - {"k2workers.venues.venue_settings"}
    assert {name.count(".") for name in loaded if not name.endswith(".settings")} == {2}, loaded
    assert not {name for name in loaded if name.count(".") > 2 and not name.endswith(".settings")}
