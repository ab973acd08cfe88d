"""One name a thing: no module and no class stands twice, names that were given up do not come back, and a venue is named at home only."""

from __future__ import annotations

import ast
import io
import keyword
import pkgutil
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import k2workers
from k2workers import venues

PACKAGE = Path(k2workers.__file__).parent
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if not path.stem.startswith("__")]

GIVEN_UP = frozenset({
    "Ask", "Asking", "BatchPuller", "BatchPusher", "FastLane", "GrantAsk", "Life", "Messages", "Pace", "Parent", "Patience", "Plan",
    "Progress", "PushCounters", "PushOutcome", "Recovery", "Rest", "Trouble", "WeightAsk", "WeightWish",
    "ask_id", "from_lane", "on_unsettled", "pull_endpoint", "puller", "push_endpoint", "pusher", "recovery", "trouble", "unsettled", "wish",
})  # fmt: skip
"""Identifiers that were a second name of something, or had a second meaning; ``k2workers`` explains the words that are used now."""

GIVEN_UP_MODULES = frozenset({
    "answers", "asking", "gap", "handshake", "life", "limits", "link", "messages", "pace", "patience", "plan", "preloaded", "progress", "pull",
    "push", "recovery", "resources", "rotating", "settings", "start", "symbol", "symbols", "trouble",
})  # fmt: skip
"""Modules that were named after a socket, a feeling or a suffix, or that said too little beside others of the same name.

A venue's package may use them: there the package says whose limits or messages they are.
"""

INDEXED = (
    "feed/intake.py",
    "feed/backfiller.py",
    "feed/repairs.py",
    "feed/liveness.py",
    "feed/silence.py",
    "sequencing/backfill_planner.py",
)
"""Here ``stream`` would be a topic's index; a stream is the venue's name."""


HOMES = ("venues", "simulator")
"""What each venue has a package of its own in."""

REGISTRIES = tuple(PACKAGE / home / "__init__.py" for home in HOMES)

VENUES = [name for _, name, package in pkgutil.iter_modules([str(PACKAGE / "venues")]) if package]
MARKED = sorted({name.partition("_")[0] for name in (*venues.NAMES, *VENUES)})
"""The exchanges whose names are looked for in generic files."""

ALLOWED = {
    r"k2_binance_connection_(rotations|lifetime_seconds|next_rotation_seconds|up)": "dashboards hold these metrics; ``exchange`` tells markets apart",
    r"k2_binance_reconnects": "the same",
    r"binance_connection_rotation_triggered": "users grep their logs for it; ``exchange`` tells markets apart",
    r"k2-binance-stream": "the container's name, and the label ``service`` of every metric",
    r"binance\.(trade\.(BTCUSDT)?|BTCUSDT)": "an example of a topic or a symbol, in what the commands print about themselves",
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
    """Those that know no venue: all but the registries of venues and of stand-ins, and the packages of both."""
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path not in REGISTRIES and not _venue_of(path)]


def _venue_of(path: Path) -> str:
    """The venue's package, or its stand-in's, that the file or package is in or is; empty outside of these."""
    parts = path.relative_to(PACKAGE).parts
    inside = parts[0] in HOMES and (len(parts) > 2 or (len(parts) == 2 and path.is_dir()))
    return "/".join(parts[:2]) if inside else ""


def _places(found: dict[str, list[Path]]) -> dict[str, list[str]]:
    """Names that stand twice. Two venues may use the same: their packages have the same parts."""
    twice: dict[str, list[str]] = {}
    for name, paths in found.items():
        venues = [_venue_of(path) for path in paths]
        if len(paths) > 1 and ("" in venues or len(set(venues)) < len(venues)):
            twice[name] = [str(path.relative_to(PACKAGE)) for path in paths]
    return twice


def _identifiers(path: Path) -> set[str]:
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    return {token.string for token in tokens if token.type == tokenize.NAME and not keyword.iskeyword(token.string)}


def test_no_module_has_the_name_of_another_or_of_a_package() -> None:
    found = defaultdict[str, list[Path]](list)
    for path in [*FILES, *(file.parent for file in PACKAGE.rglob("__init__.py") if file.parent != PACKAGE)]:
        found[path.stem].append(path)
    assert _places(found) == {}


def test_no_class_has_the_name_of_another() -> None:
    found = defaultdict[str, list[Path]](list)
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(path)
    assert _places(found) == {}


def test_names_that_were_given_up_do_not_come_back() -> None:
    assert {str(path.relative_to(PACKAGE)): names for path in FILES if (names := _identifiers(path) & GIVEN_UP)} == {}
    assert {path.stem for path in FILES if not _venue_of(path)} & GIVEN_UP_MODULES == set()


def test_a_topics_index_is_not_called_a_stream() -> None:
    assert [path for path in INDEXED if "stream" in _identifiers(PACKAGE / path)] == []


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
