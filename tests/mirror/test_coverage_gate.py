"""Each pure module is covered by its own tests: what the gate finds, and that it finds nothing here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mirror import coverage_gate

WHOLE: dict[str, list[int]] = {"lines": [], "branches": []}
TWO_MISSING = {"lines": [7], "branches": [[5, 7]]}
NAME = "k2workers/wire.py"


def test_what_a_module_s_own_tests_do_not_reach_is_named() -> None:
    assert coverage_gate.judged({NAME: WHOLE}, {}) == []
    assert coverage_gate.judged({NAME: TWO_MISSING}, {}) == [
        f"{NAME}: 2 missing (0 allowed) in tests/test_wire.py: lines [7], branches 5->7"
    ]


def test_what_may_be_missing_only_falls() -> None:
    assert coverage_gate.judged({NAME: TWO_MISSING}, {NAME: 2}) == []
    assert coverage_gate.judged({NAME: TWO_MISSING}, {NAME: 3}) == [f"{NAME}: only 2 missing: lower its 3 in MISSING"]
    assert coverage_gate.judged({}, {NAME: 1}) == [f"MISSING names {NAME}, which is not pure or gone"]


def test_the_pure_modules_are_those_of_the_import_contract(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[[tool.importlinter.contracts]]\nname = "The core is pure: no sockets"\nsource_modules = ["k2workers.a", "k2workers.b"]\n'
        '[[tool.importlinter.contracts]]\nname = "Another"\nsource_modules = ["k2workers.c"]\n'
    )
    for name in ("a/__init__.py", "a/x.py", "a/y.py", "b.py", "c.py"):
        (tmp_path / "k2workers" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "k2workers" / name).touch()
    assert coverage_gate.pure_modules(tmp_path) == ["k2workers/a/x.py", "k2workers/a/y.py", "k2workers/b.py"]


@pytest.mark.long  # it runs nearly half of all tests once more
@pytest.mark.timeout(900)
def test_every_pure_module_here_is_covered_by_its_own_tests() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    run = [sys.executable, "-m", "tests.mirror.coverage_gate"]
    done = subprocess.run(run, cwd=coverage_gate.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr
