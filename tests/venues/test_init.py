"""The door: venues come by name, say that name once, and nobody else names them."""

from __future__ import annotations

import ast
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import k2workers
from k2workers import venues
from k2workers.errors import ConfigError
from k2workers.venues.binance import BinanceSpot

PACKAGE = Path(k2workers.__file__).parent

PACKAGES = [name for _, name, package in pkgutil.iter_modules([str(PACKAGE / "venues")]) if package]
MARKED = sorted({name.partition("_")[0] for name in (*venues.NAMES, *PACKAGES)})
"""The exchanges whose names are looked for."""

ALLOWED = {
    r"k2_binance_connection_(rotations|lifetime_seconds|next_rotation_seconds|up)": "dashboards hold these metrics; ``exchange`` tells markets apart",
    r"k2_binance_reconnects": "the same",
    r"binance_connection_rotation_triggered": "users grep their logs for it; ``exchange`` tells markets apart",
    r"k2-binance-stream": "the container's name, and the label ``service`` of every metric",
    r"binance_connection_max_lifetime_hours": "a setting that users have in files and environments, until settings are per venue",
    r"binance_(websocket_url|rest_url|ca_bundle)": "the same",
    r"binance\.(trade\.(BTCUSDT)?)": "an example of a topic, in what the commands print about themselves",
    r"\bBinance spot\b": "the default, in the same examples",
}
"""What generic files may say, and why; as patterns."""


def _said(tree: ast.AST) -> Iterator[str]:
    """Every identifier and string of a module; no prose: strings that stand alone."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value
        for field in ("id", "attr", "name", "asname", "arg", "module"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                yield value


def _generic_files() -> list[Path]:
    """Those that know no venue: all but the registry, the venues' packages and the stand-in."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).parts
        if (
            place[0] != "simulator"
            and place != ("venues", "__init__.py")
            and not (place[0] == "venues" and len(place) > 2)
        ):
            found.append(path)
    return found


def test_a_venue_is_loaded_by_the_name_that_it_says_itself() -> None:
    assert [venues.load(name).name for name in venues.NAMES] == list(venues.NAMES)


@pytest.mark.parametrize("name", ["", "binanc", "os"])
def test_a_name_of_no_venue_is_answered_with_all_names(name: str) -> None:
    with pytest.raises(ConfigError, match=f"venue = {name!r}: unknown; allowed: binance"):
        venues.load(name)


@pytest.mark.parametrize("kind", ["trade", "mini_ticker_all"])
def test_a_renamed_subclass_publishes_under_its_own_name(kind: str) -> None:
    class Other(BinanceSpot):
        name = "other"

    codec = Other().codec(Other().stream_specs([kind], ["BTCUSDT"]))
    tickers = b'{"stream":"!miniTicker@arr","data":[{"e":"24hrMiniTicker","E":1700000000000000,"s":"BTCUSDT","c":"1.0","o":"1.0","h":"1.0","l":"1.0","v":"1.0","q":"1.0"}]}'
    codec.decode(tickers, 1, [])
    assert [topic.topic for topic in codec.topics] == [f"other.{kind.removesuffix('_all')}.BTCUSDT"]


def test_no_generic_file_names_a_venue() -> None:
    named = re.compile("|".join(MARKED), re.IGNORECASE)
    allowed = re.compile("|".join(ALLOWED))
    found = {
        str(path.relative_to(PACKAGE)): sorted(
            text
            for text in set(_said(ast.parse(path.read_text(encoding="utf-8"))))
            if named.search(allowed.sub("", text))
        )
        for path in _generic_files()
    }
    assert {path: texts for path, texts in found.items() if texts} == {}


def test_every_name_that_is_allowed_is_needed() -> None:
    said = "\n".join(text for path in _generic_files() for text in _said(ast.parse(path.read_text(encoding="utf-8"))))
    assert [pattern for pattern in ALLOWED if not re.search(pattern, said)] == []
