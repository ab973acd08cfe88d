"""Settings: which source wins, and what a mistake is told."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from k2workers import config, venues
from k2workers.config import SETTINGS, Settings, load
from k2workers.errors import ConfigError
from k2workers.feed.feed_settings import FeedSettings
from k2workers.setting import NUMBER
from k2workers.setting import default as default_of
from k2workers.venues.venue_settings import VenueSettings
from tests.support.modules import modules


def file(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_flags_win_over_environment_over_file_over_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file(tmp_path, 'shards = 3\nhttp_port = 1\nenvironment = "file"\n')
    monkeypatch.setenv("K2_SHARDS", "5")
    monkeypatch.setenv("K2_HTTP_PORT", "2")
    settings = load({"shards": 7}, path)
    assert (settings.shards, settings.http_port, settings.environment, settings.stale_after_s) == (7, 2, "file", 30)


def test_an_empty_variable_counts_as_not_set_for_every_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.setenv(f"K2_{name.upper()}", "")
    assert load({}, file(tmp_path, "")) == Settings()
    path = file(tmp_path, 'shards = 3\nsymbols = ["BTCUSDT"]\ncheckpoint = "file"\n')
    settings = load({}, path)
    assert (settings.shards, settings.symbols, settings.checkpoint) == (3, ["BTCUSDT"], "file")
    assert load({"demo": True}, file(tmp_path, "")).symbols == ["*"]


def test_ipv6_endpoints_are_taken() -> None:
    settings = load({"publish_endpoint": "tcp://[::1]:5555", "snapshot_endpoint": "tcp://[::]:*"})
    assert (settings.publish_endpoint, settings.snapshot_endpoint) == ("tcp://[::1]:5555", "tcp://[::]:*")


def test_the_lifetime_has_the_name_that_users_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K2_BINANCE_CONNECTION_MAX_LIFETIME_HOURS", "12")
    assert load({}).lifetime_ns("binance") == 12 * 3_600 * 10**9


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"shards": 0}, ["shards", "0", "≥ 1 and ≤ 256", "K2_SHARDS"]),
        ({"binance_connection_max_lifetime_hours": 25}, ["25", "≥ 1 and ≤ 24"]),
        ({"binance_connection_max_lifetime_hours": 0.5}, ["0.5", "≥ 1 and ≤ 24"]),
        ({"streams": "trade,dept"}, ["streams", "dept", "did you mean 'depth'"]),
        ({"streams": "mini_ticker,mini_ticker_all"}, ["choose one"]),
        ({"publish_endpoint": "localhost:5555"}, ["publish_endpoint", "tcp://HOST:PORT"]),
        ({"publish_endpoint": "tcp://127.0.0.1:99999"}, ["publish_endpoint"]),
        (
            {"snapshot_endpoint": "tcp://::1:5556"},
            ["snapshot_endpoint", "stands in brackets, such as tcp://[::1]:5555"],
        ),
        ({"books_endpoint": "localhost:5557"}, ["books_endpoint", "tcp://HOST:PORT"]),
        ({"binance_websocket_url": "https://x"}, ["binance_websocket_url", "wss://"]),
        ({"binance_rest_url": "ftp://x"}, ["binance_rest_url", "https://"]),
        ({"binance_rest_url": "https://"}, ["binance_rest_url", "https://HOST[:PORT]"]),
        ({"binance_rest_url": "https://x:none"}, ["binance_rest_url", "https://HOST[:PORT]"]),
        ({"binance_rest_url": "https://[::1"}, ["binance_rest_url", "https://HOST[:PORT]"]),
        ({"binance_ca_bundle": "/no/such/file"}, ["binance_ca_bundle", "no such file"]),
        ({"rotation_lifetime_s": 5}, ["rotation_lifetime_s", "demo"]),
        ({"replay": "a.gz"}, ["replay", "demo"]),
        ({"symbols": ""}, ["symbols", "names none"]),
        ({"symbols": "BTCUSDT ETHUSDT"}, ["symbols", "names stand between commas"]),
        ({"shards": "1.5"}, ["shards = 1.5: not a whole number; allowed: ≥ 1 and ≤ 256"]),
        ({"shards": "many"}, ["not a whole number"]),
        ({"demo_rate": "x"}, ["not a number"]),
        ({"demo": "maybe"}, ["neither true nor false"]),
        ({"duration_s": float("inf")}, ["duration_s = inf: not a finite number"]),
        ({"duration_s": 1e300}, ["too large", "≤ 1e+09"]),
        ({"replay_ring_s": "nan"}, ["not a finite number"]),
        ({"checkpoint_max_age_s": 1e300}, ["too large"]),
        ({"log_level": "loud"}, ["log_level = 'loud': unknown; allowed: debug, info, warning, error"]),
        ({"log_format": "xml"}, ["allowed: auto, console, json"]),
        ({"http_host": ""}, ["http_host = '': empty"]),
        ({"checkpoint": "/no/such/checkpoint"}, ["checkpoint", "allowed: a file in a directory that exists"]),
    ],
)
def test_a_mistake_names_the_setting_the_value_and_what_is_allowed(flags: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(flags)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("name", [name for name, setting in SETTINGS.items() if setting.sort == NUMBER])
@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e300])
def test_no_number_is_without_bounds(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"{name} = .*: (not a finite number|too large)"):
        load({name: value})


def test_words_are_taken_in_any_case() -> None:
    settings = load({"log_level": "WARNING", "log_format": "Json"})
    assert (settings.log_level, settings.log_format) == ("warning", "json")


def test_a_variable_that_is_nearly_a_setting_is_a_mistake_and_others_are_somebody_elses() -> None:
    with pytest.raises(ConfigError) as caught:
        load({"shards": 0}, environ={"K2_SHARD": "4", "K2_HTTP_PRT": "1", "K2_SERVICE_HOST": "x", "PATH": "x"})
    assert str(caught.value).splitlines()[:2] == [
        "K2_HTTP_PRT in the environment: no such setting; did you mean K2_HTTP_PORT?",
        "K2_SHARD in the environment: no such setting; did you mean K2_SHARDS?",
    ]
    assert "shards = 0" in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load({"shards": 0, "http_port": 70_000}, file(tmp_path, "shard = 3\n"))
    text = str(caught.value)
    assert "shards = 0" in text
    assert "http_port = 70000" in text
    assert "no such setting; did you mean shards?" in text


def test_what_only_the_demonstration_has_is_told_with_all_other_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load({"shards": 0, "rotation_lifetime_s": 5}, file(tmp_path, 'replay = ["a.gz"]\n'), environ={})
    told = str(caught.value).splitlines()
    assert len(told) == 3
    assert {line.partition(":")[0] for line in told} == {
        "shards = 0",
        "rotation_lifetime_s = 5",
        "replay = ['a.gz']",
    }


@pytest.mark.parametrize("name", ["shards", "duration_s", "http_port", "hold_back_s", "gather_us"])
def test_a_switch_is_no_number(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name} = True: not a number; allowed: "):
        load({}, file(tmp_path, f"{name} = true\n"), environ={})


@pytest.mark.parametrize(
    ("given", "gather_ns"),
    [
        ({}, 500_000),
        ({"gather": "fast"}, 0),
        ({"gather": "cheap"}, 10_000_000),
        ({"gather": "cheap", "gather_us": 70}, 70_000),
    ],
)
def test_how_long_events_gather_is_said_by_a_word_or_in_microseconds(given: dict[str, object], gather_ns: int) -> None:
    assert load(given, environ={}).gather_ns == gather_ns
    assert load({}, environ={}).gather_ns == default_of(FeedSettings, "gather_ns")


def test_a_broken_or_missing_file_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"not valid TOML.*line 1"):
        load({}, file(tmp_path, "shards = = 3"))
    with pytest.raises(ConfigError, match="cannot be read"):
        load({}, tmp_path / "none.toml")


def test_the_demo_takes_every_symbol_unless_told() -> None:
    assert load({"demo": True}).symbols == ["*"]
    assert load({"demo": True, "symbols": "BTCUSDT"}).symbols == ["BTCUSDT"]
    assert load({"demo": True, "rotation_lifetime_s": 5}).lifetime_ns("binance") == 5 * 10**9


def test_mistakes_of_a_broken_file_and_of_the_caller_are_told_with_all_others(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as told:
        load({"shards": "1_0"}, file(tmp_path, "= 3"), environ={"K2_DEMO": "maybe"}, problems=["--x: no such flag"])
    beginnings = ["--x: no such flag", "config = ", "shards = 1_0: not a whole", "demo = 'maybe': neither"]
    lines = str(told.value).splitlines()
    assert len(lines) == len(beginnings)
    assert all(line.startswith(beginning) for line, beginning in zip(lines, beginnings, strict=True))


RUNS_US = {"venue": "binance_us"}


def test_a_table_a_variable_and_a_flag_say_the_same_of_a_venue_and_the_usual_one_wins(tmp_path: Path) -> None:
    path = file(
        tmp_path,
        'venue = "binance_us"\n[binance_us]\nrest_url = "http://file"\nwebsocket_url = "ws://file"\nca_bundle = ""\n',
    )
    variables = {"K2_BINANCE_US_REST_URL": "http://variable", "K2_BINANCE_US_BOOK_LEVELS": "500"}
    found = load({"binance_us_book_levels": "100"}, path, variables).of_venue("binance_us")
    assert (found.rest_url, found.websocket_url, found.book_levels) == ("http://variable", "ws://file", 100)


def test_a_venues_setting_stands_outside_of_its_table_by_its_whole_name(tmp_path: Path) -> None:
    path = file(tmp_path, 'binance_rest_url = "http://here"\nbinance_us_rest_url = "http://there"\n')
    assert load({}, path, {}).of_venue("binance").rest_url == "http://here"
    assert load(RUNS_US, path, {}).of_venue("binance_us").rest_url == "http://there"


def test_venues_that_share_a_file_each_have_their_own_settings_and_those_of_others_do_not_count(tmp_path: Path) -> None:
    text = "[binance]\nconnection_max_lifetime_hours = 12\n[binance_us]\nconnection_max_lifetime_hours = 2\nbook_levels = 100\n"
    path = file(tmp_path, text)
    first, second = load({}, path, {}), load(RUNS_US, path, {})
    assert first.of_venues == second.of_venues
    both = load({"venue": "binance,binance_us"}, path, {})
    names = ("binance", "binance_us")
    assert [both.lifetime_ns(venue) // (3_600 * 10**9) for venue in names] == [12, 2]
    assert [both.of_venue(venue).book_levels for venue in names] == [1000, 100]


@pytest.mark.parametrize("venue", venues.NAMES)
def test_a_name_without_a_venue_is_of_the_one_that_runs_unless_the_same_source_names_it(
    venue: str, tmp_path: Path
) -> None:
    runs = {"venue": venue}
    given = load({"rest_weight_share": 0.5, **runs}, file(tmp_path, ""), {"K2_BOOK_LEVELS": "500"})
    assert (given.of_venue(venue).book_levels, given.of_venue(venue).rest_weight_share) == (500, 0.5)
    assert given.of_venues.keys() == {venue}
    path = file(tmp_path, f"book_levels = 100\n[{venue}]\nbook_levels = 1000\n")
    assert load(runs, path, {}).of_venue(venue).book_levels == 1000
    assert load({"book_levels": 500, **runs}, path, {}).of_venue(venue).book_levels == 500, "a flag wins over the file"


def test_a_mistake_is_told_by_the_name_that_was_used() -> None:
    with pytest.raises(ConfigError) as told:
        load({"book_levels": 7}, environ={"K2_BINANCE_REST_WEIGHT_SHARE": "2"}, with_flags=True)
    assert str(told.value).splitlines() == [
        "book_levels = 7: unknown; allowed: 100, 500, 1000, 5000 (flag --book-levels, environment K2_BOOK_LEVELS)",
        (
            "binance_rest_weight_share = 2: too large; allowed: > 0 and ≤ 1 "
            "(flag --binance-rest-weight-share, environment K2_BINANCE_REST_WEIGHT_SHARE)"
        ),
    ]


def test_mistakes_of_a_venue_that_does_not_run_are_told_too() -> None:
    with pytest.raises(ConfigError, match=r"^binance_us_rest_url = 'x': allowed: http://HOST.* \(environment K2_B"):
        load({}, environ={"K2_BINANCE_US_REST_URL": "x"})


def test_a_name_that_was_once_of_every_market_is_refused_for_another_one_with_the_right_name(tmp_path: Path) -> None:
    path = file(tmp_path, 'binance_rest_url = "http://x"\nbinance_ca_bundle = ""\n')
    variables = {"K2_BINANCE_CONNECTION_MAX_LIFETIME_HOURS": "30"}  # nor is what is wrong with it told besides
    with pytest.raises(ConfigError) as told:
        load({"binance_websocket_url": "ws://x", "shards": 0, **RUNS_US}, path, variables, with_flags=True)
    shards, *others = str(told.value).splitlines()
    assert shards.startswith("shards = 0")
    assert others == [
        f"{said}: is of venue 'binance' alone, and 'binance_us' runs; allowed: {meant} "
        f"(flag --{meant.replace('_', '-')}, environment K2_{meant.upper()})"
        for said, meant in (
            ("binance_websocket_url = 'ws://x'", "binance_us_websocket_url"),
            ("binance_rest_url = 'http://x'", "binance_us_rest_url"),
            ("binance_connection_max_lifetime_hours = 30", "binance_us_connection_max_lifetime_hours"),
        )
    ]


def test_who_says_the_same_of_the_market_that_runs_knows_that_the_other_does_not_count(tmp_path: Path) -> None:
    path = file(tmp_path, '[binance_us]\nrest_url = "http://own"\n')
    found = load(RUNS_US, path, {"K2_BINANCE_REST_URL": "http://other", "K2_BINANCE_US_CA_BUNDLE": ""})
    assert found.of_venue("binance_us").rest_url == "http://own"
    untouched = load({"binance_us_rest_url": "http://own"}, file(tmp_path, ""), {}).of_venue("binance")
    assert untouched.rest_url != "http://own"


BOTH = {"venue": "binance,binance_us"}


@pytest.mark.parametrize("where", ["flag", "environment", "file"])
def test_several_venues_may_run_and_one_is_still_a_plain_text(where: str, tmp_path: Path) -> None:
    flags = BOTH if where == "flag" else {}
    environ = {"K2_VENUE": "binance, binance_us"} if where == "environment" else {}
    text = 'venue = ["binance", "binance_us"]\n' if where == "file" else 'venue = "binance_us"\n'
    settings = load(flags, file(tmp_path, text), environ)
    assert settings.venue == ["binance", "binance_us"]
    assert [settings.apart(venue) for venue in settings.venue] == settings.venue
    alone = load({}, file(tmp_path, 'venue = "binance_us"\n'), {})
    assert (alone.venue, alone.apart("binance_us")) == (["binance_us"], "")


@pytest.mark.parametrize(
    ("venue", "words"),
    [
        ("kraken", "venue = 'kraken': unknown; allowed: binance, binance_us"),
        ("binance,kraken", "venue = 'binance,kraken': 'kraken' is unknown; allowed: binance, binance_us"),
        ("binance,binance_us,binance", "venue = 'binance,binance_us,binance': 'binance' stands 2 times; allowed: once"),
        ([], "venue = []: unknown; allowed: binance, binance_us"),
    ],
)
def test_a_venue_that_is_unknown_or_stands_twice_is_one_clear_message(venue: object, words: str) -> None:
    with pytest.raises(ConfigError) as told:
        load({"venue": venue}, environ={})
    (line,) = str(told.value).splitlines()
    assert line.startswith(words)


def test_what_is_said_of_one_venue_wins_there_and_what_is_said_of_all_holds_at_the_others(tmp_path: Path) -> None:
    path = file(tmp_path, 'shards = 3\n[binance_us]\nsymbols = ["LTCUSDT"]\nstreams = ["trade"]\n')
    settings = load({**BOTH, "symbols": "BTCUSDT"}, path, {"K2_BINANCE_US_SHARDS": "1"})
    found = [
        (settings.symbols_of(venue), settings.streams_of(venue), settings.shards_of(venue)) for venue in settings.venue
    ]
    assert found == [
        (["BTCUSDT"], ["trade", "agg_trade", "book_ticker", "depth"], 3), (["LTCUSDT"], ["trade"], 1),
    ]  # fmt: skip
    assert load({"demo": True, **BOTH}, path, {}).symbols_of("binance") == ["*"]


def test_a_recording_is_played_to_one_venue_alone() -> None:
    assert load({"demo": True, "replay": ["day.gz"], "venue": "binance_usdm"}, environ={}).replay == ["day.gz"]
    with pytest.raises(
        ConfigError, match=r"^replay = \['day.gz'\]: .* allowed only with one venue \(environment K2_REPLAY\)\Z"
    ):
        load({"demo": True, "replay": ["day.gz"], **BOTH}, environ={})


def test_symbols_that_nobody_names_are_the_venues_usual_ones() -> None:
    settings = load({"venue": "binance,binance_coinm"}, environ={})
    assert settings.symbols_of("binance")[:2] == ["BTCUSDT", "ETHUSDT"]
    assert settings.symbols_of("binance_coinm")[:2] == ["BTCUSD_PERP", "ETHUSD_PERP"]


def test_kinds_that_nobody_names_are_the_usual_ones_of_each_venue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venues.settings_struct("binance_us"), "usual_streams", ("ticker",))
    untold, told = load(BOTH, environ={}), load({**BOTH, "streams": "depth"}, environ={})
    assert [untold.streams_of(venue) for venue in untold.venue] == [
        ["trade", "agg_trade", "book_ticker", "depth"], ["ticker"],
    ]  # fmt: skip
    assert [told.streams_of(venue) for venue in told.venue] == [["depth"], ["depth"]]


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        ({"streams": "trade,avg_price"}, ["streams = 'trade,avg_price': binance_us has no 'avg_price'"]),
        ({"streams": "dept"}, ["streams = 'dept': 'dept' is not a kind of stream; did you mean 'depth'?"]),
        ({"streams": "trade,avg_price", "binance_us_streams": "trade"}, []),
        ({"binance_us_streams": "avg_price"}, ["binance_us_streams = 'avg_price': binance_us has no 'avg_price'"]),
        ({"book_levels": 7}, ["book_levels = 7: unknown; allowed: 100, 500, 1000, 5000"]),
        ({"binance_shards": 0}, ["binance_shards = 0: too small; allowed: ≥ 1 and ≤ 256"]),
    ],
)
def test_what_is_wrong_at_one_of_several_venues_is_told_once_and_with_its_name(
    given: dict[str, Any], lines: list[str]
) -> None:
    if not lines:
        load({**BOTH, **given}, environ={})
        return
    with pytest.raises(ConfigError) as told:
        load({**BOTH, **given}, environ={})
    assert [line.partition(" (")[0] for line in str(told.value).splitlines()] == lines


@pytest.mark.parametrize("venue", ["kraken", ["okx"], {"name": "binance"}, 5])
def test_of_an_unknown_venue_all_else_is_judged(venue: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as told:
        load({"venue": venue, "book_levels": 7, "binance_rest_url": "x", "shards": 0}, file(tmp_path, ""), {})
    assert [line.partition(" = ")[0] for line in str(told.value).splitlines()] == [
        "venue",
        "shards",
        "binance_rest_url",
    ]


def _structs() -> list[type[msgspec.Struct]]:
    for name in modules():
        importlib.import_module(name)
    found, left = [], [msgspec.Struct]
    while left:
        below = left.pop().__subclasses__()
        left += below
        found += [struct for struct in below if struct.__module__.startswith("k2workers.")]
    return found


UNIT = re.compile(r"_(s|ms|us|ns|mb|bytes|hours)$")

OTHERS = {
    ("StandInSettings", "symbols"): "a number of symbols: another thing than the feed's choice of them",
    ("StandInSettings", "replay"): "none is none",
    ("Diagnosis", "venue"): "which one a finding is about; none for the machine",
    ("TailSettings", "snapshot_endpoint"): "where a reader asks: the port after what it hears, as Subscriber says",
    ("TailSettings", "books_endpoint"): "the same",
    ("TailSettings", "disk_ring_endpoint"): "the same",
    ("RecorderSettings", "disk_ring_endpoint"): "the same",
    ("FeedSettings", "gather_ns"): "of the profile that is the setting's default: another test holds both together",
}
"""Fields that are called like a setting and are not it, with the reason."""


def _functions_defaults(path: Path) -> Iterator[tuple[str, object]]:
    """Each parameter of the module's functions that has a literal default, and that."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.arguments):
            named = [*node.posonlyargs, *node.args][len(node.posonlyargs + node.args) - len(node.defaults) :]
            for parameter, value in zip(named + node.kwonlyargs, node.defaults + node.kw_defaults, strict=True):
                if isinstance(value, ast.Constant):
                    yield parameter.arg, value.value


