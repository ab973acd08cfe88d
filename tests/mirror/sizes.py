"""Owns how long a file and a function of the package may be, and the list of those that are longer, which may only shrink."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

FILE_LINES = 300
"""A file that is longer answers more than one question: split it along them."""

FUNCTION_LINES = 40
"""A function that is longer does, without its docstring."""

SLACK = 20
"""So far a longer one's number may stand above what it is: a small edit needs none here, and what became shorter stays so."""

LONGER: Mapping[str, int] = {
    "k2workers/events.py": 400,
    "k2workers/feed/driver.py:Driver.__init__": 50,
    "k2workers/feed/intake.py": 520,
    "k2workers/feed/intake.py:Intake.__init__": 50,
    "k2workers/feed/silence.py": 510,
    "k2workers/processes/report.py:build": 50,
    "k2workers/processes/worker.py:Worker._flush_metrics": 50,
    "k2workers/sequencing/backfill_planner.py": 330,
    "k2workers/sequencing/book_lane.py": 310,
    "k2workers/sequencing/doubts.py": 320,
    "k2workers/sequencing/sequencer.py": 330,
    "k2workers/transport/subscriber.py": 560,
    "k2workers/transport/subscriber.py:Subscriber.__init__": 70,
    "k2workers/venues/binance/messages.py": 440,
}
"""What is longer today (a file, or a function as ``file:Class.function``), and how long it may be at most."""


def _functions(tree: ast.AST, inside: str = "") -> Iterator[tuple[str, int]]:
    for node in ast.iter_child_nodes(tree):
        name = inside
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{inside}.{node.name}".lstrip(".")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            said = (first.end_lineno or 0) - first.lineno + 1 if ast.get_docstring(node, clean=False) is not None else 0
            yield name, (node.end_lineno or 0) - node.lineno + 1 - said
        yield from _functions(node, name)


def lengths(root: Path) -> Iterator[tuple[str, int, int]]:
    """Each file and function of the package, how long it is, and how long one may be that is not listed."""
    for path in sorted((root / "k2workers").rglob("*.py")):
        text, name = path.read_text(encoding="utf-8"), path.relative_to(root).as_posix()
        yield name, len(text.splitlines()), FILE_LINES
        for function, lines in _functions(ast.parse(text)):
            yield f"{name}:{function}", lines, FUNCTION_LINES


def too_long(root: Path, longer: Mapping[str, int] = LONGER) -> list[str]:
    """What is longer than it may be, and what the list still allows though it is not needed: a sentence each."""
    wrong, known = [], set()
    for name, lines, limit in lengths(root):
        known.add(name)
        allowed = longer.get(name, limit)
        if lines > allowed:
            wrong.append(f"{name} has {lines} lines, {allowed} are allowed: split it along the questions it answers")
        elif name in longer and lines <= limit:
            wrong.append(f"{name} is short enough now ({lines} lines): take it out of LONGER")
        elif name in longer and lines + SLACK < allowed:
            wrong.append(f"{name} has {lines} lines now: lower its {allowed} in LONGER")
    wrong.extend(f"LONGER names {name}, which is gone" for name in sorted(longer.keys() - known))
    return wrong
