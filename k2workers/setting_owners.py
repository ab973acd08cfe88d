"""Owns whose a setting is that is said in words: of the whole run, of each venue that runs, or of one venue.

A venue's settings bear its name. ``SHORT`` are those that users also know without one: then they are of each venue that runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from k2workers import venues
from k2workers.setting import Setting, name_in, settings_of
from k2workers.venues.venue_settings import VenueSettings

OF_VENUES: Mapping[str, Setting] = {
    name: setting
    for venue in venues.NAMES
    for name, setting in settings_of(venues.settings_struct(venue), venue).items()
}
"""Every venue's own, by name."""


def short(own: Sequence[Setting]) -> Setting:
    """A setting without a venue's name, of these with one: with their bounds and default, or with none where venues differ."""
    first = own[0]
    about = msgspec.structs.replace(first.about, text=f"of the venue that runs: {first.about.text}")
    shown = msgspec.structs.replace(first, table="", about=about)
    if len({(each.bounds, each.default) for each in own}) > 1:
        about = msgspec.structs.replace(about, ge=None, gt=None, le=None, more="")
        shown = msgspec.structs.replace(shown, about=about, choices=(), default=None)
    return shown


SHORT: Mapping[str, Setting] = {
    key: short([OF_VENUES[name_in(venue, key)] for venue in venues.NAMES])
    for key in ("book_levels", "rest_weight_share")
}
"""Settings of a venue that users know without its name: the bounds of each that runs hold."""

ONCE_OF_ALL = frozenset({
    "websocket_url", "rest_url", "ca_bundle", "connection_max_lifetime_hours", "book_levels", "rest_weight_share",
})  # fmt: skip
"""What the first market's names once said of every market of its kind."""


class Said(NamedTuple):
    """What was said, by the settings' whole names, and each setting as it was called."""

    values: dict[str, Any]
    called: dict[str, Setting]


class Mistaken(NamedTuple):
    """A value that is wrong: as what it was said, and what is wrong with it."""

    setting: Setting
    value: Any
    wrong: str


def by_whole_name(sources: Iterable[Mapping[str, Any]], running: Sequence[str]) -> Said:
    """What the sources together give, each over the one before it."""
    said = Said({}, {})
    for source in sources:
        for venue in running:
            for key in source.keys() & SHORT.keys():
                name = name_in(venue, key)
                said.values[name] = source[key]
                said.called[name] = SHORT[key]
        for name in source.keys() - SHORT.keys():  # after them: one that names the venue wins
            said.values[name] = source[name]
            said.called.pop(name, None)
    return said


def mistaken(settings: Mapping[str, Setting], said: Said, mistakes: Mapping[str, str]) -> Iterator[Mistaken]:
    """Each wrong value as it was called: what was said once of several venues is told once."""
    told = set()
    for name in mistakes:
        setting = said.called.get(name, settings[name])
        if setting.name in told:
            continue
        told.add(setting.name)
        alike = [other for other, called in said.called.items() if called.name == setting.name] or [name]
        wrong_at = {settings[other].table: _wrong(settings[other], setting, mistakes.get(other, "")) for other in alike}
        yield Mistaken(setting, said.values[name], joined(wrong_at))


def _wrong(own: Setting, called: Setting, wrong: str) -> str:
    """With what is allowed there, unless that is said of the setting as it was called."""
    return f"{wrong}; allowed: {own.bounds}" if wrong and own.bounds != called.bounds else wrong


def joined(wrong_at: Mapping[str, str]) -> str:
    """What is wrong with one value at each of the venues that take it, or nothing: by venue, unless it is the same at all of them."""
    every = set(wrong_at.values())
    if len(every) == 1:
        return every.pop()
    named = {venue: wrong for venue, wrong in wrong_at.items() if wrong}
    return "; ".join(wrong if venue in wrong else f"at {venue}: {wrong}" for venue, wrong in named.items())


def said_of_another(
    by_name: Mapping[str, Any], values: Mapping[str, Any], running: Sequence[str]
) -> dict[str, Setting]:
    """Settings of one market that are said, outside of its table, while it does not run but another one of its kind does, of which the same is not
    said; with those that are meant: the first market's names were once of all.
    """
    found: dict[str, Setting] = {}
    for name, said in OF_VENUES.items():
        if name not in by_name or by_name[name] == "" or said.table in running or said.key not in ONCE_OF_ALL:
            continue
        kind = venues.settings_struct(said.table)
        for venue in running:
            meant = name_in(venue, said.key)
            if meant not in values and issubclass(venues.settings_struct(venue), kind):
                found[name] = OF_VENUES[meant]
    return found


def of_venues(values: Mapping[str, Any]) -> dict[str, VenueSettings]:
    """The settings of each venue of which something is said. An empty text says nothing."""
    said: dict[str, dict[str, Any]] = {}
    for name in values.keys() & OF_VENUES.keys():
        if values[name] != "":
            said.setdefault(OF_VENUES[name].table, {})[OF_VENUES[name].key] = values[name]
    return {venue: msgspec.convert(own, venues.settings_struct(venue)) for venue, own in said.items()}
