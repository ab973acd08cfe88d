"""Whose a setting is: what is said without a venue's name, of one venue, and of one that does not run."""

from __future__ import annotations

import msgspec
import pytest

from k2workers.config import SETTINGS
from k2workers.setting_owners import Said, by_whole_name, joined, mistaken, of_venues, said_of_another, short
from k2workers.venues.binance.settings import SpotSettings, UsSettings

BOTH = ("binance", "binance_us")


def test_a_name_without_a_venue_is_of_each_that_runs_unless_the_same_source_names_one() -> None:
    said = by_whole_name(
        [{"book_levels": 100, "shards": 3}, {"book_levels": 500, "binance_us_book_levels": 1000}], BOTH
    )
    assert said.values == {"binance_book_levels": 500, "binance_us_book_levels": 1000, "shards": 3}
    assert {name: setting.name for name, setting in said.called.items()} == {"binance_book_levels": "book_levels"}
    assert by_whole_name([{"book_levels": 100}], []) == Said({}, {}), "nothing runs that it could be of"


def test_what_was_said_once_of_several_venues_is_told_once() -> None:
    said = by_whole_name([{"rest_weight_share": 7, "shards": 0}], BOTH)
    wrong = {
        "shards": "too small",
        "binance_rest_weight_share": "too large",
        "binance_us_rest_weight_share": "too large",
    }
    found = [(each.setting.name, each.value, each.wrong) for each in mistaken(SETTINGS, said, wrong)]
    assert found == [("shards", 0, "too small"), ("rest_weight_share", 7, "too large")]
    del wrong["binance_rest_weight_share"]
    assert [each.wrong for each in mistaken(SETTINGS, said, wrong)] == ["too small", "at binance_us: too large"]


def test_a_name_without_a_venue_shows_bounds_and_default_only_where_all_venues_have_the_same() -> None:
    own = [SETTINGS[f"{venue}_book_levels"] for venue in BOTH]
    assert (short(own).bounds, short(own).default) == (own[0].bounds, 1000)
    differ = [own[0], msgspec.structs.replace(own[1], choices=(10, 20))]
    assert (short(differ).name, short(differ).bounds, short(differ).default) == ("book_levels", "", None)
    assert short(own).about.text.startswith("of the venue that runs: ")


def test_of_venues_with_bounds_of_their_own_each_tells_what_it_allows() -> None:
    settings = dict(SETTINGS)
    settings["binance_us_book_levels"] = msgspec.structs.replace(settings["binance_us_book_levels"], choices=(10, 20))
    called = short([settings[f"{venue}_book_levels"] for venue in BOTH])
    said = Said({f"{venue}_book_levels": 7 for venue in BOTH}, {f"{venue}_book_levels": called for venue in BOTH})
    (told,) = mistaken(settings, said, {f"{venue}_book_levels": "unknown" for venue in BOTH})
    assert told.setting.mistake(told.value, told.wrong, "flag --book-levels") == (
        "book_levels = 7: at binance: unknown; allowed: 100, 500, 1000, 5000; at binance_us: unknown; allowed: 10, 20 "
        "(flag --book-levels)"
    )


@pytest.mark.parametrize(
    ("wrong_at", "told"),
    [
        ({"a": ""}, ""),
        ({"a": "no"}, "no"),
        ({"a": "no", "b": "no"}, "no"),
        ({"a": "no", "b": ""}, "at a: no"),
        ({"a": "no", "b": "never"}, "at a: no; at b: never"),
        ({"venue": "venue has none", "b": ""}, "venue has none"),
    ],
)
def test_what_is_wrong_at_some_venues_is_told_with_their_names(wrong_at: dict[str, str], told: str) -> None:
    assert joined(wrong_at) == told


@pytest.mark.parametrize(
    ("said", "running", "meant"),
    [
        ("binance_rest_url", ["binance_us"], "binance_us_rest_url"),
        ("binance_rest_url", ["binance", "binance_us"], None),
        ("binance_rest_url", [], None),
        ("binance_us_rest_url", ["binance"], None),
        ("binance_symbols", ["binance_us"], None),
    ],
)
def test_only_what_was_once_of_every_market_is_missed_where_another_one_runs(
    said: str, running: list[str], meant: str | None
) -> None:
    found = said_of_another({said: "x"}, {said: "x"}, running)
    assert {name: setting.name for name, setting in found.items()} == ({said: meant} if meant else {})
    assert said_of_another({said: ""}, {}, running) == {}


def test_an_empty_text_says_nothing_of_a_venue() -> None:
    assert of_venues({"binance_rest_url": "", "binance_us_shards": 2, "shards": 3}) == {
        "binance_us": UsSettings(shards=2)
    }
    assert of_venues({"binance_symbols": ["A"]}) == {"binance": SpotSettings(symbols=["A"])}
