"""What the venue is asked to learn which symbols it has: as little as tells it."""

from __future__ import annotations

import json

import pytest

from k2workers.errors import VenueError
from k2workers.venues.binance.listing import WHOLE_EVERY_NS, BinanceListing
from k2workers.venues.venue import Choice
from tests.support.venue import Answer, Venue


class Looks:
    """A listing of a venue, and what it asks; ``now_ns`` is the time of the next look."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.listing = BinanceListing(venue.rest_url)
        self.now_ns = 0

    async def look(self, *selectors: str) -> Choice:
        choice, weight_limit = await self.listing.look(selectors, self.now_ns)
        assert weight_limit in (0, 6000)
        return choice

    def asked(self) -> list[list[str] | str]:
        """The names of each request since the last call; "all" for the whole list."""
        found = [
            json.loads(asked.query["symbols"]) if "symbols" in asked.query else "all" for asked in self.venue.requests
        ]
        self.venue.requests.clear()
        return found


async def test_a_typo_costs_one_whole_list_and_then_a_small_request_a_look() -> None:
    with Venue(["AAAUSDT", "BBBUSDT", "CCCUSDT"]) as venue:
        looks = Looks(venue)
        names = ["aaausdt", "AAAUDST", "BBBUSDT"]
        choice = await looks.look(*names)
        assert looks.asked() == [["AAAUSDT", "AAAUDST", "BBBUSDT"], "all"]
        assert choice.unknown == {"AAAUDST": "AAAUSDT"}
        for _ in range(3):
            assert await looks.look(*names) == Choice(
                served=choice.served,
                unknown=choice.unknown,
                left_out={},
                awaited=0,
                status_of={"AAAUSDT": "TRADING", "BBBUSDT": "TRADING"},
            )
            assert looks.asked() == [["AAAUSDT", "BBBUSDT"], ["AAAUDST"]]
        looks.now_ns += WHOLE_EVERY_NS
        assert (await looks.look(*names)).unknown == choice.unknown
        assert looks.asked() == ["all"]
        await looks.look(*names)
        assert looks.asked() == [["AAAUSDT", "BBBUSDT"], ["AAAUDST"]]


async def test_missing_names_are_asked_for_in_turn_and_found_when_they_come() -> None:
    with Venue(["AAAUSDT"]) as venue:
        looks = Looks(venue)
        names = ["AAAUSDT", "NEWUSDT", "LATEUSDT"]
        await looks.look(*names)
        looks.asked()
        await looks.look(*names)
        await looks.look(*names)
        assert sorted(asked[0] for asked in looks.asked()) == ["AAAUSDT", "AAAUSDT", "LATEUSDT", "NEWUSDT"]
        venue.list("NEWUSDT", "BREAK")
        await looks.look(*names)
        assert (await looks.look(*names)).unknown == {"LATEUSDT": "AAAUSDT"}
        looks.asked()
        choice = await looks.look(*names)
        assert choice.served == {"AAAUSDT": "TRADING", "NEWUSDT": "BREAK"}
        assert looks.asked() == [["AAAUSDT", "NEWUSDT"], ["LATEUSDT"]]


async def test_what_the_venue_lists_no_longer_is_no_mistake_and_comes_back_by_itself() -> None:
    with Venue(["AAAUSDT", "BBBUSDT"]) as venue:
        looks = Looks(venue)
        await looks.look("AAAUSDT")
        del venue.rows[0]
        looks.asked()
        assert "AAAUSDT" not in (await looks.look("AAAUSDT")).status_of
        assert looks.asked() == [["AAAUSDT"], "all"]
        choice = await looks.look("AAAUSDT")
        assert (choice.served, choice.mistake) == ({}, "")
        assert looks.asked() == [["AAAUSDT"]]
        venue.list("AAAUSDT")
        assert (await looks.look("AAAUSDT")).served == {"AAAUSDT": "TRADING"}


async def test_patterns_need_the_whole_list_and_odd_names_need_it_seldom() -> None:
    with Venue(["AAAUSDT"]) as venue:
        looks = Looks(venue)
        await looks.look("AAA*")
        await looks.look("AAA*")
        assert looks.asked() == ["all", "all"]
        await looks.look("AAAUSDT", "AAA/USDT")
        await looks.look("AAAUSDT", "AAA/USDT")
        assert looks.asked() == ["all", ["AAAUSDT"]]


async def test_a_name_that_is_new_among_those_asked_for_is_not_held_for_missing() -> None:
    with Venue(["AAAUSDT", "BBBUSDT"]) as venue:
        looks = Looks(venue)
        await looks.look("AAAUSDT", "TYPO")
        await looks.look("AAAUSDT", "TYPO", "BBBUSDT")
        assert looks.asked()[2:] == [["AAAUSDT", "BBBUSDT"], ["TYPO"]]


async def test_names_of_which_none_is_listed_are_a_mistake_only_if_the_whole_list_was_read() -> None:
    with Venue(["AAAUSDT"]) as venue:
        looks = Looks(venue)
        assert "did you mean AAAUSDT?" in (await looks.look("AAAUDST")).mistake
        venue.rows.append(None)
        assert (await Looks(venue).look("AAAUDST")).mistake == ""


async def test_a_list_without_symbols_is_no_answer() -> None:
    with Venue(["AAAUSDT"]) as venue:
        venue.on_rest = lambda _path, _query: Answer(200, {"symbols": []})
        with pytest.raises(VenueError, match="lists no symbols"):
            await Looks(venue).look("AAAUSDT")
        # One that leaves out what it was asked for is not believed either.
        venue.on_rest = lambda _path, query: Answer(200, {"symbols": []}) if "symbols" in query else None
        assert (await Looks(venue).look("AAAUSDT")).served == {"AAAUSDT": "TRADING"}
