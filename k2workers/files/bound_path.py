"""Owns that the file of a socket that listens at a path is there: cleaners remove what looks old, and a socket without its file is deaf."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Protocol

import structlog

SCHEME = "ipc://"

_log = structlog.get_logger(__name__)


class Listening(Protocol):
    """What is asked of a ZeroMQ socket."""

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""

    def bind(self, addr: str) -> object:
        """Listen there too; whoever is connected stays."""


def make_room(endpoint: str) -> None:
    """Make the directory of a path to listen at, if it is gone; nothing for an endpoint without a path."""
    if endpoint.startswith(SCHEME):
        with contextlib.suppress(OSError):  # binding says it better
            Path(endpoint.removeprefix(SCHEME)).parent.mkdir(parents=True, exist_ok=True)


class BoundPath:
    """A socket just bound to this ``ipc://`` endpoint. Call ``restore`` every second or so."""

    def __init__(self, socket: Listening, endpoint: str) -> None:
        self.socket = socket
        self._endpoint = endpoint
        self._path = endpoint.removeprefix(SCHEME)
        self._inode = self._look()
        self._taken = False

    def restore(self) -> None:
        """Listen again if the file is gone; one that is there is made to look young. Raises what binding raises."""
        inode = self._look()
        if inode is None:
            make_room(self._endpoint)
            self.socket.bind(self._endpoint)
            self._inode = self._look()
            _log.warning("listening_again", path=self._path, note="somebody had removed the socket's file")
        elif inode == self._inode:
            with contextlib.suppress(OSError):  # on a file system that has become read-only nothing is removed either
                os.utime(self._path)
        elif not self._taken:
            self._taken = True
            _log.error("path_taken", path=self._path, note="another program listens there now; nobody new reaches us")

    def _look(self) -> int | None:
        try:
            return Path(self._path).stat().st_ino
        except FileNotFoundError:
            return None
