"""The first start on a fresh machine: what the scripts show, and what they say where they cannot do it. Offline, with packages made here."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
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


ENVIRONMENT = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}


def run(
    script: Path, *args: str, user: int | None = None, environment: Mapping[str, str] = ENVIRONMENT
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [script, *args], cwd="/", text=True, capture_output=True, check=False, timeout=2 * WAIT_S, user=user,
        env=environment,
    )  # fmt: skip


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
    found = {**ENVIRONMENT, "CC": "/nowhere/cc"}
    first = run(fresh_one / "scripts/run", "x", environment=found)
    assert (first.returncode, first.stdout) == (0, "x\n"), first.stderr
    assert (
        "k2workers: without the native lane, Python does its work (slower): /nowhere/cc: No such file" in first.stderr
    )
    assert run(fresh_one / "scripts/run", "x", environment=found).stderr == ""


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
