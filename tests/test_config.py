"""Settings: which source wins, and what a mistake is told."""

from __future__ import annotations

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
        ({"symbols": ""}, ["symbols"]),
    ],
)
def test_a_mistake_names_the_setting_the_value_and_what_is_allowed(flags: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(flags)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load({"shards": 0, "http_port": 70_000}, file(tmp_path, "shard = 3\n"))
    text = str(caught.value)
    assert "shards = 0" in text
    assert "http_port = 70000" in text
    assert "no such setting; did you mean shards?" in text


def test_a_broken_or_missing_file_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"not valid TOML.*line 1"):
        load({}, file(tmp_path, "shards = = 3"))
    with pytest.raises(ConfigError, match="cannot be read"):
        load({}, tmp_path / "none.toml")


def test_the_demo_takes_every_symbol_unless_told() -> None:
    assert load({"demo": True}).symbols == ["*"]
    assert load({"demo": True, "symbols": "BTCUSDT"}).symbols == ["BTCUSDT"]
    assert load({"demo": True, "rotation_lifetime_s": 5}).lifetime_ns == 5 * 10**9


def test_the_settings_file_names_every_setting() -> None:
    text = (ROOT / "config" / "k2workers.toml").read_text(encoding="utf-8")
    assert [name for name in Settings.model_fields if f"# {name} =" not in text] == []
