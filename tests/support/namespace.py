"""A network of its own for a test: loopback only, every port free, and names that mean what the test says. Linux.

As a module it is the process that keeps the namespaces: ``python -m tests.support.namespace FOLDER`` under ``unshare``.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest

ROOT = Path(__file__).resolve().parents[2]
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
RESOLVING = {"/etc/hosts": "hosts", "/etc/nsswitch.conf": "nsswitch.conf", "/etc/resolv.conf": "resolv.conf"}


class Namespace:
    """Use it as ``with``; a command of ``inside`` runs there. ``names``: host name → address of 127.0.0.0/8.

    ``resolver`` is the resolv.conf by which other names are looked up; without it there are none. With ``network`` False the network
    is that of everybody else. ``small`` is a directory that has a file system of its own there, of some megabytes.
    Who cannot make namespaces skips the test; root (as CI is) can, so there it fails.
    """

    def __init__(
        self,
        folder: Path,
        names: dict[str, str],
        resolver: str = "",
        *,
        network: bool = True,
        small: Path | None = None,
    ) -> None:
        lines = ["127.0.0.1 localhost", "::1 localhost", *(f"{address} {name}" for name, address in names.items())]
        (folder / "hosts").write_text("\n".join(lines) + "\n", encoding="ascii")
        (folder / "nsswitch.conf").write_text(f"hosts: files{' dns' * bool(resolver)}\n", encoding="ascii")
        if resolver:
            (folder / "resolv.conf").write_text(resolver, encoding="ascii")
        self._folder = folder
        self._network = ["--net"] if network else []
        self._small = [small] if small else []
        self._root = os.geteuid() == 0
        self._keeper: subprocess.Popen[str]

    def __enter__(self) -> Self:
        if shutil.which("unshare") is None:
            self._not_here("unshare (util-linux) is not installed")
        as_user = [] if self._root else ["--user", "--map-root-user"]
        self._keeper = subprocess.Popen(
            ["unshare", *as_user, *self._network, "--mount", sys.executable, "-m", "tests.support.namespace", self._folder, *self._small],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._keeper.stdout is not None and self._keeper.stderr is not None
        if self._keeper.stdout.readline() != "ready\n":
            words = self._keeper.stderr.read().strip()
            self.__exit__()
            self._not_here(words)
        return self

    def _not_here(self, words: str) -> None:
        (pytest.fail if self._root else pytest.skip)(f"no namespaces here: {words}")

    def __exit__(self, *_: object) -> None:
        self._keeper.communicate()

    def inside(self, *command: str) -> list[str]:
        """The command that runs ``command`` in the namespaces, as the same process."""
        as_user = [] if self._root else ["--user", "--preserve-credentials"]
        return [
            "nsenter",
            f"--target={self._keeper.pid}",
            *as_user,
            *self._network,
            "--mount",
            "--wd=.",
            "--",
            *command,
        ]

    def seen(self, path: Path) -> Path:
        """Where a file of in there is seen from out here."""
        return Path(f"/proc/{self._keeper.pid}/root{path}")


def on_small_file_system(folder: Path) -> tuple[str, ...]:
    """What to put before a command that shall find a megabyte of a file system of its own there. Its files are seen under /proc/PID/root."""
    return _after(f'mount -t tmpfs -o size=1m none "{folder}"')


def where_nothing_can_be_written() -> tuple[str, ...]:
    """What to put before a command that shall find every file system read-only."""
    places = "/ /tmp /var/tmp /dev/shm"
    return _after(f"for place in {places}; do mount --bind $place $place && mount -o remount,bind,ro $place; done")


def where_only_a_full_place_can_be_written() -> tuple[str, ...]:
    """The same, with a file system in memory that can be written and holds no file more."""
    (*command, mounting, name) = where_nothing_can_be_written()
    full = "mount -t tmpfs -o nr_inodes=1 none /dev/shm"
    return (*command, mounting.replace(" && exec", f" && {full} && exec"), name)


def _after(mounting: str) -> tuple[str, ...]:
    """The command, without its end, that runs another one after ``mounting`` for it alone. Who cannot make namespaces skips the test, as above."""
    root = os.geteuid() == 0
    as_user = [] if root else ["--user", "--map-root-user"]
    command = ("unshare", *as_user, "--mount", "sh", "-c", f'{mounting} && exec "$@"', "sh")
    try:
        tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
        words = tried.stderr.strip() if tried.returncode else ""
    except FileNotFoundError:
        words = "unshare (util-linux) is not installed"
    if words:
        (pytest.fail if root else pytest.skip)(f"no mounts here: {words}")
    return command


def keep(folder: Path, *small: str) -> None:
    """Set the namespaces up, say so, and stay until the test's end closes our input."""
    for place, file in RESOLVING.items():
        if not (folder / file).exists():
            continue
        subprocess.run(["mount", "--bind", folder / file, place], check=True)
    for place in small:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", place], check=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        name = b"lo".ljust(16, b"\0")
        flags = struct.unpack("16sh", fcntl.ioctl(any_socket, SIOCGIFFLAGS, name + bytes(2)))[1]
        if not flags & IFF_UP:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", name, flags | IFF_UP))
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    keep(Path(sys.argv[1]), *sys.argv[2:])
