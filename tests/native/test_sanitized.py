"""The native lane as Python runs it, built with Address- and UndefinedBehaviorSanitizer: its tests, and the comparison with Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from k2workers.native.build import NAME
from tests.native.fuzz import SANITIZERS

ROOT = Path(__file__).resolve().parents[2]


class Sanitized(NamedTuple):
    """A copy of the tree whose native lane is watched, and the environment in which Python can load it."""

    tree: Path
    environment: Mapping[str, str]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", *command], cwd=self.tree, env=self.environment, capture_output=True, text=True, check=False
        )  # fmt: skip


WIDE = "#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__"
"""Where the lane takes eight bytes at a time; elsewhere one by one."""


pytestmark = pytest.mark.long  # the fuzzer has the same sanitizers in every run


@pytest.fixture(scope="module", params=["#if 1", pytest.param("#if 0", marks=pytest.mark.long)], ids=["wide", "narrow"])
def sanitized(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sanitized:
    gcc = shutil.which("gcc")
    found = (
        gcc
        and subprocess.run(
            [gcc, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
        ).stdout.strip()
    )
    if not found or not Path(found).is_absolute():
        pytest.skip("no gcc with sanitizers")
    tree = tmp_path_factory.mktemp("tree")
    for name in ("k2workers", "tests"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.so*"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    for name in ("lane.c", "pack.h"):
        source = tree / "k2workers" / "native" / name
        text = source.read_text(encoding="utf-8")
        assert text.count(WIDE) == 1
        source.write_text(text.replace(WIDE, request.param), encoding="utf-8")
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))} | {
        "PYTHONPATH": str(tree)
    }
    # An interpreter frees little of what it has at its end. With its own allocator, a byte too far would land in its neighbour unseen.
    watched = own | {"LD_PRELOAD": found, "ASAN_OPTIONS": "detect_leaks=0", "PYTHONMALLOC": "malloc"}
    building = own | {"CC": f"{gcc} {SANITIZERS} -fno-sanitize-recover=all -g"}
    done = Sanitized(tree, building).run("k2workers.native")
    if not (built := tree / "k2workers" / "native" / NAME).exists():
        pytest.skip(f"the native lane cannot be built here: {done.stderr}")
    assert b"__asan_report_load" in built.read_bytes()
    return Sanitized(tree, watched)


def test_the_tests_of_the_lane_pass_under_sanitizers(sanitized: Sanitized) -> None:
    done = sanitized.run(
        "pytest", "-q", "-p", "no:cacheprovider", "tests/feed/test_plain_lane.py", "tests/native/test_extension.py",
        "--deselect", "tests/native/test_extension.py::test_lanes_that_are_replaced_leave_no_memory_behind",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-4_000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_the_lane_and_python_agree_under_sanitizers(sanitized: Sanitized) -> None:
    done = sanitized.run("tests.native.differential", "--messages", "4000", "--script", "1000", "--seed", "7")
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-4_000:]
    assert "no difference" in done.stdout
