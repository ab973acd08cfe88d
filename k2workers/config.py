"""Owns the settings: one list, filled from flags over environment over a TOML file (``setting_sources``) over defaults.

Every mistake is reported at once; each names the setting, the value and what is allowed. A setting is a field of ``Settings``, or of a venue's own
Struct, and nothing else: its flag, its place in ``config/`` and its mistakes follow from what is said about it there. A default that a
policy has is taken from that policy.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec

from k2workers import setting_owners, venues
from k2workers.errors import ConfigError
from k2workers.feed.feed_settings import FeedSettings
from k2workers.feed.gathering import PROFILES_NS
from k2workers.setting import MOST_S, About, Setting, default, settings_of
from k2workers.setting_rules import judged
from k2workers.setting_sources import of_environment, of_file, variable_of
from k2workers.simulator.simulator_settings import StandInSettings
from k2workers.transport import endpoint
from k2workers.venues.venue_settings import VenueSettings

DEFAULT_FILE = Path("config/k2workers.toml")
DEMO_LIFETIME_S = 15.0


def _usual(key: str) -> str:
    """What holds at each venue where nothing is said, in words: ``key`` is a class variable of their settings."""
    names_of: dict[tuple[str, ...], list[str]] = {}
    for name in venues.NAMES:
        names_of.setdefault(getattr(venues.settings_struct(name), key), []).append(name)
    return "; ".join(f"{', '.join(names)}: `{','.join(usual)}`" for usual, names in names_of.items())


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a run can be told."""

    venue: Annotated[
        list[str],
        About(
            text=f"the market to feed from, or several: {', '.join(venues.NAMES)}",
            more="metrics and log events with a market in their name keep it for every market; the label `exchange` says which market it is",
        ),
    ] = msgspec.field(default_factory=lambda: [venues.DEFAULT])
    shards: Annotated[
        int,
        About(
            text="worker processes per venue; each has a connection for each route of the venue, usually one",
            ge=1,
            le=256,
        ),
    ] = 4
    symbols: Annotated[
        list[str] | None,
        About(
            text="names, patterns such as *USDT, or file:PATH with one of these per line; the venue's usual ones if not set, with demo: *",
            filled=True,
            more=_usual("usual_symbols"),
        ),
    ] = None
    streams: Annotated[
        list[str] | None,
        About(
            text="kinds of streams; the venue's usual ones if not set",
            filled=True,
            more=_usual("usual_streams"),
        ),
    ] = None
    demo: Annotated[bool, About(text="feed from the embedded exchange instead of the venue: no network needed")] = False
    demo_rate: Annotated[float, About(text="events a second of each embedded exchange", gt=0, le=200_000)] = 4000.0
    duration_s: Annotated[
        float | None, About(text="stop after this many seconds", gt=0, le=MOST_S, flag="duration")
    ] = None
    report: Annotated[str, About(text="write what happened to this JSON file at the end")] = ""
    replay: Annotated[
        list[str], About(text="recorded files for the embedded exchange, with demo and one venue only", several=True)
    ] = msgspec.field(default_factory=list)
    replay_speed: Annotated[float, About(text="how much faster than recorded; 0: without pauses", ge=0, le=10_000)] = (
        default(StandInSettings, "replay_speed")
    )
    rotation_lifetime_s: Annotated[
        float | None,
        About(
            text=f"lifetime of a connection in seconds, with demo only ({DEMO_LIFETIME_S:g} if not set)",
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
        float, About(text="seconds for making a connection, and as many again for its handshakes", gt=0, le=120)
    ] = default(FeedSettings, "connect_timeout_s")
    publish_endpoint: Annotated[str, About(text="where subscribers connect", more=endpoint.ALLOWED)] = endpoint.DEFAULT
    snapshot_endpoint: Annotated[
        str, About(text="where subscribers ask for last values and for what they missed", more=endpoint.ALLOWED)
    ] = endpoint.next_port(endpoint.DEFAULT)
    books_endpoint: Annotated[
        str,
        About(
            text="where subscribers ask for whole order books; if empty, the next port of snapshot_endpoint, or ipc://PATH-books",
            more="any free port if that of snapshot_endpoint is 65535 or `*` (log: `keeping_books`)",
        ),
    ] = ""
    book_topics: Annotated[
        list[str],
        About(
            text="topics made from the order books: book_top, the best prices, and book_20 (or another number), the best levels",
            more="of each venue, from the first of its kinds of book changes (`depth` …) that is subscribed to; none unless named here",
        ),
    ] = msgspec.field(default_factory=list)
    book_pace_ms: Annotated[
        float,
        About(
            text="least ms between two events of a symbol's best levels; they come only when changed", ge=0, le=60_000
        ),
    ] = 250.0
    hold_back_s: Annotated[
        float,
        About(text="how long a topic waits for missing ids before it announces the gap and continues", ge=0, le=60),
    ] = default(FeedSettings, "hold_ns") / 1e9
    gather: Annotated[
        Literal["fast", "balanced", "cheap"],
        About(
            text="how long a busy worker waits before it reads again, so that events gather: fast, not at all; balanced, 500 us; cheap, 10 ms",
            more="a longer wait means fewer wake-ups, and events that come later by that much at most; a quiet feed is read at once",
        ),
    ] = "balanced"
    gather_us: Annotated[int | None, About(text="the same in microseconds, in place of gather", ge=0, le=10_000)] = None
    native: Annotated[
        Literal["auto", "off"],
        About(
            text="auto: compiled code reads and publishes plain messages, if it is built; off: Python does everything"
        ),
    ] = default(FeedSettings, "native")
    symbol_check_s: Annotated[
        float, About(text="seconds between checks of the venue's list for new and changed symbols", ge=1, le=86_400)
    ] = 300.0
    checkpoint: Annotated[
        str,
        About(
            text="file from which a restart continues; in run_dir if empty (then only restarts of single processes continue)",
            more="choose a place that outlives the run",
        ),
    ] = ""
    checkpoint_max_age_s: Annotated[
        float, About(text="a checkpoint older than this many seconds is not used", gt=0, le=MOST_S)
    ] = 3600.0
    replay_ring_mb: Annotated[
        float, About(text="megabytes of batches in the replay ring, for subscribers that missed some", gt=0, le=65_536)
    ] = 64.0
    replay_ring_s: Annotated[float, About(text="most seconds a batch stays in that ring", gt=0, le=MOST_S)] = 300.0
    disk_ring_gb: Annotated[
        float,
        About(text="gigabytes of published batches kept on the disk for long absences; 0: none", ge=0, le=100_000),
    ] = 0.0
    disk_ring_hours: Annotated[float, About(text="most hours a batch stays in the disk ring", gt=0, le=10_000)] = 24.0
    disk_ring_dir: Annotated[
        str, About(text="directory of the disk ring; if empty, the checkpoint's path with `-ring` appended")
    ] = ""
    disk_ring_endpoint: Annotated[
        str,
        About(
            text="where subscribers ask for the disk ring; if empty, the next port of books_endpoint, or ipc://PATH-disk",
            more="any free port if that of books_endpoint is 65535 or `*` (log: `keeping_disk_ring`)",
        ),
    ] = ""
    run_dir: Annotated[
        str,
        About(
            text="directory for sockets, metric files and the checkpoint; if empty, a new one for this run",
            more="the new one is made in `RUNTIME_DIRECTORY`, else in `~/.local/state/k2workers` (or under `XDG_STATE_HOME`), else in the "
            "temporary directory; what ended runs left there is removed",
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
    http_port: Annotated[int, About(text="port of the HTTP server; 0: any free one", ge=0, le=65_535)] = 9091
    environment: Annotated[str, About(text="label of all metrics", filled=True)] = "dev"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], About(text="lowest level that is logged")] = (
        "info"
    )
    log_format: Annotated[
        Literal["auto", "console", "json"], About(text="how logs are written; auto: console on a terminal, else json")
    ] = "auto"

    of_venues: dict[str, VenueSettings] = {}
    """By the venue's name, of those of which something is said."""

    def apart(self, venue: str) -> str:
        """What tells this venue from the others that run: its name, or nothing if there are none."""
        return "" if self.venue == [venue] else venue

    def of_venue(self, venue: str) -> VenueSettings:
        """What is said of this venue, with its own defaults."""
        return self.of_venues.get(venue) or msgspec.convert({}, venues.settings_struct(venue))

    def symbols_of(self, venue: str) -> list[str]:
        """Which symbols are asked for there."""
        own = self.of_venue(venue)
        return own.symbols or self.symbols or [*own.usual_symbols]

    def streams_of(self, venue: str) -> list[str]:
        """Which kinds of streams are asked for there."""
        own = self.of_venue(venue)
        return own.streams or self.streams or [*own.usual_streams]

    def shards_of(self, venue: str) -> int:
        """How many shards it is to have."""
        return self.of_venue(venue).shards or self.shards

    @property
    def gather_ns(self) -> int:
        """The longest that a worker lets events gather, in ns."""
        return PROFILES_NS[self.gather] if self.gather_us is None else self.gather_us * 1_000

    def lifetime_ns(self, venue: str) -> int:
        """The connection lifetime that was asked for, in ns."""
        if self.demo:
            return int((self.rotation_lifetime_s or DEMO_LIFETIME_S) * 1e9)
        return int(self.of_venue(venue).connection_max_lifetime_hours * 3.6e12)


_GENERAL = settings_of(Settings)

SETTINGS: Mapping[str, Setting] = MappingProxyType({**_GENERAL, **setting_owners.SHORT, **setting_owners.OF_VENUES})
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
    running = _running(by_name)
    said = setting_owners.by_whole_name(({**in_file, **in_tables}, in_environment, flags), running)
    values, mistakes = judged(SETTINGS, said.values, running)
    astray = setting_owners.said_of_another(by_name, said.values, running)
    for setting, value, wrong in setting_owners.mistaken(
        SETTINGS, said, {name: mistakes[name] for name in SETTINGS if name in mistakes and name not in astray}
    ):
        told.append(setting.mistake(value, wrong, *where(setting)))
    for name, meant in astray.items():
        told.append(
            f"{name} = {SETTINGS[name].shown(by_name[name])}: is of venue {SETTINGS[name].table!r} alone, and {meant.table!r} runs; "
            f"allowed: {meant.name} ({', '.join(where(meant))})"
        )
    if told:
        raise ConfigError("\n".join(told))
    general = {name: value for name, value in values.items() if name in _GENERAL}
    if general.get("demo"):
        general = {"symbols": ["*"]} | general
    return Settings(**general, of_venues=setting_owners.of_venues(values))


def _running(by_name: Mapping[str, Any]) -> list[str]:
    """The venues that run, as far as they are known: by these all else is judged."""
    try:
        asked = SETTINGS["venue"].read(by_name["venue"]) if "venue" in by_name else [venues.DEFAULT]
    except ValueError:
        return []
    return [venue for venue in dict.fromkeys(asked) if venue in venues.NAMES]


def file_read(file: Path | None) -> Path | None:
    """The file that ``load`` reads if it is given this one, or none; None if it reads none."""
    return file or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