def test_no_function_and_no_other_text_repeats_the_default_of_a_setting() -> None:
    known = {UNIT.sub("", setting.key): setting.default for setting in SETTINGS.values() if setting.default}
    defaults = [setting.default for setting in SETTINGS.values()]
    addresses = {text for text in defaults if isinstance(text, str) and "://" in text}
    again = []
    for path in Path(config.__file__).parent.rglob("*.py"):
        again += [
            (path.name, name)
            for name, value in _functions_defaults(path)
            if value and known.get(UNIT.sub("", name)) == value
        ]
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        again += [
            (path.name, node.value) for node in nodes if isinstance(node, ast.Constant) and node.value in addresses
        ]
    of_venues = [setting.default for setting in SETTINGS.values() if setting.table and setting.default in addresses]
    assert sorted(again) == sorted(
        [
            ("endpoint.py", SETTINGS["publish_endpoint"].default),
            *(("settings.py", address) for address in of_venues),
        ]
    )


def test_a_default_of_a_setting_stands_in_one_place() -> None:
    """What a Struct has a default for is taken from there, and by no second Struct."""
    tree = ast.parse(Path(config.__file__).read_text(encoding="utf-8"))
    listed = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings")
    written = {
        field.target.id: {node.id for node in ast.walk(field.value) if isinstance(node, ast.Name)}
        for field in listed.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.value is not None
    }
    # What a venue says of these is what is said of all, or nothing: they have no default there.
    of_venues = {setting.key for setting in SETTINGS.values() if setting.table and setting.default is not None}
    assert written.keys() - {"of_venues"} == {setting.key for setting in SETTINGS.values()} - of_venues
    homes: dict[str, set[str]] = {}
    for struct in _structs():
        names, defaults, own = struct.__struct_fields__, struct.__struct_defaults__, inspect.get_annotations(struct)
        for name, default in zip(names[len(names) - len(defaults) :], defaults, strict=True):
            if struct is Settings or name not in own or default is msgspec.NODEFAULT or default is None:
                continue
            if (struct.__name__, name) not in OTHERS:
                home = "a venue's" if issubclass(struct, VenueSettings) else struct.__name__
                homes.setdefault(UNIT.sub("", name), set()).add(home)
    assert {key: homes[UNIT.sub("", key)] for key in of_venues} == {key: {"a venue's"} for key in of_venues}
    wrong = {
        name: (homes[stem], taken)
        for name, taken in written.items()
        if (stem := UNIT.sub("", name)) in homes and (len(homes[stem]) != 1 or not homes[stem] <= taken)
    }
    assert wrong == {}
