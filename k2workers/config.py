"""Owns the settings: one list, filled from flags over environment over a TOML file (``setting_sources``) over defaults.

Every mistake is reported at once; each names the setting, the value and what is allowed. A setting is a field of ``Settings``, or of a venue's own
Struct, and nothing else: its flag, its place in ``config/`` and its mistakes follow from what is said about it there. A default that a
policy has is taken from that policy.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec

from k2workers import venues
from k2workers.errors import ConfigError
from k2workers.feed.feed_settings import FeedSettings
from k2workers.feed.gathering import PROFILES_NS
from k2workers.setting import MOST_S, About, Setting, default, name_in, read_all, settings_of
from k2workers.setting_rules import DEMO_ONLY, RULES, unknown_to
from k2workers.setting_sources import of_environment, of_file, variable_of
from k2workers.simulator.simulator_settings import StandInSettings
from k2workers.transport import endpoint
from k2workers.venues.venue_settings import VenueSettings

DEFAULT_FILE = Path("config/k2workers.toml")
DEMO_LIFETIME_S = 15.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a run can be told."""

    venue: Annotated[
        str,
        About(
            text=f"the market to feed from: {', '.join(venues.NAMES)}",
            more="names of metrics and logs that hold a market's name stay for all of its kind; the label `exchange` tells them apart",
        ),
    ] = venues.DEFAULT
    shards: Annotated[
        int,
        About(
            text="worker processes, each with a connection for each of the venue's routes, usually one", ge=1, le=256
        ),
    ] = 4
    symbols: Annotated[
        list[str],
        About(
            text="names, patterns such as *USDT, or file:PATH with one of these a line; with demo: * if not set",
            filled=True,
        ),
    ] = msgspec.field(
        default_factory=lambda: [
            "BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "ADAUSDT", "LTCUSDT",
        ]
    )  # fmt: skip
    streams: Annotated[list[str], About(text="kinds of streams", filled=True)] = msgspec.field(
        default_factory=lambda: ["trade", "agg_trade", "book_ticker", "depth"]
    )
    demo: Annotated[bool, About(text="feed from the embedded exchange instead of the venue: no network needed")] = False
    demo_rate: Annotated[float, About(text="events a second of the embedded exchange", gt=0, le=200_000)] = 4000.0
    duration_s: Annotated[float | None, About(text="stop after so many seconds", gt=0, le=MOST_S, flag="duration")] = (
        None
    )
    report: Annotated[str, About(text="write what happened to this JSON file at the end")] = ""
    replay: Annotated[
        list[str], About(text="recorded files for the embedded exchange, with demo only", several=True)
    ] = msgspec.field(default_factory=list)
    replay_speed: Annotated[float, About(text="how much faster than recorded; 0: without pauses", ge=0, le=10_000)] = (
        default(StandInSettings, "replay_speed")
    )
    rotation_lifetime_s: Annotated[
        float | None,
        About(
            text=f"the lifetime in seconds, with demo only ({DEMO_LIFETIME_S:g} if not set)",
            ge=2,
            le=86_400,
            flag="rotation_lifetime",
        ),
    ] = None
    overlap_limit_s: Annotated[float, About(text="how long a standby may take to prove itself", gt=0, le=600)] = 30.0
    stale_after_s: Annotated[float, About(text="a connection without a frame this long is dropped", ge=5, le=600)] = (
        default(FeedSettings, "stale_after_ns") / 1e9
    )
    connect_timeout_s: Annotated[
        float, About(text="for making a connection, and as long again for its handshakes", gt=0, le=120)
    ] = default(FeedSettings, "connect_timeout_s")
    publish_endpoint: Annotated[str, About(text="where subscribers connect", more=endpoint.ALLOWED)] = endpoint.DEFAULT
    snapshot_endpoint: Annotated[
        str, About(text="where they ask for last values and for what they missed", more=endpoint.ALLOWED)
    ] = endpoint.next_port(endpoint.DEFAULT)
    books_endpoint: Annotated[
        str,
        About(
            text="where they ask for whole order books; if empty, the next port of snapshot_endpoint, or ipc://PATH-books",
            more="any free port if that of snapshot_endpoint is 65535 or `*` (log: `keeping_books`); beside `ipc://PATH` it is `ipc://PATH-books`",
        ),
    ] = ""
    hold_back_s: Annotated[
        float,
        About(text="how long a topic waits for missing ids before it announces the gap and goes on", ge=0, le=60),
    ] = default(FeedSettings, "hold_ns") / 1e9
    gather: Annotated[
        Literal["fast", "balanced", "cheap"],
        About(
            text="for how long a busy worker lets events gather before it reads again: fast, not at all; balanced, 500 us; cheap, 10 ms",
            more="fewer wake-ups, at most so much later; a quiet feed is read at once",
        ),
    ] = "balanced"
    gather_us: Annotated[int | None, About(text="the same in microseconds, in place of gather", ge=0, le=10_000)] = None
    native: Annotated[
        Literal["auto", "off"],
        About(
            text="auto: what is plain is read and published natively, where that is built; off: Python does all of it"
        ),
    ] = default(FeedSettings, "native")
    symbol_check_s: Annotated[
        float, About(text="seconds between looks at what the venue lists: new symbols, changed ones", ge=1, le=86_400)
    ] = 300.0
    checkpoint: Annotated[
        str,
        About(
            text="file from which a restart continues; in run_dir if empty (then only single processes continue)",
            more="give it a lasting place",
        ),
    ] = ""
    checkpoint_max_age_s: Annotated[float, About(text="an older checkpoint is not continued from", gt=0, le=MOST_S)] = (
        3600.0
    )
    replay_ring_mb: Annotated[
        float, About(text="megabytes of published batches kept for subscribers that missed some", gt=0, le=65_536)
    ] = 64.0
    replay_ring_s: Annotated[float, About(text="seconds for which they are kept at most", gt=0, le=MOST_S)] = 300.0
    run_dir: Annotated[
        str,
        About(
            text="directory for sockets, metric files and the checkpoint; a new one of the run if empty",
            more="that is made in `RUNTIME_DIRECTORY`, else in `~/.local/state/k2workers` (or under `XDG_STATE_HOME`), else in the "
            "temporary directory; what dead runs left there is removed",
        ),
    ] = ""
    http_host: Annotated[
        str,
        About(
            text="address of /metrics, /healthz, /readyz and /status",
            filled=True,
            more="IPv6 without brackets: `::1`, `::`",
        ),
    ] = "127.0.0.1"
    http_port: Annotated[int, About(text="its port; 0: any free one", ge=0, le=65_535)] = 9091
    environment: Annotated[str, About(text="label of all metrics", filled=True)] = "dev"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], About(text="least level that is logged")] = (
        "info"
    )
    log_format: Annotated[
        Literal["auto", "console", "json"], About(text="how logs are written; auto: console on a terminal, else json")
    ] = "auto"

    of_venues: dict[str, VenueSettings] = {}
    """By the venue's name, of those of which something is said."""

    @property
    def of_venue(self) -> VenueSettings:
        """The settings of the venue that runs."""
        return self.of_venues.get(self.venue) or msgspec.convert({}, venues.settings_struct(self.venue))

    @property
    def gather_ns(self) -> int:
        """The longest that a worker lets events gather, in ns."""
        return PROFILES_NS[self.gather] if self.gather_us is None else self.gather_us * 1_000

    @property
    def lifetime_ns(self) -> int:
        """The connection lifetime that was asked for, in ns."""
        if self.demo:
            return int((self.rotation_lifetime_s or DEMO_LIFETIME_S) * 1e9)
        return int(self.of_venue.connection_max_lifetime_hours * 3.6e12)


