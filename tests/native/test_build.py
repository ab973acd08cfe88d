"""Building the native lane: with whatever compiler there is, or not at all, and never a half."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from k2workers import native
from k2workers.native import build
from k2workers.native.build import SOURCES, source_id

LOOK = "from k2workers import native; print(native.extension is not None, native.why_not)"


def test_what_is_built_serves_every_message_that_the_package_needs(tmp_path: Path) -> None:
    if build.compiler() is None:
        pytest.skip("there is no C compiler")
    assert build.build(tmp_path) == ""
    assert [path.name for path in tmp_path.iterdir()] == [build.NAME], "nothing else is left there"


@pytest.mark.parametrize(
    ("compiler", "said"),
    [
        ("/nowhere/cc", "/nowhere/cc: No such file or directory"),
        ("false", "false failed: exit code 1"),
    ],
)
def test_a_compiler_that_fails_is_told_in_words(
    compiler: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", compiler)
    assert build.build(tmp_path) == said
    assert list(tmp_path.iterdir()) == []


def test_without_a_compiler_the_build_says_so_and_succeeds(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "k2workers.native", str(tmp_path)],
        env={"PATH": str(tmp_path), "PYTHONPATH": str(SOURCES.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "k2workers: without the native lane, Python does its work (slower): there is no C compiler\n"


def test_a_lane_from_other_sources_is_not_used(tmp_path: Path) -> None:
    if native.extension is None:
        pytest.skip(f"no native lane: {native.why_not}")
    package = tmp_path / "k2workers"
    for path in ("__init__.py", "native"):
        (package / path).parent.mkdir(exist_ok=True)
    (package / "__init__.py").write_text("")
    subprocess.run(["cp", "-r", str(SOURCES), str(package / "native")], check=True)

    def look() -> str:
        command = [sys.executable, "-P", "-c", LOOK]
        return subprocess.run(
            command, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
        ).stdout.strip()

    assert look() == "True"
    with (package / "native" / "lane.h").open("a") as file:
        file.write("\n")
    assert look() == "False it was built from other sources (scripts/setup builds it anew)"
    (package / "native" / build.NAME).write_bytes(b"of another machine")
    assert look().startswith("False it does not load: ")
    (package / "native" / build.NAME).unlink()
    assert look() == "False it is not built (scripts/setup does that where there are a C compiler and Python's headers)"


def test_the_sources_have_one_name_each_time() -> None:
    assert source_id() == source_id()
    assert len(source_id()) == 16


def test_whether_it_is_used_is_told_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    assert native.told(wanted=False) == {"used": False, "reason": "the setting `native` is off"}
    monkeypatch.setattr(native, "extension", object())
    assert native.told(wanted=True) == {"used": True}
    monkeypatch.setattr(native, "extension", None)
    monkeypatch.setattr(native, "why_not", "no compiler")
    assert native.told(wanted=True) == {"used": False, "reason": "no compiler"}
