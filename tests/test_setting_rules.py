"""The rules of single settings."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from k2workers.config import SETTINGS, load
from k2workers.errors import ConfigError
from k2workers.setting_rules import DEMO_ONLY, RULES, unknown_kinds


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


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("symbols", ["BTCUSDT ETHUSDT"], "names stand between commas"),
        ("websocket_url", "https://x", "allowed: ws://"),
        ("rest_url", "http://x:0", "allowed: http://"),
        ("rest_url", "http://[x", "allowed: http://"),
        ("ca_bundle", "/no/such.pem", "no such file"),
        ("report", "/no/such/report.json", "in a directory that exists"),
        ("report", "/", "in a directory that exists"),
        ("publish_endpoint", "", "allowed: tcp://"),
        ("books_endpoint", "here", "allowed: tcp://"),
        ("disk_ring_endpoint", "here", "allowed: tcp://"),
        ("disk_ring_gb", 0.001, "too small; allowed: 0 (no disk ring), or 0.01 and more"),
        ("disk_ring_dir", __file__, "that is no directory"),
        *(
            ("book_topics", ["book_top", name], f"{name!r} is unknown; allowed: book_top, and book_1 to book_1000")
            for name in ("top", "book_", "book_0", "book_020", "book_1001", "book_x", "book_²", "")
        ),
    ],
)
def test_a_value_against_its_rule_is_told_with_what_is_allowed(name: str, value: object, wrong: str) -> None:
    with pytest.raises(ValueError, match=re.escape(wrong)):
        RULES[name](value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("symbols", ["BTCUSDT", "A B"]),
        ("symbols", ["file:a b"]),
        ("book_topics", ["book_top", "book_1", "book_1000"]),
        ("websocket_url", "ws://127.0.0.1:9443"),
        ("ca_bundle", __file__),
        ("books_endpoint", "ipc:///run/k2/books"),
        ("disk_ring_gb", 0.01),
        ("disk_ring_dir", "/no/such/directory"),
    ],
)
def test_a_value_that_keeps_its_rule_stays_as_it_is(name: str, value: object) -> None:
    assert RULES[name](value) == value


def test_a_checkpoint_behind_a_link_into_a_place_that_cannot_be_written_is_told_with_that_place(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "missing" / "checkpoint")
    with pytest.raises(ValueError, match=f"it leads to {tmp_path}/missing/checkpoint"):
        RULES["checkpoint"](str(tmp_path / "link"))


def test_each_rule_is_of_a_setting() -> None:
    assert RULES.keys() <= {setting.key for setting in SETTINGS.values()}
    assert SETTINGS.keys() >= DEMO_ONLY


def test_every_default_keeps_its_rule() -> None:
    for setting in SETTINGS.values():
        if setting.key in RULES:
            assert RULES[setting.key](setting.default) == setting.default, setting.name


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"streams": ["dept"]}, {"streams": "did you mean 'depth'"}),
        ({"streams": ["trade"]}, {}),
        ({}, {}),
        ({"streams": ["dept"], "binance_streams": ["trade"]}, {}),
        ({"binance_us_streams": ["dept"]}, {"binance_us_streams": "did you mean 'depth'"}),
    ],
)
def test_what_the_venue_decides_is_told_in_its_words(given: dict[str, object], wrong: dict[str, str]) -> None:
    found = unknown_kinds(["binance"], given)
    assert found.keys() == wrong.keys()
    assert all(words in found[name] for name, words in wrong.items())


def test_an_unknown_venue_is_told_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="allowed: binance, binance_us"):
        RULES["venue"](["kraken"])
    assert RULES["rest_url"]("") == ""


@pytest.mark.parametrize("name", ["report", "checkpoint", "binance_ca_bundle"])
def test_a_path_that_the_system_does_not_look_at_is_a_mistake_in_words(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name} = .*: File name too long"):
        load({name: "/" + "x" * 5_000}, environ={})


def test_a_topic_of_books_that_is_named_twice_is_made_once() -> None:
    assert load({"book_topics": "book_top,book_20,book_top"}, environ={}).book_topics == ["book_top", "book_20"]