_GENERAL = settings_of(Settings)
_OF_VENUES = {
    name: setting
    for venue in venues.NAMES
    for name, setting in settings_of(venues.settings_struct(venue), venue).items()
}


def _short(key: str) -> Setting:
    own = _OF_VENUES[name_in(venues.DEFAULT, key)]
    about = msgspec.structs.replace(own.about, text=f"of the venue that runs: {own.about.text}")
    return msgspec.structs.replace(own, table="", about=about)


_SHORT = {key: _short(key) for key in ("book_levels", "rest_weight_share")}
"""Settings of a venue that users know without its name: then they are of the venue that runs, whose bounds hold."""

SETTINGS: Mapping[str, Setting] = MappingProxyType({**_GENERAL, **_SHORT, **_OF_VENUES})
"""All of them by name, in the order in which they are shown."""


def load(
    flags: Mapping[str, Any],
    file: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    problems: Sequence[str] = (),
    with_flags: bool = False,
) -> Settings:
    """The settings of a run. ``flags`` holds only what was given; ``file`` None means the default file if it exists.

    Raises ConfigError that lists every mistake, after the caller's own ``problems``; ``with_flags`` if the user may know settings by
    their flags.
    """

    def where(setting: Setting) -> list[str]:
        flag = [f"flag {setting.flag}"] if with_flags else []
        return [*flag, f"environment {variable_of(setting.name)}"]

    in_file, in_tables, wrong_in_file = of_file(file_read(file), SETTINGS)
    in_environment, wrong_in_environment = of_environment(environ, SETTINGS)
    told = [*problems, *wrong_in_file, *wrong_in_environment]
    by_name = {**in_file, **in_environment, **flags}
    venue = by_name.get("venue", venues.DEFAULT)
    given, called = _by_whole_name(({**in_file, **in_tables}, in_environment, flags), venue)
    values, mistakes = _judged(given, venue)
    astray = _said_of_another(by_name, given, venue)
    for name, wrong in mistakes.items():
        if name not in astray:
            told.append(called[name].mistake(given[name], wrong, *where(called[name])))
    for name, meant in astray.items():
        said = SETTINGS[name]
        told.append(
            f"{name} = {said.shown(by_name[name])}: is of venue {said.table!r} alone, and {venue!r} runs; "
            f"allowed: {meant.name} ({', '.join(where(meant))})"
        )
    if told:
        raise ConfigError("\n".join(told))
    general = {name: value for name, value in values.items() if name in _GENERAL}
    return Settings(**({"symbols": ["*"]} | general if general.get("demo") else general), of_venues=_of_venues(values))


