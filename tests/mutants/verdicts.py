"""Owns what became of each test of a run, and why: a pytest plugin, and what reads its notes. ``-p tests.mutants.verdicts``.

A test that fails because the mutant cannot be imported, or that hangs, has judged nothing: only a failure of the test's own counts.
"""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Generator, Iterable
from pathlib import Path

import msgspec
import pytest

NOTES = "K2_MUTANT_NOTES"
"""Environment variable: the file that the plugin writes to, one line of JSON a report that is not a success."""

NOT_A_JUDGEMENT = (ImportError, SyntaxError, NameError)
"""The mutant is no program."""

TIMEOUT = "Timeout (>"
"""How the message of pytest-timeout begins."""


class Outcome(enum.Enum):
    """What a run of the tests made of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    HUNG = "hung"
    """A test did not end within its time."""
    BROKEN = "broken"
    """The tests could not judge: the mutant does not load, or a test cannot be found."""


class Note(msgspec.Struct, frozen=True):
    """One test that did not succeed."""

    test: str
    outcome: Outcome
    words: str


def outcome_of(error: BaseException | None, when: str = "call") -> Outcome:
    """What it means that a test ended with this error; ``when`` is pytest's word for the part of the test."""
    if isinstance(error, BaseExceptionGroup):
        found = {outcome_of(part, when) for part in error.exceptions}
        return next((bad for bad in (Outcome.BROKEN, Outcome.HUNG) if bad in found), Outcome.KILLED)
    if isinstance(error, NOT_A_JUDGEMENT) or when in ("setup", "collect"):
        return Outcome.BROKEN
    return Outcome.HUNG if str(error).startswith(TIMEOUT) else Outcome.KILLED


def _note(test: str, outcome: Outcome, error: BaseException | None) -> None:
    words = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    with Path(os.environ[NOTES]).open("a", encoding="utf-8") as notes:
        notes.write(json.dumps({"test": test, "outcome": outcome.value, "words": words}) + "\n")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # What goes wrong while a failed test is cleared away says nothing new.
    if report.failed and report.when != "teardown":
        error = call.excinfo.value if call.excinfo is not None else None
        _note(item.nodeid, outcome_of(error, report.when or ""), error)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.failed:
        _note(collector.nodeid, Outcome.BROKEN, ImportError(str(report.longrepr).strip().splitlines()[-1]))
    return report


def read(file: Path) -> list[Note]:
    """The notes of a run, in its order."""
    if not file.exists():
        return []
    return [msgspec.json.decode(line, type=Note) for line in file.read_bytes().splitlines()]


def belongs(test: str, to: str) -> bool:
    """Whether a test is (one of the cases of) what a node id names."""
    return test == to or (test.startswith(to) and test[len(to)] in "[:/")


def judged(notes: Iterable[Note], wanted: Iterable[str], exit_code: int) -> tuple[Outcome, str]:
    """What a run made of a mutant that every one of ``wanted`` must notice, and why; ``exit_code`` is pytest's."""
    notes = list(notes)
    for bad in (Outcome.BROKEN, Outcome.HUNG):
        for note in notes:
            if note.outcome is bad:
                return bad, f"{note.test}: {note.words}"
    if exit_code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return Outcome.BROKEN, f"pytest ended with {exit_code}"
    blind = [test for test in wanted if not any(belongs(note.test, test) for note in notes)]
    if blind:
        return Outcome.SURVIVED, f"not noticed by {', '.join(blind)}"
    return Outcome.KILLED, f"{notes[0].test}: {notes[0].words}" if notes else ""
