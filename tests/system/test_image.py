"""The image: built by buildah on a base of this test, and run as a container runs it, to a clean report."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from k2workers import __version__
from tests.support import image
from tests.support.image import BuiltImage
from tests.support.namespace import Namespace
from tests.support.waiting import wait_for
from tests.system.support import Program

pytestmark = [pytest.mark.long, pytest.mark.timeout(1_800)]  # a base, 100 MB of packages, a compiler


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BuiltImage]:
    if why_not := image.why_not():
        pytest.skip(why_not)
    made = BuiltImage(tmp_path_factory.mktemp("image"))
    yield made
    made.close()


def test_what_the_image_says_of_itself(built: BuiltImage) -> None:
    assert built.config["User"] == "10001"
    assert built.config["StopSignal"] == "SIGTERM"
    labels = {
        name.rpartition(".")[2]: value for name, value in built.config["Labels"].items() if "opencontainers" in name
    }
    assert labels["title"] == "k2-binance-stream"
    assert labels["version"] == __version__
    assert {"description", "revision", "licenses"} <= labels.keys()
    assert [*built.root.glob("srv/k2workers/native/_native.abi3.so")]


def unburied(first: int) -> list[psutil.Process]:
    return [each for each in psutil.Process(first).children() if each.status() == psutil.STATUS_ZOMBIE]


def test_it_runs_with_nothing_to_write_but_its_volume_to_a_clean_report(built: BuiltImage, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    flags = ("--demo", "--shards", "3", "--report", "/var/lib/k2workers/state/report.json", "--http-port", "9555")
    environment = dict(pair.split("=", 1) for pair in built.config["Env"]) | {"HOME": built.config["WorkingDir"]}
    with Namespace(tmp_path, {}) as namespace:
        with Program(command=built.command(namespace, state, *flags)) as program:
            first = image.first_of(program.process.pid)

            def healthy(path: str = "/healthz") -> bool:
                assert program.process.poll() is None, "".join(program.raw)
                return (
                    image.inside(first, environment, [*built.config["Healthcheck"]["Test"][1:], path]).returncode == 0
                )

            wait_for("its own health check says yes", healthy)
            wait_for("every stream flows", lambda: healthy("/readyz"))
            wait_for(
                "a rotation",
                lambda: program.logged("rotation_done") or program.logged("binance_connection_rotation_triggered"),
            )
            assert psutil.Process(first).uids().real == 10_001
            assert image.inside(first, environment, ["touch", "/srv/x"]).returncode != 0
            # What loses its parent in there falls to the first process, which buries it.
            image.inside(first, environment, ["sh", "-c", "sleep 0.2 & sleep 0.2 &"])
            wait_for("no process that nobody buried", lambda: not unburied(first))
            psutil.Process(first).send_signal(signal.SIGTERM)
            program.join()
        assert program.process.returncode == 0, "".join(program.raw)
    report = json.loads((state / "report.json").read_text(encoding="utf-8"))
    assert (report["truth"]["lost"], report["truth"]["duplicated"], report["truth"]["reordered"]) == (0, 0, 0)
    assert report["truth"]["received"] > 1_000
    assert (state / "checkpoint").is_file()
    assert program.logged("open_to_others")
