"""Owns what only one program may have at a time: a lock at a path, and the words for who has it. Knows nothing of what is locked."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shlex
import socket
import struct
import sys
from pathlib import Path

OWNER_BYTES = 4_096
"""The most that is read of the words of an owner."""

COMMAND_CHARS = 300
"""The most that is told of a command."""

_BUSY = {errno.EAGAIN, errno.EACCES}


class LockFile:
    """The lock of this path, from ``take`` to ``close`` or the end of the process, however that comes.

    The file names its owner for whoever comes second. It has no meaning of its own: only the kernel's lock counts, so one that a dead
    program left is taken over.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    def take(self) -> str:
        """Empty if it is ours now, or else who has it. Raises OSError if there can be no such file."""
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                words = os.read(descriptor, OWNER_BYTES).decode(errors="replace").strip()
                os.close(descriptor)
                if error.errno in _BUSY:
                    return words or "another program"
                raise
            if self._is_there(descriptor):
                break
            os.close(descriptor)  # whoever had it has removed it meanwhile
        self.close()
        self._descriptor = descriptor
        with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, described(os.getpid()).encode(), 0)
        return ""

    @property
    def held(self) -> bool:
        """Whether it is ours, and nobody has removed the file."""
        return self._descriptor >= 0 and self._is_there(self._descriptor)

    def close(self) -> None:
        """Give it up, and remove the file if it is ours. Safe to repeat."""
        if self._descriptor < 0:
            return
        if self.held:
            with contextlib.suppress(OSError):
                self.path.unlink()
        os.close(self._descriptor)
        self._descriptor = -1

    def _is_there(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        except FileNotFoundError:
            return False


def described(pid: int) -> str:
    """A process in words: its number and its command, as far as that can be seen."""
    command = shlex.join(sys.orig_argv) if pid == os.getpid() else ""
    with contextlib.suppress(OSError):
        if not command:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
            command = shlex.join(words)
    if len(command) > COMMAND_CHARS:
        command = f"{command[:COMMAND_CHARS]}…"
    return f"pid {pid} ({command})" if command else f"pid {pid}"


def listener_at(path: str) -> str:
    """Who listens at a path, in words; empty if nobody does."""
    with socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)
        try:
            client.connect(path)
        except BlockingIOError:
            return "another program"  # with so many callers that it has not come to ours
        except OSError:
            return ""
        if not hasattr(socket, "SO_PEERCRED"):
            return "another program"
        credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return described(struct.unpack("3i", credentials)[0])
