"""Owns what is wrong with a command line, in words: for whoever typed it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cyclopts import CoercionError, CycloptsError, MissingArgumentError, RepeatArgumentError, UnknownOptionError

from k2workers.early_stop import OTHER_COMMANDS
from k2workers.errors import K2Error


def unexpected(words: Sequence[str], flags: Sequence[str]) -> list[str]:
    """What is wrong with words that the command line has no use for."""
    import difflib  # only a mistake pays for it

    problems = []
    rest: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("-"):
            rest.append(word)
            continue
        name = word.partition("=")[0]
        near = difflib.get_close_matches(name, flags, n=1, cutoff=0.7)
        problems.append(f"{name}: no such flag{f'; did you mean {near[0]}?' if near else ''}")
        if "=" not in word and left and not left[0].startswith("-"):
            left.pop(0)  # its value
    if rest:
        near = difflib.get_close_matches(rest[0], sorted(OTHER_COMMANDS), n=1)
        hint = f"did you mean {near[0]}?" if near else "names of a list stand between commas, without spaces"
        problems.append(f"{' '.join(rest)}: not expected here; {hint}")
    return problems


_NOT: dict[Any, str] = {int: "not a whole number", bool: "neither true nor false"}
"""What a word is not that stands for none of a type, where no setting says it."""


def in_words(error: CycloptsError | K2Error) -> str:
    if isinstance(error, RepeatArgumentError):
        return f"{error.token.keyword}: stands twice; allowed: once"
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        return f"{error.argument.name}: its value is missing"
    if isinstance(error, UnknownOptionError):
        return unexpected([error.token.keyword or error.token.value], [])[0]
    if isinstance(error, CoercionError) and error.token is not None and error.target_type in _NOT:
        return f"{error.token.keyword} = {error.token.value}: {_NOT[error.target_type]}"
    if isinstance(error, CycloptsError):
        error.verbose = False  # else it names this file
    return str(error)
