"""The look from outside whether a run is well, as a container's health check takes it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from k2workers import health
from k2workers.files.directories import HTTP
from tests.support.waiting import WAIT_S
from tests.system.support import ROOT, free_port


class Answers(BaseHTTPRequestHandler):
    """Is well, and not ready."""

    def do_GET(self) -> None:
        well = self.path == "/healthz"
        self.send_response(200 if well else 503)
        self.end_headers()
        self.wfile.write(b"ok\n" if well else b"starting: aggregator\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def told(place: Path, url: str, at_s: int) -> None:
    """A run in this directory that answers there."""
    place.mkdir(parents=True)
    (place / HTTP).write_text(url, encoding="ascii")
    os.utime(place / HTTP, (at_s, at_s))


def test_the_run_that_began_last_is_asked(tmp_path: Path) -> None:
    environ = {"RUNTIME_DIRECTORY": str(tmp_path)}
    told(tmp_path / "run-new", "http://127.0.0.1:2", 2_000)
    told(tmp_path / "run-old", "http://127.0.0.1:1", 1_000)
    (tmp_path / "run-starting").mkdir()
    assert health.address(environ) == "http://127.0.0.1:2"


def test_a_directory_that_is_named_is_the_only_one(tmp_path: Path) -> None:
    told(tmp_path / "run-other", "http://127.0.0.1:1", 1_000)
    environ = {"RUNTIME_DIRECTORY": str(tmp_path), "K2_RUN_DIR": str(tmp_path / "mine")}
    assert health.address(environ) == "http://127.0.0.1:9091"
    told(tmp_path / "mine", "http://[::1]:7", 500)
    assert health.address(environ) == "http://[::1]:7"


def test_where_nothing_is_said_the_environment_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert health.address({}) == "http://127.0.0.1:9091"
    assert health.address({"K2_HTTP_PORT": "8000"}) == "http://127.0.0.1:8000"


def test_yes_is_only_what_the_run_says(url: str, tmp_path: Path) -> None:
    environ = {"K2_RUN_DIR": str(tmp_path / "run")}
    told(tmp_path / "run", url, 1)
    assert health.look("/healthz", environ) == (True, "ok")
    assert health.look("/readyz", environ) == (False, "starting: aggregator")
    gone = {"K2_HTTP_PORT": str(free_port()), "K2_RUN_DIR": str(tmp_path)}
    well, words = health.look("/healthz", gone)
    assert not well
    assert words.startswith(f"http://127.0.0.1:{gone['K2_HTTP_PORT']}/healthz: ")


def test_the_command_needs_no_proxy_and_little_else(url: str, tmp_path: Path) -> None:
    told(tmp_path / "run", url, 1)
    environment = {
        **os.environ, "K2_RUN_DIR": str(tmp_path / "run"), "PYTHONPATH": str(ROOT), "http_proxy": "http://127.0.0.1:1"
    }  # fmt: skip
    script = "import sys; sys.argv = ['health', *sys.argv[1:]]; from k2workers import health; code = health.main(); print(*sys.modules); sys.exit(code)"
    for path, code in (("/healthz", 0), ("/readyz", 1)):
        ended = subprocess.run(
            [sys.executable, "-c", script, path],
            env=environment,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        assert ended.returncode == code, ended.stderr
        assert {"asyncio", "msgspec", "zmq", "structlog"} & set(ended.stdout.splitlines()[-1].split()) == set()
