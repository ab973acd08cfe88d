"""Settings: which source wins, and what a mistake is told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from k2workers.config import Settings, load
from k2workers.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]


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
    for name in Settings.model_fields:
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
    assert load({}).lifetime_ns == 12 * 3_600 * 10**9


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
        ({"shards": "1.5"}, ["shards = '1.5': not a whole number; allowed: ≥ 1 and ≤ 256"]),
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


@pytest.mark.parametrize(
    "name", [name for name, field in Settings.model_fields.items() if "float" in str(field.annotation)]
)
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


def test_a_broken_or_missing_file_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"not valid TOML.*line 1"):
        load({}, file(tmp_path, "shards = = 3"))
    with pytest.raises(ConfigError, match="cannot be read"):
        load({}, tmp_path / "none.toml")


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "marked.toml"
    path.write_bytes(b"\xef\xbb\xbfshards = 3\n")
    assert load({}, path).shards == 3


def test_a_checkpoint_behind_a_link_is_the_file_that_the_link_names(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "first").touch()
    for target in ("disk/first", "disk/second"):  # also one that is still to come
        link = tmp_path / Path(target).name
        link.symlink_to(tmp_path / target)
        assert load({"checkpoint": str(link)}, environ={}).checkpoint == str(tmp_path / target)


@pytest.mark.parametrize("place", ["/dev/null", "pipe", "astray"])
def test_a_checkpoint_takes_no_place_of_anything_but_a_file(tmp_path: Path, place: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "astray").symlink_to(tmp_path / "missing" / "checkpoint")
    path = str(tmp_path / place)
    with pytest.raises(ConfigError) as told:
        load({"checkpoint": path}, environ={})
    assert str(told.value).startswith(f"checkpoint = {path!r}: ")


def test_the_demo_takes_every_symbol_unless_told() -> None:
    assert load({"demo": True}).symbols == ["*"]
    assert load({"demo": True, "symbols": "BTCUSDT"}).symbols == ["BTCUSDT"]
    assert load({"demo": True, "rotation_lifetime_s": 5}).lifetime_ns == 5 * 10**9


def test_the_settings_file_names_every_setting() -> None:
    text = (ROOT / "config" / "k2workers.toml").read_text(encoding="utf-8")
    assert [name for name in Settings.model_fields if f"# {name} =" not in text] == []
