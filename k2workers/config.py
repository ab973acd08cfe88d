"""Owns the settings: one model, filled from flags over environment (``K2_…``; an empty one counts as not set) over a TOML file
over defaults.

Every mistake is reported at once; each names the setting, the value and what is allowed.
"""

from __future__ import annotations

import contextlib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from k2workers import venues
from k2workers.errors import ConfigError
from k2workers.transport.endpoint import mistake_in
from k2workers.venues.venue import VenueSettings

ENVIRONMENT_PREFIX = "K2_"
DEFAULT_FILE = Path("config/k2workers.toml")
DEMO_LIFETIME_S = 15.0
MOST_S = 1e9
"""Thirty years: for times that have no other bound; beyond some more, nanoseconds fit nowhere."""

Words = Annotated[list[str], NoDecode]
"""A list that the environment and the command line give as words between commas."""


class Settings(BaseSettings):
    """Everything a run can be told. The names that begin with ``binance_`` are of every Binance market."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, allow_inf_nan=False
    )

    venue: str = Field(venues.DEFAULT, description=f"the market to feed from: {', '.join(venues.NAMES)}")
    shards: int = Field(4, ge=1, le=256, description="worker processes, one connection each")
    symbols: Words = Field(
        default=["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "ADAUSDT", "LTCUSDT"],
        min_length=1,
        description="names, patterns such as *USDT, or file:PATH with one of these a line; with demo: * if not set",
    )
    streams: Words = Field(
        default=["trade", "agg_trade", "book_ticker", "depth"], min_length=1, description="kinds of streams"
    )
    binance_connection_max_lifetime_hours: float = Field(
        4.0, ge=1, le=24, description="hours after which a connection is replaced, make before break"
    )
    demo: bool = Field(False, description="feed from the embedded exchange instead of the venue")
    rotation_lifetime_s: float | None = Field(
        None, ge=2, le=86_400, description="the lifetime in seconds, with demo only (15 if not set)"
    )
    overlap_limit_s: float = Field(30.0, gt=0, le=600, description="how long a standby may take to prove itself")
    stale_after_s: float = Field(30.0, ge=5, le=600, description="a connection without a frame this long is dropped")
    connect_timeout_s: float = Field(
        10.0, gt=0, le=120, description="for making a connection, and as long again for its handshakes"
    )
    binance_websocket_url: str = Field("", description="base of the stream address; the venue's own if empty")
    binance_rest_url: str = Field("", description="base of the REST address; the venue's own if empty")
    binance_ca_bundle: str = Field("", description="PEM file with further certificate authorities to trust")
    demo_rate: float = Field(4000.0, gt=0, le=200_000, description="events a second of the embedded exchange")
    replay: Words = Field(default=[], description="recorded files for the embedded exchange, with demo only")
    replay_speed: float = Field(1.0, ge=0, le=10_000, description="how much faster than recorded; 0: without pauses")
    duration_s: float | None = Field(None, gt=0, le=MOST_S, description="stop after so many seconds")
    report: str = Field("", description="write what happened to this JSON file at the end")
    http_host: str = Field("127.0.0.1", min_length=1, description="address of /metrics, /healthz, /readyz, /status")
    http_port: int = Field(9091, ge=0, le=65_535, description="its port; 0: any free one")
    publish_endpoint: str = Field("tcp://127.0.0.1:5555", description="where subscribers connect")
    snapshot_endpoint: str = Field("tcp://127.0.0.1:5556", description="where late joiners ask for last values")
    books_endpoint: str = Field(
        "",
        description="where late joiners get whole order books; if empty, the next port of snapshot_endpoint (any free one after 65535 "
        "or *), or ipc://PATH-books beside ipc://PATH",
    )
    hold_back_s: float = Field(
        1.0, ge=0, le=60, description="how long a topic waits for missing ids before it announces the gap and goes on"
    )
    gather_us: int = Field(
        500,
        ge=0,
        le=10_000,
        description="microseconds for which a busy worker lets events gather before it reads again",
    )
    symbol_check_s: float = Field(
        300.0, ge=1, le=86_400, description="seconds between looks at what the venue lists: new symbols, changed ones"
    )
    book_levels: int = Field(1000, description="levels of each side in a book snapshot: 100, 500, 1000 or 5000")
    rest_weight_share: float = Field(
        0.8,
        gt=0,
        le=1,
        description="share of the venue's REST weight per minute that repairs and looks at the symbols use",
    )
    checkpoint: str = Field(
        "", description="file from which a restart continues; in run_dir if empty (then only single processes continue)"
    )
    checkpoint_max_age_s: float = Field(
        3600.0, gt=0, le=MOST_S, description="an older checkpoint is not continued from"
    )
    replay_ring_mb: float = Field(
        64.0, gt=0, le=65_536, description="megabytes of published batches kept for subscribers that missed some"
    )
    replay_ring_s: float = Field(300.0, gt=0, le=MOST_S, description="seconds for which they are kept at most")
    run_dir: str = Field(
        "", description="directory for sockets, metric files and the checkpoint; a new one of the run if empty"
    )
    environment: str = Field("dev", min_length=1, description="label of all metrics")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="least level that is logged")
    log_format: str = Field(
        "auto", pattern="^(auto|console|json)$", description="auto: console on a terminal, else json"
    )

    @field_validator("symbols", "streams", "replay", mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("symbols")
    @classmethod
    def _commas(cls, value: list[str]) -> list[str]:
        if value and all(" " in word and not word.startswith("file:") for word in value):
            raise ValueError(
                "names stand between commas"
            )  # an odd one among others is named later, and the others are served
        return value

    @field_validator("venue")
    @classmethod
    def _known_venue(cls, value: str) -> str:
        if value not in venues.NAMES:
            raise ValueError(f"unknown; allowed: {', '.join(venues.NAMES)}")
        return value

    @field_validator("streams")
    @classmethod
    def _known_streams(cls, value: list[str], info: ValidationInfo) -> list[str]:
        if "venue" in info.data:  # not there if it is a mistake itself
            try:
                venues.load(info.data["venue"]).stream_specs(value, [])
            except ConfigError as error:
                raise ValueError(str(error).removeprefix("streams: ")) from None
        return value

    @field_validator("book_levels")
    @classmethod
    def _level_steps(cls, value: int, info: ValidationInfo) -> int:
        steps = venues.load(info.data["venue"]).book_levels if "venue" in info.data else [value]
        if value not in steps:
            raise ValueError(f"allowed: {', '.join(map(str, steps))}")
        return value

    @field_validator("publish_endpoint", "snapshot_endpoint", "books_endpoint")
    @classmethod
    def _endpoint(cls, value: str, info: ValidationInfo) -> str:
        mistake = mistake_in(value) if value or info.field_name != "books_endpoint" else ""
        if mistake:
            raise ValueError(mistake)
        return value

    @field_validator("binance_websocket_url")
    @classmethod
    def _websocket_url(cls, value: str) -> str:
        return value and _url(value, ("ws", "wss"))

    @field_validator("binance_rest_url")
    @classmethod
    def _rest_url(cls, value: str) -> str:
        return value and _url(value, ("http", "https"))

    @field_validator("binance_ca_bundle")
    @classmethod
    def _file_exists(cls, value: str) -> str:
        if value and not Path(value).is_file():
            raise ValueError("no such file")
        return value

    @field_validator("report", "checkpoint")
    @classmethod
    def _can_be_written(cls, value: str) -> str:
        if value and (Path(value).is_dir() or not os.access(Path(value).parent, os.W_OK)):
            raise ValueError("allowed: a file in a directory that exists and can be written")
        return value

    @field_validator("checkpoint")
    @classmethod
    def _can_be_replaced(cls, value: str) -> str:
        if not value:
            return value
        real = Path(os.path.realpath(value))  # the link stays; and two names of one file are one checkpoint
        if real.exists() and not real.is_file():
            raise ValueError("that is no regular file, and each new checkpoint takes the place of the one before it")
        if not os.access(real.parent, os.W_OK):
            raise ValueError(f"it leads to {real}; allowed: a file in a directory that exists and can be written")
        return str(real) if Path(value).is_symlink() else value

    @field_validator("rotation_lifetime_s", "replay")
    @classmethod
    def _demo_only(cls, value: object, info: ValidationInfo) -> object:
        if value and not info.data.get("demo", True):  # not there if it is a mistake itself
            raise ValueError("allowed only together with demo")
        return value

    @field_validator("*", mode="before")
    @classmethod
    def _no_switch_for_a_number(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation in {int, float, float | None}:
            raise ValueError(_NO_NUMBER)  # for pydantic true is 1
        return value

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

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then environment; ``load`` has put the file's values under both."""
        return init_settings, env_settings


