"""Owns the settings: one list, filled from flags over environment (``K2_…``; an empty one counts as not set) over a TOML file over
defaults.

Every mistake is reported at once; each names the setting, the value and what is allowed. A setting is a field of ``Settings`` and nothing
else: its flag, its place in ``config/`` and its mistakes follow from what is said about it there. A default that a policy has is taken
from that policy.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec

from k2workers import venues
from k2workers.errors import ConfigError
from k2workers.feed.feed_settings import FeedSettings
from k2workers.setting import MOST_S, About, Setting, default, read_all, settings_of
from k2workers.setting_rules import DEMO_ONLY, RULES, unknown_to
from k2workers.simulator.simulator_settings import StandInSettings
from k2workers.supervision.weight_budget import WeightPolicy
from k2workers.transport import endpoint
from k2workers.venues.venue import VenueSettings

ENVIRONMENT_PREFIX = "K2_"
DEFAULT_FILE = Path("config/k2workers.toml")
_NAME = re.compile(r"\s*([\w-]+)\s*=")
DEMO_LIFETIME_S = 15.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a run can be told. The names that begin with ``binance_`` are of every Binance market."""

    venue: Annotated[
        str,
        About(
            text=f"the market to feed from: {', '.join(venues.NAMES)}",
            more="names of settings, metrics and logs that hold a market's name stay for all of its kind; the label `exchange` tells them apart",
        ),
    ] = venues.DEFAULT
    shards: Annotated[int, About(text="worker processes, one connection each", ge=1, le=256)] = 4
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
    binance_connection_max_lifetime_hours: Annotated[
        float,
        About(
            text="hours after which a connection is replaced, make before break",
            ge=1,
            le=24,
            more="at 24, ten minutes less: the venue cuts there",
        ),
    ] = 4.0
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
    binance_websocket_url: Annotated[str, About(text="base of the stream address; the venue's own if empty")] = ""
    binance_rest_url: Annotated[str, About(text="base of the REST address; the venue's own if empty")] = ""
    binance_ca_bundle: Annotated[str, About(text="PEM file with further certificate authorities to trust")] = ""
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
    gather_us: Annotated[
        int,
        About(
            text="microseconds for which a busy worker lets events gather before it reads again",
            ge=0,
            le=10_000,
            more="fewer wake-ups, at most so much later; a quiet feed is read at once",
        ),
    ] = default(FeedSettings, "gather_ns") // 1000
    symbol_check_s: Annotated[
        float, About(text="seconds between looks at what the venue lists: new symbols, changed ones", ge=1, le=86_400)
    ] = 300.0
    book_levels: Annotated[
        int,
        About(
            text="levels of each side in a book snapshot: 100, 500, 1000 or 5000",
            more="that is what a snapshot costs: the first one after none has 100, one with all of them follows when there is time",
        ),
    ] = 1000
    rest_weight_share: Annotated[
        float,
        About(text="share of the venue's REST weight per minute that repairs and looks at the symbols use", gt=0, le=1),
    ] = default(WeightPolicy, "share")
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

    @property
    def lifetime_ns(self) -> int:
        """The connection lifetime that was asked for, in ns."""
        if self.demo:
            return int((self.rotation_lifetime_s or DEMO_LIFETIME_S) * 1e9)
        return int(self.binance_connection_max_lifetime_hours * 3.6e12)

    @property
    def of_venue(self) -> VenueSettings:
        """What is said of the venue, or holds because nothing is."""
        own = venues.load(self.venue).settings
        return VenueSettings(
            websocket_url=self.binance_websocket_url or own.websocket_url,
            rest_url=self.binance_rest_url or own.rest_url,
            ca_bundle=self.binance_ca_bundle or own.ca_bundle,
        )


SETTINGS: Mapping[str, Setting] = MappingProxyType(settings_of(Settings))
"""All of them by name, in the order in which they are shown."""


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return f"{ENVIRONMENT_PREFIX}{name}".upper()


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
    told = list(problems)
    try:
        from_file = _read(file)
    except ConfigError as error:
        told.append(str(error))
        from_file = {}
    there = {variable.upper(): value for variable, value in environ.items() if value}
    from_environment = {name: there[variable_of(name)] for name in SETTINGS if variable_of(name) in there}
    given = {**from_file, **from_environment, **flags}
    told += [
        f"{name} in {file or DEFAULT_FILE}: no such setting{_nearest(name, SETTINGS)}"
        for name in from_file
        if name not in SETTINGS
    ]
    variables = {variable_of(name) for name in SETTINGS}
    told += [
        f"{variable} in the environment: no such setting{near}"
        for variable in sorted(there.keys() - variables)
        # Only of what is nearly a setting: others may be somebody else's, as those that an orchestrator makes from a service's name.
        if variable.startswith(ENVIRONMENT_PREFIX) and (near := _nearest(variable, variables, cutoff=0.8))
    ]
    values, mistakes = _judged(given)
    for name, wrong in mistakes.items():
        flag = [f"flag {SETTINGS[name].flag}"] if with_flags else []
        told.append(SETTINGS[name].mistake(given[name], wrong, *flag, f"environment {variable_of(name)}"))
    if told:
        raise ConfigError("\n".join(told))
    return Settings(**({"symbols": ["*"]} | values if values.get("demo") else values))


def _judged(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The values that can be used, and what is wrong with the others."""
    values, mistakes = read_all(SETTINGS, given, RULES)
    for name in DEMO_ONLY & values.keys():
        if values[name] and not values.get("demo") and "demo" not in mistakes:
            mistakes[name] = "allowed only together with demo"
    if "venue" not in mistakes:
        mistakes |= unknown_to(values.get("venue", venues.DEFAULT), values)
    return values, {name: mistakes[name] for name in SETTINGS if name in mistakes}


def file_read(file: Path | None) -> Path | None:
    """The file that ``load`` reads if it is given this one, or none; None if it reads none."""
    return file or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)


def _read(file: Path | None) -> dict[str, Any]:
    path = file_read(file)
    if path is None:
        return {}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"config = {str(path)!r}: cannot be read ({why})") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"config = {str(path)!r}: {_twice(text, str(error)) or f'not valid TOML: {error}'}") from None


def _twice(text: str, error: str) -> str:
    """Which name stands twice, if that is the error; the library tells only where."""
    at = re.search(r"at line (\d+)", error)
    lines = text.splitlines()[: int(at[1]) if at else None]
    names = [(found[1], number) for number, line in enumerate(lines, 1) if (found := _NAME.match(line))]
    name, again = names[-1] if names else ("", 0)
    if not error.startswith("Cannot overwrite") or name not in {earlier for earlier, _ in names[:-1]}:
        return ""
    return f"{name} stands twice (again in line {again}); allowed: once"


def _nearest(name: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    import difflib  # only a mistake pays for it

    near = difflib.get_close_matches(name, list(names), n=1, cutoff=cutoff)
    return f"; did you mean {near[0]}?" if near else ""
