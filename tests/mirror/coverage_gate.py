"""Owns the proof that each pure module is covered by its own test file alone, every branch of it.

``python -m tests.mirror.coverage_gate`` runs these test files once, with a coverage context for each, and names what is missing. A module
counts what runs while it is imported, and what runs in the tests of its own file (``pairs``: or of the files that it is tested through).
"""

from __future__ import annotations

import importlib
import json
import re
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import coverage
import pytest

from tests.mirror.pairs import ELSEWHERE, SHARED, own_test

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = "The core is pure"
"""How the name of the import contract begins that lists the pure modules."""

FEW = 20
"""So many examples of each state machine are enough here: what they reach is counted, and the suite itself runs them all."""

MISSING: Mapping[str, int] = {
    "k2workers/sequencing/bar_lane.py": 1,
    "k2workers/sequencing/topic_state.py": 1,
    "k2workers/transport/book_reassembly.py": 2,
    "k2workers/transport/lives.py": 1,
    "k2workers/transport/reassembly.py": 1,
}
"""Modules that are not covered whole yet, and how many of their lines and branches may be missing: a number here only falls."""


def pure_modules(root: Path) -> list[str]:
    """The modules that the import contract lists; of a package all."""
    contracts = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (listed,) = [contract["source_modules"] for contract in contracts if contract["name"].startswith(CONTRACT)]
    paths = [root / name.replace(".", "/") for name in listed]
    files = [file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")])]
    return sorted(file.relative_to(root).as_posix() for file in files if not file.stem.startswith("__"))


def importable(module: str) -> bool:
    """Whether a module can be imported here: one may need a package that is no dependency. Only while it is measured: it imports packages."""
    from tests.support.modules import modules as modules_here

    return module.removesuffix(".py").replace("/", ".") in modules_here()


def tests_of(module: str) -> tuple[str, ...]:
    """The test files that have to cover a module."""
    return ELSEWHERE[module].files if module in ELSEWHERE else (own_test(module), *SHARED.get(module, ()))


class Contexts:
    """A plugin of pytest: what runs for a test file, from its import on, is counted for that file."""

    def __init__(self, measured: coverage.Coverage, modules: list[str]) -> None:
        self._measured = measured
        self._modules = modules

    def pytest_sessionstart(self) -> None:
        self._measured.start()
        # All of them before any test file: otherwise only the first to import a module would be counted for its definitions.
        for module in filter(importable, self._modules):
            importlib.import_module(module.removesuffix(".py").replace("/", "."))

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        from hypothesis import settings  # pytest wants to be the first to import it

        for case in {item.cls for item in items if isinstance(item, pytest.Function) and item.cls is not None}:
            if isinstance(chosen := getattr(case, "settings", None), settings):
                case.settings = settings(chosen, max_examples=FEW)

    def _enter(self, path: Path) -> None:
        self._measured.switch_context(path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else "")

    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        self._enter(collector.path)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._enter(item.path)
        return (yield)


def measure(modules: list[str], files: list[str]) -> coverage.Coverage:
    """Run the test files and count. Exits with pytest's code if a test fails."""
    measured = coverage.Coverage(data_file=None, branch=True, source=["k2workers"], config_file=False)
    measured.set_option("run:core", "ctrace")  # the one that knows contexts on every Python
    options = ["-q", "-p", "no:cacheprovider", "--hypothesis-profile=same each time"]
    code = pytest.main([*options, *files], [Contexts(measured, modules)])
    measured.stop()
    if code:
        sys.exit(code)
    return measured


def missing(measured: coverage.Coverage, module: str) -> dict[str, Any]:
    """The lines and branches of a module that its tests did not reach, as coverage's JSON names them."""
    contexts = ["^$", *(f"^{re.escape(file)}$" for file in tests_of(module))]
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "of_one.json")
        measured.json_report(morfs=[module], contexts=contexts, outfile=str(path))
        (found,) = json.loads(path.read_text(encoding="utf-8"))["files"].values()
    return {"lines": found["missing_lines"], "branches": found["missing_branches"]}


def judged(counts: Mapping[str, dict[str, Any]], allowed: Mapping[str, int] = MISSING) -> list[str]:
    """What is wrong: a sentence for each module that misses more than it may, or less than the list still allows."""
    wrong = []
    for module, lacks in counts.items():
        count, may = len(lacks["lines"]) + len(lacks["branches"]), allowed.get(module, 0)
        if count > may:
            branches = ", ".join(f"{begin}->{end}" for begin, end in lacks["branches"])
            wrong.append(
                f"{module}: {count} missing ({may} allowed) in {', '.join(tests_of(module))}: lines {lacks['lines']}, branches {branches}"
            )
        elif count < may:
            wrong.append(f"{module}: only {count} missing: lower its {may} in MISSING")
    return wrong + [
        f"MISSING names {module}, which is not pure or gone" for module in sorted(allowed.keys() - counts.keys())
    ]


def main() -> None:
    """Exits with what is wrong, or says how long it took."""
    began_s, modules = time.monotonic(), pure_modules(ROOT)
    files = sorted({file for module in modules for file in tests_of(module)})
    measured = measure(modules, files)
    counts = {module: missing(measured, module) for module in modules if importable(module)}
    if wrong := judged(counts):
        sys.exit("\n".join(wrong))
    whole = sum(1 for lacks in counts.values() if not lacks["lines"] and not lacks["branches"])
    sys.stdout.write(
        f"{whole} of {len(modules)} pure modules covered whole by their own tests ({time.monotonic() - began_s:.0f} s)\n"
    )


if __name__ == "__main__":
    main()
