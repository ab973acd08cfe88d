"""The first start on a fresh machine: what the scripts show, and what they say where they cannot do it. Offline, with packages made here."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import WAIT_S
from tests.system.support import ROOT

PACKAGES = 3
ROOT_USER = os.geteuid() == 0
NOBODY = 65_534


def wheel(folder: Path, name: str) -> Path:
    """An installable package of that name with nothing in it."""
    path, info = folder / f"{name}-1-py3-none-any.whl", f"{name}-1.dist-info"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(f"{name}.py", "")
        made.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        made.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        made.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture(scope="module")
def checkout() -> Iterator[Path]:
    """A fresh checkout whose lock names packages of this machine, and whose program prints its arguments. Anyone may look at it."""
    with tempfile.TemporaryDirectory(prefix="k2-fresh-") as made:
        Path(made).chmod(0o755)
        yield fresh(Path(made) / "checkout")


def fresh(folder: Path) -> Path:
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    (folder / "config").mkdir()
    shutil.copytree(
        ROOT / "k2workers/native", folder / "k2workers/native", ignore=shutil.ignore_patterns("*.so", ".tried")
    )
    (folder / "k2workers/__init__.py").touch()
    (folder / "k2workers/__main__.py").write_text("import sys; print(*sys.argv[1:])", encoding="ascii")
    lines = []
    for number in range(PACKAGES):
        made = wheel(folder.parent, f"tiny{number}")
        lines.append(
            f"tiny{number} @ file://{made} \\\n    --hash=sha256:{hashlib.sha256(made.read_bytes()).hexdigest()}\n"
        )
    lines.append("never ; sys_platform == 'other' \\\n    --hash=sha256:" + 64 * "0" + "\n")
    (folder / "config/requirements.txt").write_text("".join(lines), encoding="ascii")
    return folder


def run(
    script: Path, *args: str, user: int | None = None, path: str = os.environ["PATH"], **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [script, *args], cwd="/", text=True, capture_output=True, check=False, timeout=2 * WAIT_S, user=user,
        env={"PATH": path, "LANG": "C.UTF-8", **more},
    )  # fmt: skip


def program(place: Path, text: str) -> Path:
    """An executable shell script."""
    place.parent.mkdir(exist_ok=True)
    place.write_text(f"#!/usr/bin/env bash\n{text}\n", encoding="utf-8")
    place.chmod(0o755)
    return place


REAL = sys._base_executable  # type: ignore[attr-defined]


def slowed(place: Path) -> Path:
    """A Python that notes where each of its allocations was made. (The .venv is made by the real one.)"""
    return program(place, f'[ "$1" = -m ] && exec {REAL} "$@"\nexec -a "$0" {REAL} -X tracemalloc=25 "$@"')


def told(place: Path, version: str, taken_ns: int) -> Path:
    """A Python that tells the script such a version and time."""
    order = "".join(f"{int(part):02x}" for part in version.split("."))
    line = "\\t".join((order, version, str(taken_ns), str(place), str(place)))
    return program(place, f'[ "$1" = -m ] && exec {REAL} "$@"\nprintf "{line}\\n"')


def taken(ended: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines that say which interpreter was taken."""
    assert ended.returncode == 0, ended.stderr
    return [line for line in ended.stderr.splitlines() if "taking Python" in line]


def test_a_checkout_that_may_not_be_written_says_who_can_do_what(checkout: Path) -> None:
    checkout.chmod(0o755 if ROOT_USER else 0o555)
    ended = run(checkout / "scripts/run", "--demo", user=NOBODY if ROOT_USER else None)
    checkout.chmod(0o755)
    assert ended.returncode == 2, ended.stderr
    first, second = ended.stderr.splitlines()
    assert first.startswith("k2workers: error: ")
    assert f"may not write to {checkout}" in first
    assert f"{checkout}/scripts/setup run" in second
    assert not (checkout / ".venv").exists()