def _url(value: str, schemes: tuple[str, ...]) -> str:
    with contextlib.suppress(ValueError):
        address = urlsplit(value)
        # Asking for the port raises ValueError if it is none.
        if value.isascii() and address.scheme in schemes and address.hostname and address.port != 0:
            return value
    raise ValueError(f"allowed: {' or '.join(f'{scheme}://HOST[:PORT]' for scheme in schemes)}")


def load(
    flags: Mapping[str, Any],
    file: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    flag_of: Mapping[str, str] = MappingProxyType({}),
) -> Settings:
    """The settings of a run. ``flags`` holds only what was given; ``file`` None means the default file if it exists.

    Raises ConfigError that lists every mistake; ``flag_of`` says by which flags the settings are known to the user.
    """
    from_file = _read(file)
    set_there = {variable.upper() for variable, value in environ.items() if value}
    from_environment = {name for name in Settings.model_fields if f"{ENVIRONMENT_PREFIX}{name}".upper() in set_there}
    given = {name: value for name, value in from_file.items() if name not in from_environment} | dict(flags)
    if given.get("demo") and not ({"symbols"} & (given.keys() | from_environment)):
        given["symbols"] = ["*"]
    problems = [
        f"{name} in {file or DEFAULT_FILE}: no such setting{_nearest(name)}"
        for name in from_file
        if name not in Settings.model_fields
    ]
    problems += [
        f"{variable} in the environment: no such setting{near}"
        for variable in sorted(set_there - {f"{ENVIRONMENT_PREFIX}{name}".upper() for name in Settings.model_fields})
        if variable.startswith(ENVIRONMENT_PREFIX) and (near := _nearest_variable(variable))
    ]
    known = {name: value for name, value in given.items() if name in Settings.model_fields}
    try:
        settings = Settings(**known)
    except ValidationError as error:
        problems += [_explain(entry, flag_of) for entry in error.errors()]
    if problems:
        raise ConfigError("\n".join(problems))
    return settings


