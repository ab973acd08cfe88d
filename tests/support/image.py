"""Builds the image of the Dockerfile, and runs its root file system as a container would: read-only, as the image's user, with processes, a network and
volumes of its own. Where containers are refused, as inside of one, ``unshare`` and ``chroot`` still work. Linux, root, buildah.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.support.namespace import Namespace
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]

BASE = "localhost/k2-test-base"
NEEDED_OF_BASE = "python3,python3-venv,python3-dev,gcc,libc6-dev,ca-certificates"

BECOME = """set -e
root=$1 state=$2 user=$3 folder=$4
shift 4
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755,size=1m none "$root/dev"
mkdir "$root/dev/shm"
mount -t tmpfs -o mode=1777,size=64m none "$root/dev/shm"
for each in "null 3" "zero 5" "random 8" "urandom 9"; do mknod -m 666 "$root/dev/${each% *}" c 1 "${each#* }"; done
mount --bind "$state" "$root$VOLUME"
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user:$user" "$root" /bin/sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
"""


def why_not() -> str:
    """What is missing here to build it; empty if nothing is."""
    if os.geteuid() != 0:
        return "only root can build and mount an image"
    missing = [tool for tool in ("buildah", "unshare", "nsenter") if shutil.which(tool) is None]
    if not base_folder() and shutil.which("debootstrap") is None:
        missing.append("debootstrap")
    return f"not installed: {', '.join(missing)}" if missing else ""


def base_folder() -> str:
    """The root file system to build on, if one is named: a Debian with what ``NEEDED_OF_BASE`` says."""
    return os.environ.get("K2_TEST_BASE", "")


class BuiltImage:
    """The image, in a store of its own below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._buildah = ["buildah", "--root", str(folder / "store"), "--runroot", str(folder / "run")]
        self._make_base(folder)
        bases = [f"--build-arg={name}={BASE}" for name in ("BUILD_BASE", "BASE")]
        way = ["--isolation=chroot", "--network=host", *(f"--volume={path}:{path}:ro" for path in ways_of_pip())]
        self._run("bud", "--quiet", "--format=docker", "--pull-never", *bases, *way, "--tag=k2workers", str(ROOT))
        self.config: dict[str, Any] = json.loads(self._run("inspect", "--type=image", "k2workers"))["Docker"]["config"]
        self._container = self._run("from", "--pull-never", "k2workers")
        self.root = Path(self._run("mount", self._container))

    def close(self) -> None:
        """Unmount it."""
        self._run("umount", self._container)
        self._run("rm", self._container)

    def _make_base(self, folder: Path) -> None:
        base = base_folder()
        if not base:
            base = str(folder / "base")
            command = ["debootstrap", "--variant=minbase", f"--include={NEEDED_OF_BASE}", "bookworm", base]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        container = self._run("from", "scratch")
        self._run("add", "--quiet", container, base, "/")
        self._run("config", "--env=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", container)
        self._run("commit", "--quiet", "--rm", container, BASE)

    def _run(self, *words: str) -> str:
        done = subprocess.run([*self._buildah, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
        return done.stdout.strip()

    def command(self, namespace: Namespace, state: Path, *words: str, **environment: str) -> list[str]:
        """What runs the image's entry point with these words, in these namespaces and one of processes in which it is the first."""
        own = {
            **dict(pair.split("=", 1) for pair in self.config["Env"]),
            "HOME": self.config["WorkingDir"],
            **environment,
        }
        (volume,) = self.config["Volumes"]
        os.chown(state, int(self.config["User"]), -1)
        become = ["sh", "-c", BECOME, "sh", str(self.root), str(state), self.config["User"], self.config["WorkingDir"]]
        isolated = ["unshare", "--pid", "--fork", "--kill-child", "--mount"]
        clean = ["env", "-i", *(f"{name}={value}" for name, value in own.items()), f"VOLUME={volume}"]
        return namespace.inside(*isolated, *clean, *become, *self.config["Entrypoint"], *words)


def first_of(outside: int) -> int:
    """Its process with the number 1 in there, by the number that it has out here; ``outside`` is the one that waits for it."""

    def found() -> int | None:
        children = psutil.Process(outside).children()
        return children[0].pid if children and "k2workers" in shlex.join(children[0].cmdline()) else None

    return wait_for("the first process in there", found)


def inside(first: int, environment: Mapping[str, str], words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command where this process is, as ``docker exec`` does."""
    own = [f"{name}={value}" for name, value in environment.items()]
    enter = ["nsenter", f"--target={first}", "--mount", "--pid", "--net", "--root", "--wd"]
    who = psutil.Process(first).uids().real
    return subprocess.run(
        [*enter, f"--setuid={who}", f"--setgid={who}", "env", "-i", *own, *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def ways_of_pip() -> list[str]:
    """What of this machine pip needs in there to find packages as it does here: its settings, and the files that they name."""
    told = subprocess.run(
        [sys.executable, "-m", "pip", "config", "debug"], capture_output=True, text=True, check=True
    ).stdout
    files = [line.rpartition(", exists: ")[0].strip() for line in told.splitlines() if line.endswith("exists: True")]
    words = " ".join(Path(file).read_text(encoding="utf-8") for file in files).replace("file://", " ").split()
    named = [str(Path(word).parent if word.endswith("/simple") else word) for word in words if word.startswith("/")]
    return [path for path in dict.fromkeys([*files, *named]) if Path(path).exists()]
