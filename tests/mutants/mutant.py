"""Owns what a mutant is, and how it is tried: one change in a copy of the tree, and the tests that must notice it."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tests.mutants import verdicts
from tests.mutants.verdicts import Outcome

ROOT = Path(__file__).resolve().parents[2]
COPIED = (
    "k2workers",
    "tests",
    "config",
    "scripts",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Dockerfile",
)

WAIT_S = 15
"""How long tests wait for what must happen, when a mutant may keep it from happening."""

TEST_LIMIT_S = 60
"""A test that takes longer hangs. More than ``WAIT_S``: to wait in vain is a judgement, to hang is none."""

RUN_LIMIT_S = 900
"""For all tests of one mutant, and for each of those that judge many."""


class Mutant(msgspec.Struct, frozen=True):
    """One change. ``old`` occurs once in ``module`` (a path in the package) and becomes ``new``.

    Every test of ``killers`` (node ids below ``tests``) fails then; of a test with cases in brackets one case is enough.
    ``hidden`` are those that survived every test there was when the table was begun.
    """

    name: str
    module: str
    old: str
    new: str
    killers: tuple[str, ...]
    hidden: bool = False

    @property
    def tests(self) -> tuple[str, ...]:
        """The node ids of ``killers``."""
        return tuple(f"tests/{killer}" for killer in self.killers)

    def of(self, source: str) -> str:
        """The changed source. Raises ValueError if it is not known where the change belongs."""
        if source.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.old!r} occurs {source.count(self.old)} times in {self.module}")
        return source.replace(self.old, self.new)


def within(module: str) -> Callable[..., Mutant]:
    """Makes mutants of one module. Killers without a path are in the test file that mirrors it."""
    path = Path(module)
    own = path.with_name(f"test_{path.name}").as_posix()

    def mutant(name: str, old: str, new: str, *killers: str, hidden: bool = False) -> Mutant:
        named = tuple(killer if "::" in killer else f"{own}::{killer}" for killer in killers)
        return Mutant(name, module, old, new, named, hidden)

    return mutant


class Copy:
    """A copy of the tree in ``folder``, in which mutants are tried one after the other."""

    def __init__(self, folder: Path) -> None:
        self._tree = folder / "tree"
        self._notes = folder / "notes"
        self._times = itertools.count(1)
        for name in COPIED:
            source, target = ROOT / name, self._tree / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy2(source, target)

    def failing(self, tests: Sequence[str], *options: str) -> list[str]:
        """Those of the tests that fail without any change, in words. ``options`` are pytest's, here and in ``attempt``."""
        exit_code = self._run(tests, options)
        found = [f"{note.test}: {note.words}" for note in verdicts.read(self._notes)]
        return found or ([f"pytest ended with {exit_code}"] if exit_code else [])

    def attempt(self, mutant: Mutant, tests: Sequence[str], *options: str) -> tuple[Outcome, str]:
        """What these tests make of it, and why."""
        file = self._tree / "k2workers" / mutant.module
        sound = file.read_text(encoding="utf-8")
        self._write(file, mutant.of(sound))
        try:
            exit_code = self._run(tests, options)
        finally:
            self._write(file, sound)
        if exit_code is None:
            return Outcome.HUNG, f"no end within {RUN_LIMIT_S} s"
        return verdicts.judged(verdicts.read(self._notes), tests, exit_code)

    def _write(self, file: Path, text: str) -> None:
        file.write_text(text, encoding="utf-8")
        # Python takes compiled code for current if size and time are those of the source: each change gets a time of its own.
        at_s = next(self._times)
        os.utime(file, (at_s, at_s))

    def _run(self, tests: Sequence[str], options: Sequence[str]) -> int | None:
        """pytest's exit code; None if it had to be killed."""
        self._notes.unlink(missing_ok=True)
        environment = os.environ | {verdicts.NOTES: str(self._notes), "K2_TEST_WAIT_S": str(WAIT_S)}
        command = [
            sys.executable, "-m", "pytest", "-q", "--no-header", "-m", "", "-p", "no:cacheprovider", "-p", "tests.mutants.verdicts",
            f"--timeout={TEST_LIMIT_S}", "--hypothesis-profile=first finding", "--hypothesis-seed=1", *options, *tests,
        ]  # fmt: skip
        run = subprocess.Popen(
            command, cwd=self._tree, env=environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            return run.wait(RUN_LIMIT_S)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
            run.wait()