def _by_whole_name(sources: Iterable[Mapping[str, Any]], venue: object) -> tuple[dict[str, Any], dict[str, Setting]]:
    """What the sources together give, each over the one before it; and each setting as it was called."""
    given: dict[str, Any] = {}
    called = dict(SETTINGS)
    for source in sources:
        if venue in venues.NAMES:
            for key in source.keys() & _SHORT.keys():
                name = name_in(str(venue), key)
                given[name], called[name] = source[key], msgspec.structs.replace(SETTINGS[name], table="")
        for name in source.keys() - _SHORT.keys():  # after them: one that names the venue wins
            given[name], called[name] = source[name], SETTINGS[name]
    return given, called


def _judged(given: Mapping[str, Any], venue: object) -> tuple[dict[str, Any], dict[str, str]]:
    """The values that can be used, and what is wrong with the others."""
    values, mistakes = read_all(SETTINGS, given, RULES)
    for name in DEMO_ONLY & values.keys():
        if values[name] and not values.get("demo") and "demo" not in mistakes:
            mistakes[name] = "allowed only together with demo"
    if venue in venues.NAMES:
        mistakes |= unknown_to(str(venue), values)
    return values, {name: mistakes[name] for name in SETTINGS if name in mistakes}


def _said_of_another(by_name: Mapping[str, Any], given: Mapping[str, Any], venue: object) -> dict[str, Setting]:
    """Settings of one market that are said, outside of its table, while another one of its kind runs of which the same is not said; with those
    that are meant: the first market's names were once of all.
    """
    found: dict[str, Setting] = {}
    if venue not in venues.NAMES:
        return found
    kind = venues.settings_struct(str(venue))
    for name in by_name.keys() & _OF_VENUES.keys():
        said = SETTINGS[name]
        meant = name_in(str(venue), said.key)
        if by_name[name] != "" and meant not in given and issubclass(kind, venues.settings_struct(said.table)):
            found[name] = SETTINGS[meant]
    return {name: found[name] for name in SETTINGS if name in found}


def _of_venues(values: Mapping[str, Any]) -> dict[str, VenueSettings]:
    """The settings of each venue of which something is said. An empty text says nothing."""
    said: dict[str, dict[str, Any]] = {}
    for name in values.keys() & _OF_VENUES.keys():
        if values[name] != "":
            said.setdefault(SETTINGS[name].table, {})[SETTINGS[name].key] = values[name]
    return {venue: msgspec.convert(own, venues.settings_struct(venue)) for venue, own in said.items()}


def file_read(file: Path | None) -> Path | None:
    """The file that ``load`` reads if it is given this one, or none; None if it reads none."""
    return file or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