def test_a_fresh_machine_sees_how_far_the_set_up_is_and_a_link_to_the_script_does(
    checkout: Path, tmp_path: Path
) -> None:
    link = tmp_path / "k2"
    link.symlink_to(checkout / "scripts/run")
    (tmp_path / "again").symlink_to(link)
    ended = run(tmp_path / "again", "--shards", "2")
    assert (ended.returncode, ended.stdout) == (0, "--shards 2\n"), ended.stderr
    lines = ended.stderr.splitlines()
    assert all(line.startswith("k2workers: ") for line in lines), ended.stderr
    assert any("making .venv" in line for line in lines)
    assert any(f"of {PACKAGES + 1} packages" in line for line in lines)
    assert "ready" in lines[-1]
    (told,) = [line for line in lines if "native lane" in line]
    assert told == "k2workers: the native lane is built" or "without the native lane" in told
    assert run(link, "again").stderr == "", "once is enough"
    source = checkout / "k2workers/native/lane.h"
    source.write_text(source.read_text(encoding="ascii") + "\n", encoding="ascii")
    assert run(link, "again").stderr == f"{told}\n", "other sources are built anew"
    assert run(link, "again").stderr == ""


def test_without_a_compiler_it_is_said_once_and_all_the_rest_is_set_up(checkout: Path, tmp_path: Path) -> None:
    fresh_one = fresh(tmp_path / "checkout")
    first = run(fresh_one / "scripts/run", "x", CC="/nowhere/cc")
    assert (first.returncode, first.stdout) == (0, "x\n"), first.stderr
    assert (
        "k2workers: without the native lane, Python does its work (slower): /nowhere/cc: No such file" in first.stderr
    )
    assert run(fresh_one / "scripts/run", "x", CC="/nowhere/cc").stderr == ""
    then = run(fresh_one / "scripts/run", "x")
    assert "native lane" in then.stderr, "another compiler is tried"
    # Where the stamp cannot be written, it is tried each time, and everything goes on.
    (fresh_one / "k2workers/native/.tried").unlink()
    (fresh_one / "k2workers/native/.tried").mkdir()
    again = run(fresh_one / "scripts/run", "x")
    assert (again.returncode, again.stdout) == (0, "x\n"), again.stderr


def test_packages_that_cannot_be_had_are_named_and_the_next_start_tries_again(checkout: Path) -> None:
    lock = checkout / "config/requirements.txt"
    right = lock.read_text(encoding="ascii")
    lock.write_text(right.replace("tiny1-1-py3", "gone-1-py3"), encoding="ascii")
    ended = run(checkout / "scripts/run", "x")
    assert ended.returncode == 2
    assert "gone-1-py3-none-any.whl" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith(
        "k2workers: error: the packages of requirements.txt could not be installed"
    )
    lock.write_text(right, encoding="ascii")
    assert run(checkout / "scripts/run", "x").stdout == "x\n"


def test_the_fastest_interpreter_makes_it_whatever_its_name_and_those_that_are_broken_do_not_matter(
    tmp_path: Path,
) -> None:
    checkout, first = fresh(tmp_path / "checkout"), tmp_path / "first"
    slow = slowed(first / "python3.13")
    shim = program(first / "python3.12", "echo 'pyenv: python3.12: command not found' >&2; exit 127")
    other = program(first / "python3.11", "echo hello")
    last = tmp_path / "last/python3"
    last.parent.mkdir()
    last.symlink_to(REAL)
    path = f"{first}:{last.parent}:/usr/bin:/bin"
    (line,) = taken(run(checkout / "scripts/setup", "run", path=path))
    choice, _, others = line.partition("; ")
    assert "the fastest" in choice
    assert str(slow) in others
    assert not any(str(broken) in line for broken in (shim, other))
    (checkout / "config/requirements.txt").write_text("never ; sys_platform == 'other'\n", encoding="ascii")
    made = (checkout / ".venv/pyvenv.cfg").stat().st_ctime_ns
    assert taken(run(checkout / "scripts/setup", "run", path=path)) == []
    assert (checkout / ".venv/pyvenv.cfg").stat().st_ctime_ns == made, "a .venv that is there is kept"


@pytest.mark.parametrize(("newer_ns", "chosen"), [(1_050, "3.14.1"), (1_200, "3.11.9")])
def test_the_newest_of_those_that_are_nearly_as_fast_as_the_fastest_makes_it(
    tmp_path: Path, newer_ns: int, chosen: str
) -> None:
    checkout, places = fresh(tmp_path / "checkout"), tmp_path / "bin"
    told(places / "python3.11", "3.11.9", 1_000)
    told(places / "python3.14", "3.14.1", newer_ns)
    (line,) = taken(run(checkout / "scripts/setup", "run", path=f"{places}:/usr/bin:/bin"))
    assert f"taking Python {chosen} ({places}/python{chosen[:4]})" in line
