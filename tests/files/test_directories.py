"""Which directories a run uses by itself."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from k2workers.errors import ConfigError
from k2workers.files import directories


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_service_managers_directory_comes_first_and_one_that_does_not_last_comes_last(temporary: Path) -> None:
    environ = {"RUNTIME_DIRECTORY": "/run/feed:/run/other", "HOME": "/home/me", "XDG_RUNTIME_DIR": "/run/user/1"}
    assert directories.for_runs(environ) == [
        (Path("/run/feed"), "run-"),
        (Path("/home/me/.local/state/k2workers"), "run-"),
        (temporary, "k2workers-"),
    ]
    assert directories.for_runs({"XDG_STATE_HOME": "/state", "HOME": "/home/me"})[0] == (
        Path("/state/k2workers"),
        "run-",
    )


@pytest.mark.parametrize("environ", [{}, {"HOME": "", "XDG_STATE_HOME": "relative"}, {"RUNTIME_DIRECTORY": "relative"}])
def test_without_a_home_there_is_only_the_temporary_one(temporary: Path, environ: dict[str, str]) -> None:
    assert directories.for_runs(environ) == [(temporary, "k2workers-")]


def test_for_a_moment_any_directory_will_do_that_can_be_written(temporary: Path) -> None:
    found = directories.for_a_moment({"K2_RUN_DIR": str(temporary), "HOME": "/nowhere"})
    assert found[:2] == [temporary, temporary]
    assert Path("/nowhere") not in found


def none_is_usual() -> str:
    raise FileNotFoundError


def test_a_machine_without_a_temporary_directory_is_given_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "gettempdir", none_is_usual)
    environ = {"RUNTIME_DIRECTORY": str(tmp_path)}
    directories.have_temporary(environ)
    assert environ["TMPDIR"] == tempfile.tempdir == str(tmp_path)


def test_a_machine_on_which_nothing_can_be_written_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", none_is_usual)
    monkeypatch.setattr(directories, "MEMORY", "/nowhere")
    with pytest.raises(ConfigError, match="no directory can be written"):
        directories.have_temporary({"HOME": "/nowhere"})


def test_a_machine_that_has_one_is_left_alone(temporary: Path) -> None:
    environ: dict[str, str] = {}
    directories.have_temporary(environ)
    assert environ == {}


def test_a_directory_that_is_full_is_no_temporary_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "gettempdir", none_is_usual)
    # In this one no file can be made, whoever asks, and every way to ask for that says that one may.
    monkeypatch.setattr(directories, "MEMORY", "/proc/self/fd")
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    directories.have_temporary(environ)
    assert environ["TMPDIR"] == str(tmp_path)
    with pytest.raises(ConfigError, match="no directory can be written; name one with TMPDIR"):
        directories.have_temporary({})
