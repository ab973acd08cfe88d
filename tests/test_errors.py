"""One tree of errors, and it is printed where a reader looks for it."""

from __future__ import annotations

import ast
import functools
import importlib
from collections.abc import Iterator
from pathlib import Path

import k2workers
from k2workers import errors
from k2workers.errors import CheckpointUnusable, K2Error, VenueError
from tests.support.modules import modules

ROOT = Path(k2workers.__path__[0])
SIGNALS = {"_NotWritten", "_Refused"}
"""What is raised and caught in one module to get out of nested calls."""


@functools.cache
def defined() -> list[type[BaseException]]:
    """Every exception class of the package: those of ``errors`` first, then in the order of modules and lines."""
    found: dict[type[BaseException], None] = {}
    for name in [errors.__name__, *modules()]:
        for thing in vars(importlib.import_module(name)).values():
            if isinstance(thing, type) and issubclass(thing, BaseException):
                found.setdefault(thing)
    return [each for each in found if each.__module__.startswith("k2workers.")]


@functools.cache
def makers() -> dict[str, set[str]]:
    """By name of a class or a function, the modules and packages in which it is called, raised or chosen by assignment."""
    found: dict[str, set[str]] = {}
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            fields = {ast.Call: "func", ast.Raise: "exc", ast.Assign: "value"}
            called = getattr(node, fields.get(type(node), ""), None)
            name = (
                called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
            )
            found.setdefault(name, set()).add(path.relative_to(ROOT).with_suffix("").parts[0])
    return found


def tree() -> str:
    """What ``errors``' docstring must say."""
    rows = [("class", "to blame", "retryable", "raised in"), *below(K2Error, 0)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join("    " + "  ".join([*map(str.ljust, row[:3], widths), row[3]]).rstrip() for row in rows)


def below(kind: type[K2Error], depth: int) -> Iterator[tuple[str, str, str, str]]:
    raised = ", ".join(sorted(makers().get(kind.__name__, set()))) or "-"
    yield "  " * depth + kind.__name__, kind.blame, "yes" if kind.retryable else "no", raised
    for each in defined():
        if issubclass(each, K2Error) and each.__bases__[0] is kind:
            yield from below(each, depth + 1)


def test_every_error_stands_in_one_tree_and_only_signals_outside_of_it() -> None:
    assert {each.__name__ for each in defined() if not issubclass(each, K2Error)} == SIGNALS


def test_a_signal_does_not_leave_its_module() -> None:
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert not SIGNALS & {alias.name for alias in node.names}, path


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert errors.__doc__ is not None
    assert tree() in errors.__doc__, f"\n{tree()}"


def test_each_error_says_what_it_means_and_who_is_to_blame() -> None:
    for each in defined():
        if each is not K2Error and issubclass(each, K2Error):
            assert each.__doc__
            assert each.blame in {"user", "k2workers", "venue", "feed", "client"}


def test_an_error_of_the_venue_says_what_its_answer_said() -> None:
    silent, limited = (
        VenueError("no answer"),
        VenueError("slow down", status=429, retry_after_s=2.5, weight_limit=6_000),
    )
    assert (str(silent), silent.status, silent.retry_after_s, silent.weight_limit) == ("no answer", 0, 0.0, 0)
    assert (str(limited), limited.status, limited.retry_after_s, limited.weight_limit) == ("slow down", 429, 2.5, 6_000)


def test_a_checkpoint_that_cannot_be_used_names_its_epoch_if_that_can_be_read() -> None:
    assert [CheckpointUnusable("damaged").epoch, CheckpointUnusable("of another feed", 7).epoch] == [0, 7]
    assert str(CheckpointUnusable("damaged")) == "damaged"
