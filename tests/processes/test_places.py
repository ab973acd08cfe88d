"""The places of a run, each a real file; what two programs do with them is in ``system/test_places.py``."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from k2workers.config import Settings
from k2workers.errors import ConfigError
from k2workers.files.lock_file import LockFile
from k2workers.processes import places
from k2workers.transport.endpoint import PATH_BYTES


def settings(folder: Path, **others: Any) -> Settings:
    return msgspec.structs.replace(Settings(run_dir=f"{folder}/run"), **others)


def test_all_places_that_cannot_be_had_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    (tmp_path / "publish").write_text("precious")
    wanted = settings(
        tmp_path, publish_endpoint=f"ipc://{tmp_path}/publish", snapshot_endpoint=f"ipc://{tmp_path}/missing/snapshot"
    )
    with pytest.raises(ConfigError) as refused, places.held(wanted):
        pass
    told = str(refused.value).splitlines()
    assert [line.partition(" ")[0] for line in told] == [
        "run_dir",
        "publish_endpoint",
        "snapshot_endpoint",
        "books_endpoint",
    ]
    assert (tmp_path / "publish").read_text() == "precious"


@pytest.mark.parametrize("over", [0, 1])
def test_a_run_directory_has_room_for_the_longest_name_of_a_socket(over: int) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="k2-") as short:
        longest = f"{short}/{'x' * (PATH_BYTES + over - len(short) - 2 - len(places.LONGEST))}"
        with contextlib.ExitStack() as holding:
            if over:
                holding.enter_context(pytest.raises(ConfigError, match=r"run_dir .*1 bytes too long"))
            holding.enter_context(places.held(Settings(run_dir=longest, publish_endpoint="tcp://127.0.0.1:*")))
            holding.enter_context(socket.socket(socket.AF_UNIX)).bind(f"{longest}/{places.LONGEST}")


@pytest.mark.parametrize(
    ("publish", "others", "told"),
    [
        (
            "ipc://{0}/socket",
            {"snapshot_endpoint": "ipc://{0}/socket"},
            "snapshot_endpoint .*: that is publish_endpoint",
        ),
        ("ipc://{0}/socket", {"snapshot_endpoint": "ipc://{0}/./socket"}, "snapshot_endpoint .*: that is publish_"),
        ("ipc://{0}/socket", {"snapshot_endpoint": "ipc://{0}/link/socket"}, "snapshot_endpoint .*: that is publish_"),
        ("ipc://@k2-places", {"snapshot_endpoint": "ipc://@k2-places"}, "snapshot_endpoint .*: that is publish_"),
        ("tcp://127.0.0.1:7", {"snapshot_endpoint": "tcp://127.0.0.1:7"}, "snapshot_endpoint .*: that is publish_"),
        ("tcp://127.0.0.1:7", {"snapshot_endpoint": "tcp://127.0.0.1:6"}, "books_endpoint .*:7': that is publish_"),
        ("tcp://127.0.0.1:7", {"http_port": "7"}, "publish_endpoint .*: that is http_port already"),
        ("tcp://[::1]:7", {"http_port": "7", "http_host": "::1"}, "publish_endpoint .*: that is http_port already"),
    ],
)
def test_two_endpoints_at_one_place_are_a_mistake(
    tmp_path: Path, publish: str, others: dict[str, str], told: str
) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    wanted = {name: value.format(tmp_path) for name, value in {"publish_endpoint": publish, **others}.items()}
    with pytest.raises(ConfigError, match=told), places.held(settings(tmp_path, **wanted)):
        pass


def test_endpoints_that_are_any_free_one_are_not_the_same(tmp_path: Path) -> None:
    for any_one in ("ipc://*", "tcp://127.0.0.1:*", "tcp://127.0.0.1:0"):
        with places.held(settings(tmp_path, publish_endpoint=any_one, snapshot_endpoint=any_one, http_port="0")):
            pass


def test_sockets_that_nobody_listens_at_any_longer_go_with_the_run(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("publish", "snapshot", "snapshot-books")]
    wanted = settings(tmp_path, publish_endpoint=f"ipc://{paths[0]}", snapshot_endpoint=f"ipc://{paths[1]}")
    with socket.socket(socket.AF_UNIX) as alive:
        with places.held(wanted):
            alive.bind(str(paths[0]))
            alive.listen()
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(str(paths[1]))
            paths[2].write_text("precious")
        assert [path.exists() for path in paths] == [True, False, True]
    assert not list(tmp_path.glob("*.lock"))


def test_a_path_at_which_another_program_listens_is_refused_although_it_has_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "ORPHANS_END_S", 0.0)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(f"{tmp_path}/socket")
        other.listen()
        with (
            pytest.raises(ConfigError, match=r"publish_endpoint = .*: in use by pid "),
            places.held(settings(tmp_path, publish_endpoint=f"ipc://{tmp_path}/socket")),
        ):
            pass
    with places.held(settings(tmp_path, publish_endpoint=f"ipc://{tmp_path}/socket")):
        pass


def test_what_a_cleaner_removed_is_made_anew_and_what_another_took_is_told_once(tmp_path: Path) -> None:
    with places.held(settings(tmp_path)) as held, capture_logs() as logs:
        shutil.rmtree(held.path)
        held.restore()
        assert (held.path / places.LOCK).is_file()
        (held.path / places.LOCK).unlink()
        other = LockFile(held.path / places.LOCK)
        assert other.take() == ""
        held.restore()
        held.restore()
        assert [line["event"] for line in logs] == ["place_taken"]
        other.close()
        held.restore()
    assert not (tmp_path / "run" / places.LOCK).exists(), "it was ours again"


def test_a_directory_that_is_gone_is_no_reason_not_to_look_after_the_others(tmp_path: Path) -> None:
    lasting = tmp_path / "lasting"
    lasting.mkdir()
    with places.held(settings(tmp_path, checkpoint=f"{lasting}/checkpoint", disk_ring_gb=1)) as held:
        shutil.rmtree(lasting)
        held.restore()
        ring = lasting / "checkpoint-ring"
        ring.mkdir(parents=True)
        held.restore()
        assert (lasting / "checkpoint.lock").is_file() and (ring / places.LOCK).is_file()


def test_only_directories_of_dead_runs_are_removed(tmp_path: Path) -> None:
    base = tmp_path / "k2workers"
    dead, alive, other, foreign = (base / name for name in ("run-dead", "run-alive", "run-other", "elsewhere"))
    for folder in (dead, alive, other, foreign):
        folder.mkdir(parents=True)
    (dead / places.LOCK).touch()
    (foreign / places.LOCK).touch()
    lock = LockFile(alive / places.LOCK)
    assert lock.take() == ""
    with places.held(Settings(), {"XDG_STATE_HOME": str(tmp_path)}) as held:
        own = held.path
        assert set(base.iterdir()) == {own, alive, other, foreign}
    assert not own.exists()
    lock.close()


def test_a_checkpoint_beside_which_no_lock_can_be_is_no_reason_not_to_start(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.lock").mkdir()
    with places.held(settings(tmp_path, checkpoint=f"{tmp_path}/checkpoint")) as held:
        assert held.path == tmp_path / "run"


def test_where_it_answers_stands_in_the_directory_of_the_run_and_comes_back(tmp_path: Path) -> None:
    with places.held(settings(tmp_path)) as held:
        held.restore()
        assert not (tmp_path / "run/http").exists()
        held.tell_http("http://127.0.0.1:1")
        (tmp_path / "run/http").unlink()
        held.restore()
        assert (tmp_path / "run/http").read_text() == "http://127.0.0.1:1"


def test_the_disk_ring_of_another_feed_is_refused_and_one_that_cannot_be_made_is_not(tmp_path: Path) -> None:
    ring: dict[str, Any] = {"disk_ring_gb": 1.0, "disk_ring_dir": f"{tmp_path}/ring"}
    with places.held(settings(tmp_path, **ring)):
        other = Settings(run_dir=f"{tmp_path}/other", **ring)
        with pytest.raises(ConfigError, match=r"disk_ring_dir = .*/ring': in use by pid "), places.held(other):
            pass
    with places.held(settings(tmp_path, disk_ring_gb=1.0, checkpoint=f"{tmp_path}/checkpoint")):
        assert (tmp_path / "checkpoint-ring" / places.LOCK).is_file()
    with places.held(settings(tmp_path, disk_ring_gb=1.0, disk_ring_dir=f"{__file__}/ring")):
        pass