def file_read(file: Path | None) -> Path | None:
    """The file that ``load`` reads if it is given this one, or none; None if it reads none."""
    return file or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)


def _read(file: Path | None) -> dict[str, Any]:
    path = file_read(file)
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"config = {str(path)!r}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"config = {str(path)!r}: not valid TOML: {error}") from None


def _nearest(name: str) -> str:
    import difflib  # only a mistake pays for it

    near = difflib.get_close_matches(name, Settings.model_fields, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _nearest_variable(variable: str) -> str:
    """Only of what is nearly a setting: others may be somebody else's, as those that an orchestrator makes from a service's name."""
    import difflib  # only a variable of our prefix that is no setting pays for it

    ours = [f"{ENVIRONMENT_PREFIX}{name}".upper() for name in Settings.model_fields]
    near = difflib.get_close_matches(variable, ours, n=1, cutoff=0.8)
    return f"; did you mean {near[0]}?" if near else ""


_NO_INTEGER, _NO_NUMBER, _NO_SWITCH, _TOO_SMALL, _TOO_LARGE = (
    "not a whole number", "not a number", "neither true nor false", "too small", "too large",
)  # fmt: skip
_IN_OUR_WORDS = {
    "int_parsing": _NO_INTEGER, "int_from_float": _NO_INTEGER, "int_type": _NO_INTEGER,
    "int_parsing_size": _TOO_LARGE,
    "float_parsing": _NO_NUMBER, "float_type": _NO_NUMBER, "finite_number": "not a finite number",
    "bool_parsing": _NO_SWITCH, "bool_type": _NO_SWITCH,
    "greater_than": _TOO_SMALL, "greater_than_equal": _TOO_SMALL,
    "less_than": _TOO_LARGE, "less_than_equal": _TOO_LARGE,
    "too_short": "names none", "string_too_short": "empty",
    "string_type": "not a text", "list_type": "not a list", "string_pattern_mismatch": "unknown",
}  # fmt: skip
"""What is wrong, by the type of error that pydantic tells."""


def _explain(entry: Any, flag_of: Mapping[str, str]) -> str:
    name = ".".join(str(part) for part in entry["loc"][:1])
    allowed = _IN_OUR_WORDS.get(entry["type"]) or entry["msg"].removeprefix("Value error, ")
    if not name:
        return str(allowed)
    bounds = _bounds(name)
    where = [f"flag {flag_of[name]}"] if name in flag_of else []
    where.append(f"environment {ENVIRONMENT_PREFIX}{name.upper()}")
    return f"{name} = {entry['input']!r}: {allowed}{bounds} ({', '.join(where)})"


def _bounds(name: str) -> str:
    field = Settings.model_fields.get(name)
    words = []
    for meta in field.metadata if field is not None else []:
        for attribute, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
            value = getattr(meta, attribute, None)
            if value is not None:
                words.append(f"{sign} {value:g}" if isinstance(value, int | float) else f"{sign} {value}")
        if pattern := getattr(meta, "pattern", None):
            words.append(", ".join(str(pattern).strip("^()$").split("|")))
    return f"; allowed: {' and '.join(words)}" if words else ""
