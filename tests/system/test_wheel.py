"""The wheel, built from the source distribution, as it comes to a user: in a new environment of each Python that is here, and run there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from k2workers import __version__
from tests.support import environments
from tests.support.environments import NotInstalledError
from tests.system.support import ROOT

pytestmark = [pytest.mark.long, pytest.mark.timeout(1_800)]

TOOLS = ("build==1.6.1", "hatchling==1.33.0")
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
"""Those that ``scripts/test`` runs on too."""

LIMIT_S = 900
ANY_PORTS = ("--http-port", "0", "--publish-endpoint", "tcp://127.0.0.1:*", "--snapshot-endpoint", "tcp://127.0.0.1:*")


def ran(*command: str | Path, folder: Path, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both, by their endings."""
    try:
        python = environments.python(ROOT / ".tools" / "build", TOOLS)
    except NotInstalledError as error:
        pytest.skip(f"nothing can be built here: {error}")
    folder = tmp_path_factory.mktemp("dist")
    ran(python, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, folder=folder)
    return {path.suffix: path for path in folder.iterdir()}


def pythons() -> dict[str, str]:
    """The interpreters that are here, by version."""
    found: dict[str, str] = {}
    for version in VERSIONS:
        own = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
        for candidate in (shutil.which(f"python{version}"), *map(str, own)):
            told = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
            if (
                candidate
                and subprocess.run([candidate, "-c", told], capture_output=True, text=True, check=False).stdout.strip()
                == version
            ):
                found.setdefault(version, candidate)
    return found


def test_the_wheel_says_what_it_is_and_what_is_optional(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built[".whl"]) as wheel:
        names = wheel.namelist()
        told = Parser().parsestr(wheel.read(f"k2workers-{__version__}.dist-info/METADATA").decode())
    assert "k2workers/py.typed" in names
    assert (told["Version"], told["Requires-Python"], told["License-Expression"]) == (__version__, ">=3.11", "MIT")
    assert told.get_all("Provides-Extra") == ["parquet", "socks"]
    assert {name.partition("/")[0] for name in names} == {"k2workers", f"k2workers-{__version__}.dist-info"}
    with tarfile.open(built[".gz"]) as source:
        inside = {member.name.partition("/")[2] for member in source.getmembers()}
    assert {
        "pyproject.toml",
        "scripts/hatch_build.py",
        "k2workers/native/lane.c",
        "LICENSE",
        "tests/conftest.py",
    } <= inside
    assert not [name for name in inside if name.endswith((".so", ".pyc"))]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_new_environment_with_the_wheel_runs_a_demonstration(
    version: str, built: dict[str, Path], tmp_path: Path
) -> None:
    python = pythons().get(version)
    if python is None:
        pytest.skip(f"Python {version} is not here")
    ran(python, "-m", "venv", tmp_path / "venv", folder=tmp_path)
    inside, command = tmp_path / "venv/bin/python", tmp_path / "venv/bin/k2workers"
    ran(inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", built[".whl"], folder=tmp_path)
    ran(inside, "-m", "pip", "check", folder=tmp_path)
    assert ran(command, "--version", folder=tmp_path).strip() == __version__
    told = json.loads(ran(command, "doctor", "--demo", "--json", *ANY_PORTS, folder=tmp_path))
    assert told["ok"]
    native = next(finding for finding in told["findings"] if finding["check"] == "native")
    assert (native["grade"] == "ok") == ("abi3" in built[".whl"].name), native
    ran(command, "--demo", "--shards", "2", "--duration", "20", "--report", "r.json", *ANY_PORTS, folder=tmp_path)
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert report["truth"]["received"]
    assert (report["truth"]["lost"], report["truth"]["duplicated"], report["truth"]["reordered"]) == (0, 0, 0)
    refused = subprocess.run([command, "verify", "x"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (refused.returncode, "install k2workers[parquet]" in refused.stderr) == (2, True), refused.stderr
