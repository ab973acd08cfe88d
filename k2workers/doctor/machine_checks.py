"""Owns the checks of this machine: versions, the native lane, open files, places, ports, memory that is shared, and room on its file systems."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path

import psutil
import zmq

from k2workers import __version__, native
from k2workers.config import Settings
from k2workers.doctor.diagnosis import Diagnosis, Grade
from k2workers.doctor.examination import Check, in_thread
from k2workers.errors import ConfigError
from k2workers.files.directories import MEMORY, for_runs
from k2workers.files.lock_file import described
from k2workers.processes import exposure, open_files, own_places, places
from k2workers.processes.run_plan import RunPlan
from k2workers.transport.endpoint import split_tcp
from k2workers.transport.peer import MOST_CONNECTIONS
from k2workers.transport.sockets import mistakes_in

NEWEST_TESTED = (3, 14)

PACKAGES = ("msgspec", "multiprocess", "prometheus-client", "pyzmq", "uvloop", "websockets")
"""Those whose version says most when something is reported."""

ROOM_MB = 256
"""On a file system with less, metrics and checkpoint, which are some megabytes, may soon find none."""


def checks(plan: RunPlan) -> list[Check]:
    """All of them."""
    settings = plan.settings
    slow = "a file system does not respond: has a network file server failed?"
    looks: dict[str, Callable[[], Sequence[Diagnosis]]] = {
        "versions": _versions,
        "native": lambda: _native(settings),
        "files": lambda: _open_files(plan),
        "places": lambda: _places(settings),
        "ports": lambda: _ports(settings),
        "exposure": lambda: _exposure(settings),
        "shared_memory": _shared_memory,
        "room": lambda: _room(settings),
    }
    return [Check(name, in_thread(look), slow) for name, look in looks.items()]


def _versions() -> list[Diagnosis]:
    have = [f"{name} {metadata.version(name)}" for name in PACKAGES]
    words = f"k2workers {__version__}, Python {platform.python_version()}, {', '.join(have)}, libzmq {zmq.zmq_version()}, {platform.platform()}"
    if sys.version_info[:2] > NEWEST_TESTED:
        newest = ".".join(map(str, NEWEST_TESTED))
        return [
            Diagnosis("versions", Grade.WARNING, words, f"the newest Python that k2workers is tested with is {newest}")
        ]
    return [Diagnosis("versions", Grade.OK, words)]


def _native(settings: Settings) -> list[Diagnosis]:
    told = native.told(wanted=settings.native == "auto")
    if told["used"]:
        return [Diagnosis("native", Grade.OK, "plain messages are read and published natively")]
    if settings.native == "off":
        return [Diagnosis("native", Grade.SKIPPED, told["reason"])]
    advice = "without it a worker takes several times the CPU: install a C compiler and Python's headers (gcc, python3-dev), then run scripts/setup run"
    return [Diagnosis("native", Grade.WARNING, f"Python does all of the work: {told['reason']}", advice)]


def _open_files(plan: RunPlan) -> list[Diagnosis]:
    open_files.raise_limit()
    words = f"{open_files.limit()} files may be open, {plan.connections} peers can connect to each port"
    if plan.connections >= MOST_CONNECTIONS:
        return [Diagnosis("files", Grade.OK, words)]
    wanted = open_files.OWN + open_files.SPARE + plan.shards + open_files.PORTS * MOST_CONNECTIONS
    advice = f"for {MOST_CONNECTIONS} peers raise the hard limit to {wanted}: ulimit -Hn, LimitNOFILE= of systemd, docker run --ulimit nofile={wanted}"
    return [Diagnosis("files", Grade.WARNING, words, advice)]


# ── what only one feed can have ─────────────────────────────────────────────────────────────────────────────


def _places(settings: Settings) -> list[Diagnosis]:
    """Whether a run could have its directory, checkpoint and paths now, by the rule of the start itself."""
    with _as_before(settings):
        try:
            with places.held(settings) as held:
                words = f"run directory {held.path if settings.run_dir else held.path.parent}"
                free = Diagnosis("places", Grade.OK, f"{words}, checkpoint {settings.checkpoint or 'in it'}: free")
                return [free, *_place_of_ring(settings, held.path)]
        except ConfigError as error:
            return [Diagnosis("places", Grade.FAILED, mistake, _in_use(mistake)) for mistake in str(error).splitlines()]


@contextlib.contextmanager
def _as_before(settings: Settings) -> Iterator[None]:
    """The directories that are made within it are not there afterwards."""
    named = [Path(settings.run_dir)] if settings.run_dir else []
    if settings.disk_ring_gb:
        named.append(own_places.disk_ring(settings, Path(settings.run_dir)))
    ways = [each for path in named for each in (path.absolute(), *path.absolute().parents)]
    made = sorted({each for each in ways if not each.exists()}, key=lambda each: -len(each.parts))
    try:
        yield
    finally:
        for each in made:
            with contextlib.suppress(OSError):  # another feed has begun in it
                each.rmdir()


def _place_of_ring(settings: Settings, run_dir: Path) -> Iterator[Diagnosis]:
    folder = own_places.disk_ring(settings, run_dir)
    if settings.disk_ring_gb and not os.access(folder, os.W_OK | os.X_OK):
        advice = "the feed would run without its disk ring: choose another directory (disk_ring_dir), or permit this user to write there"
        yield Diagnosis("places", Grade.WARNING, f"disk_ring_dir = '{folder}': cannot be written", advice)


def _in_use(mistake: str) -> str:
    return "if that is the feed that you want to start, it runs already" if "in use" in mistake else ""


def _ports(settings: Settings) -> list[Diagnosis]:
    endpoints = own_places.endpoints(settings)
    found = [
        Diagnosis("ports", Grade.FAILED, mistake) for mistake in [*_http_mistake(settings), *mistakes_in(endpoints)]
    ]
    if not found:
        shown = [_http(settings), *endpoints.values()]
        return [Diagnosis("ports", Grade.OK, f"{', '.join(shown)}: free")]
    pids = {pid for endpoint in [_http(settings), *endpoints.values()] for pid in _holders(endpoint)}
    holders = ", ".join(described(pid) for pid in sorted(pids) if not pids & {*_ancestors(pid)})
    advice = f"held by {holders}: " if holders else ""
    return [
        Diagnosis(each.check, each.grade, each.found, f"{advice}stop the process that uses it, or choose another port")
        for each in found
    ]


def _http(settings: Settings) -> str:
    return f"http://{own_places.http_address(settings)}"


def _http_mistake(settings: Settings) -> Iterator[str]:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.http_host, settings.http_port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        yield f"http_host = {settings.http_host!r}, http_port = {settings.http_port}: {error.strerror}"


def _holders(endpoint: str) -> list[int]:
    """The processes that listen at this port, as far as this user may see it."""
    with contextlib.suppress(psutil.Error, ValueError):
        port = split_tcp(endpoint.partition("://")[2])[1]
        listening = [each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
        return [each.pid for each in listening if each.pid and each.laddr and each.laddr.port == port]
    return []


def _ancestors(pid: int) -> list[int]:
    with contextlib.suppress(psutil.Error):
        return [each.pid for each in psutil.Process(pid).parents()]
    return []


def _exposure(settings: Settings) -> list[Diagnosis]:
    found = exposure.open_to_others(settings)
    if not found:
        return [Diagnosis("exposure", Grade.OK, "only this machine can connect")]
    return [Diagnosis("exposure", Grade.WARNING, f"other machines can connect: {', '.join(found)}", exposure.ADVICE)]


# ── room ────────────────────────────────────────────────────────────────────────────────────────────────────


def _shared_memory() -> list[Diagnosis]:
    try:
        with tempfile.TemporaryFile(dir=MEMORY, buffering=0) as tried:
            tried.write(b"x")
        free_mb = shutil.disk_usage(MEMORY).free // 2**20
    except OSError as error:
        advice = "needed only if no other directory can be written (as with a read-only root): mount a tmpfs there, or on /tmp"
        return [Diagnosis("shared_memory", Grade.WARNING, f"{MEMORY}: {error.strerror}", advice)]
    return [Diagnosis("shared_memory", Grade.OK, f"{MEMORY} can be written, {free_mb:,} MB are free")]


def _room(settings: Settings) -> list[Diagnosis]:
    """Of the file systems of the run directory, of the checkpoint and of the disk ring."""
    runs = [Path(settings.run_dir)] if settings.run_dir else [path for path, _ in for_runs(os.environ)][:1]
    wanted = [*runs, *([Path(settings.checkpoint).absolute().parent] if settings.checkpoint else [])]
    found = []
    for path, system in dict(map(_nearest, wanted)).items():
        free_mb, files = system.f_bavail * system.f_frsize // 2**20, system.f_favail
        words = f"{path}: {free_mb:,} MB free"
        if free_mb < ROOM_MB or (system.f_files > 0 and files < ROOM_MB):
            advice = (
                "make room: on a full file system the feed runs on, but metrics and the checkpoint cannot be written"
            )
            found.append(Diagnosis("room", Grade.WARNING, f"{words}, {files:,} files", advice))
        else:
            found.append(Diagnosis("room", Grade.OK, words))
    return found + ([_room_of_ring(settings, runs[0])] if settings.disk_ring_gb else [])


def _room_of_ring(settings: Settings, run_dir: Path) -> Diagnosis:
    folder = own_places.disk_ring(settings, run_dir)
    path, system = _nearest(folder)
    has = _bytes_in(folder) if path == folder.absolute() else 0
    wants_mb, free_mb = (int(settings.disk_ring_gb * 1e9) - has) // 2**20, system.f_bavail * system.f_frsize // 2**20
    words = f"{path}: {free_mb:,} MB free, of which the disk ring may still take {max(0, wants_mb):,} MB"
    if wants_mb + ROOM_MB <= free_mb:
        return Diagnosis("room", Grade.OK, words)
    advice = "make room, or lower disk_ring_gb: on a full file system the disk ring misses what is published then"
    return Diagnosis("room", Grade.WARNING, words, advice)


def _bytes_in(folder: Path) -> int:
    """What its files hold. The feed or another check may remove one meanwhile."""
    total = 0
    for file in folder.glob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def _nearest(path: Path) -> tuple[Path, os.statvfs_result]:
    """It, or what is there of the way to it, and its file system: another check may have it made and removed meanwhile."""
    for each in (path.absolute(), *path.absolute().parents):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            return each, os.statvfs(each)
    raise FileNotFoundError(path)
