"""A machine whose first process is a real systemd: a Debian in namespaces of its own, with the project under ``/opt/k2workers`` and no network but
loopback. Where containers are refused, as inside of one, ``unshare`` and ``nsenter`` still work. Linux, root, debootstrap.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import psutil

from tests.support.image import base_folder, ways_of_pip
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = "/opt/k2workers"

PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-venv,python3-dev,gcc,libc6-dev,ca-certificates,procps,curl"

BOOT = """set -e
root=$1
shift
hostname k2-test
mount --bind "$root" "$root"
for path in "$@"; do
    if [ -d "$path" ]; then mkdir -p "$root$path"; else mkdir -p "$root${path%/*}"; touch "$root$path"; fi
    mount --bind -o ro "$path" "$root$path"
done
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755,size=1m none "$root/dev"
for each in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0"; do mknod -m 666 "$root/dev/${each%% *}" c ${each#* }; done
ln -s /proc/self/fd "$root/dev/fd"
ln -s pts/ptmx "$root/dev/ptmx"
ip link set lo up
mkdir -p "$root/before"
cd "$root"
pivot_root . before
umount -l /before
kept=-sys_module,-sys_time,-sys_rawio # what would reach beyond the namespaces
exec env -i container=k2 setpriv --bounding-set "$kept" --inh-caps "$kept" /lib/systemd/systemd --system
"""


def why_not() -> str:
    """What is missing here to have such a machine; empty if nothing is."""
    if os.geteuid() != 0:
        return "only root can make namespaces with mounts of their own"
    missing = [tool for tool in ("unshare", "nsenter", "setpriv", "ip") if shutil.which(tool) is None]
    if not base_folder() and shutil.which("debootstrap") is None:
        missing.append("debootstrap")
    if _groups() is None:
        missing.append("control groups of version 2")
    return f"not installed: {', '.join(missing)}" if missing else ""


def _groups() -> Path | None:
    """Where control groups of version 2 are."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    return next((Path(words[1]) for words in mounts if words[2] == "cgroup2"), None)


class Machine:
    """Runs from the first moment until ``close``. A base that is named (``base_folder``) must hold ``PACKAGES``."""

    def __init__(self, folder: Path) -> None:
        root = folder / "root"
        if base := base_folder():
            subprocess.run(["cp", "-a", base, root], check=True)
        else:
            command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        not_his = shutil.ignore_patterns(".*", "__pycache__", "*.so")
        shutil.copytree(ROOT, root / INSTALLED[1:], symlinks=True, ignore=not_his)
        groups = _groups()
        assert groups is not None
        self._group = groups / f"k2-test-{os.getpid()}"
        self._group.mkdir()
        own = ["--pid", "--fork", "--kill-child", "--mount", "--uts", "--ipc", "--cgroup", "--net"]
        enter = ["sh", "-c", 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"', "sh", str(self._group)]
        boot = ["unshare", *own, "sh", "-c", BOOT, "sh", str(root), *ways_of_pip()]
        self._words = folder / "boot"
        with self._words.open("w", encoding="utf-8") as words:
            self._keeper = subprocess.Popen([*enter, *boot], stdin=subprocess.DEVNULL, stdout=words, stderr=words)
        try:
            self._first = wait_for("the first process in there", self._booted)
            wait_for("systemd's answer", lambda: "running" in self.tried("systemctl is-system-running").stdout)
        except BaseException:
            self.close()
            raise

    def _booted(self) -> int | None:
        assert self._keeper.poll() is None, self._words.read_text(encoding="utf-8")
        children = psutil.Process(self._keeper.pid).children()
        return children[0].pid if children and children[0].name() == "systemd" else None

    def close(self) -> None:
        """End it, whatever runs there."""
        for child in psutil.Process(self._keeper.pid).children():
            child.kill()
        self._keeper.wait()
        for folder, _, _ in os.walk(self._group, topdown=False):
            with contextlib.suppress(FileNotFoundError):
                wait_for(
                    "nobody in it", lambda folder=folder: not Path(folder, "cgroup.procs").read_text(encoding="ascii")
                )
                Path(folder).rmdir()

    def tried(self, command: str, *, network: bool = False) -> subprocess.CompletedProcess[str]:
        """A shell's command there, as root; with ``network`` in the network of everybody else."""
        entered = ["--mount", "--pid", "--uts", "--ipc", "--cgroup", "--root", "--wd", *([] if network else ["--net"])]
        own = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", "SYSTEMD_PAGER": ""}
        return subprocess.run(
            ["nsenter", f"--target={self._first}", *entered, "sh", "-c", command],
            env=own, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip

    def run(self, command: str, *, network: bool = False) -> str:
        """The same; what it wrote. It must not fail."""
        done = self.tried(command, network=network)
        assert done.returncode == 0, f"{command}\n{done.stdout[-8_000:]}"
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        """A file there."""
        self.run(f"mkdir -p {Path(path).parent} && printf %s '{text}' >{path}")
