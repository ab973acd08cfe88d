"""What a file and the environment say of settings, and what is told of what they should not."""

from __future__ import annotations

from pathlib import Path

import pytest

from k2workers import venues
from k2workers.config import SETTINGS
from k2workers.setting_sources import InFile, of_environment, of_file, variable_of


def said(folder: Path, text: str | bytes) -> InFile:
    path = folder / "f.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = of_file(path, SETTINGS)
    return found._replace(mistakes=[mistake.replace(str(path), "FILE") for mistake in found.mistakes])


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    assert said(tmp_path, b"\xef\xbb\xbfshards = 3\n") == InFile({"shards": 3}, {}, [])
    assert of_file(None, SETTINGS) == InFile({}, {}, [])


def test_a_venues_table_gives_its_settings_by_their_whole_names(tmp_path: Path) -> None:
    text = 'shards = 3\n[binance_us]\nrest_url = "r"\n[binance]\nbook_levels = 500\n'
    assert said(tmp_path, text) == InFile({"shards": 3}, {"binance_us_rest_url": "r", "binance_book_levels": 500}, [])
    assert said(tmp_path, 'binance_us.rest_url = "r"\n').in_tables == {"binance_us_rest_url": "r"}
    assert said(tmp_path, "[binance]\n") == InFile({}, {}, [])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("shard = 3\n", "shard in FILE: no such setting; did you mean shards?"),
        ('rest_url = "r"\n', "rest_url in FILE: no such setting; did you mean binance_rest_url?"),
        ('[binance_us]\nwebsokt_url = "w"\n', "websokt_url in [binance_us] of FILE: no such setting; did you mean websocket_url?"),
        ('[binance]\nbinance_rest_url = "r"\n', "binance_rest_url in [binance] of FILE: no such setting; did you mean rest_url?"),
        ("[binance]\nhttp_port = 3\n", "http_port in [binance] of FILE: is of no venue; allowed: above all tables"),
        ("[binance.us]\nrest_url = 'r'\n", "us in [binance] of FILE: no such setting"),
        ("[binanceus]\nrest_url = 'r'\n", "[binanceus] in FILE: no such venue; did you mean binance_us?"),
        ("[okx]\nrest_url = 'r'\n", f"[okx] in FILE: no such venue; allowed: {', '.join(venues.NAMES)}"),
        ("binance_us = 5\n", "binance_us = 5 in FILE: not a table; allowed: [binance_us], and its settings below"),
        ("[[binance]]\nbook_levels = 5\n", "binance = [{'book_levels': 5}] in FILE: not a table; allowed: [binance], and its settings below"),
        ("binance_book_levels = 100\n[binance]\nbook_levels = 500\n", "binance_book_levels in FILE: stands in [binance] and outside of it; allowed: once"),
    ],
)  # fmt: skip
def test_what_is_no_setting_is_told_in_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    found = said(tmp_path, text)
    assert found.mistakes == [words]
    assert found.in_tables == {}


def test_all_mistakes_of_a_file_are_told_together(tmp_path: Path) -> None:
    text = "shard = 3\nbinance = 1\n[binance_us]\nrest = 'r'\nhttp_port = 5\n[binanceus]\n"
    assert len(said(tmp_path, text).mistakes) == 5


def test_a_table_in_the_place_of_a_settings_value_is_a_value_and_judged_as_one(tmp_path: Path) -> None:
    assert said(tmp_path, "[shards]\nn = 3\n").by_name == {"shards": {"n": 3}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("shards = 1\nhttp_port = 2\nshards = 3\n", "shards stands twice (again in line 3)"),
        ('demo = true\ndemo = "x"\n', "demo stands twice (again in line 2)"),
        ("shards = 1\nshards = 3", "shards stands twice (again in line 2)"),
        ("[binance]\nbook_levels = 1\n[binance_us]\nbook_levels = 1\nbook_levels = 2\n", "book_levels stands twice (again in line 5)"),
        ("[binance]\n[binance_us]\n[binance]\n", "[binance] stands twice (again in line 3); allowed: once"),
        ("shards = {a = 1, a.b = 2}\n", "not valid TOML"),
    ],
)  # fmt: skip
def test_a_name_that_stands_twice_in_the_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    (told,) = said(tmp_path, text).mistakes
    assert words in told


def test_a_variable_is_known_by_its_whole_name_and_a_near_one_is_a_mistake() -> None:
    assert variable_of("binance_us_rest_url") == "K2_BINANCE_US_REST_URL"
    there = {"k2_binance_us_rest_url": "r", "K2_BINANCE_US_WEBSOKET_URL": "w", "K2_SHARDS": "", "PATH": "x"}
    assert of_environment(there, SETTINGS) == (
        {"binance_us_rest_url": "r"},
        ["K2_BINANCE_US_WEBSOKET_URL in the environment: no such setting; did you mean K2_BINANCE_US_WEBSOCKET_URL?"],
    )


@pytest.mark.parametrize("service", ["K2", "K2_FEED", "K2_BINANCE", "K2_BINANCE_US", "K2_BINANCE_STREAM"])
def test_variables_that_an_orchestrator_makes_of_a_services_name_are_somebody_elses(service: str) -> None:
    made = [
        "SERVICE_HOST",
        "SERVICE_PORT",
        "SERVICE_PORT_METRICS",
        "PORT",
        "PORT_9091_TCP",
        "PORT_9091_TCP_PROTO",
        "PORT_9091_TCP_ADDR",
    ]
    assert of_environment({f"{service}_{name}": "x" for name in made}, SETTINGS) == ({}, [])


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("K2_VENEU", "K2_VENUE"),
        ("K2_DEM0", "K2_DEMO"),
        ("K2_SHARD", "K2_SHARDS"),
        ("K2_REPROT", "K2_REPORT"),
        ("K2_HTP_PORT", "K2_HTTP_PORT"),
        ("K2_HTTP_PROT", "K2_HTTP_PORT"),
    ],
)
def test_a_misspelt_variable_is_told_also_if_its_name_is_short_or_that_of_a_port(variable: str, meant: str) -> None:
    words = f"{variable} in the environment: no such setting; did you mean {meant}?"
    assert of_environment({variable: "1"}, SETTINGS) == ({}, [words])
