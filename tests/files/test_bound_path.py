"""A socket that listens at a path, and what may become of the file."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from structlog.testing import capture_logs

from k2workers.files.bound_path import BoundPath
from tests.support.waiting import WAIT_S

Socket = zmq.Socket[bytes]


@pytest.fixture
def context() -> Iterator[zmq.Context[Socket]]:
    with zmq.Context() as one:
        one.setsockopt(zmq.LINGER, 0)
        one.setsockopt(zmq.RCVTIMEO, int(WAIT_S * 1000))
        yield one


def reaches(context: zmq.Context[Socket], listener: Socket, endpoint: str) -> Socket:
    """A new peer, of which a message has come."""
    peer = context.socket(zmq.DEALER)
    peer.connect(endpoint)
    peer.send(b"new")
    assert listener.recv_multipart()[1] == b"new"
    return peer


@pytest.mark.parametrize("gone", ["the file", "its directory"])
def test_who_comes_after_the_file_was_removed_is_heard_and_whoever_was_there_stays(
    context: zmq.Context[Socket], tmp_path: Path, gone: str
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    endpoint = f"ipc://{folder}/socket"
    with context.socket(zmq.ROUTER) as listener:
        listener.bind(endpoint)
        bound = BoundPath(listener, endpoint)
        with reaches(context, listener, endpoint) as before:
            (folder / "socket").unlink() if gone == "the file" else shutil.rmtree(folder)
            with capture_logs() as logs:
                bound.restore()
                bound.restore()
            assert [line["event"] for line in logs] == ["listening_again"]
            reaches(context, listener, endpoint).close()
            before.send(b"still there")
            assert listener.recv_multipart()[1] == b"still there"


def test_a_file_that_is_there_never_looks_old(context: zmq.Context[Socket], tmp_path: Path) -> None:
    with context.socket(zmq.ROUTER) as listener:
        listener.bind(endpoint := f"ipc://{tmp_path}/socket")
        os.utime(tmp_path / "socket", (0, 0))
        BoundPath(listener, endpoint).restore()
        found = (tmp_path / "socket").stat()
        assert min(found.st_mtime, found.st_atime) > 1_000_000


def test_what_another_program_has_put_there_is_its_own_and_told_once(
    context: zmq.Context[Socket], tmp_path: Path
) -> None:
    with context.socket(zmq.ROUTER) as listener, socket.socket(socket.AF_UNIX) as other:
        listener.bind(endpoint := f"ipc://{tmp_path}/socket")
        bound = BoundPath(listener, endpoint)
        (tmp_path / "socket").rename(tmp_path / "kept")  # or its number might be given again
        other.bind(str(tmp_path / "socket"))
        with capture_logs() as logs:
            bound.restore()
            bound.restore()
        assert [line["event"] for line in logs] == ["path_taken"]
