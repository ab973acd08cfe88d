"""Owns one child process: how it is started, watched and ended, and how it notices that its parent is gone.

Start method: forkserver. Plain ``fork`` would copy event loops and ZeroMQ contexts that do not survive it; ``spawn``
imports everything anew in every child. The forkserver imports once and forks clean children from a process that holds no
loop, socket or thread, which starts nine children in a fraction of the time and shares the imported pages.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import multiprocess
from multiprocess import connection as mp_connection
from multiprocess import forkserver, resource_tracker
from multiprocess import process as mp_process

from k2workers.errors import ConfigError, K2Error
from k2workers.logs import outlet
from k2workers.supervision.restart import RestartPolicy
from k2workers.supervision.stop_order import StopOrder

DRAIN_LIMIT_S = 15.0
"""How long a child may take to end in order, from when it is told to or has lost its parent; then it is ended, whoever told it. What a child
waits for while it ends (a close reply, the aggregator, ZeroMQ) takes less, all together."""

GC_THRESHOLDS = (50_000, 20, 100)
"""Objects before a collection of the youngest, and how many of those before one of the older; Python's own are 700, 10 and 10."""

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""They may go to the whole process group (Ctrl-C, a service manager, a terminal that is closed), and are the parent's to act on: it stops the others in order."""

MISTAKE_TOLD = 2
"""The exit code of a child that has told the user in words why it cannot run."""

AWAKE_S = 1.0
"""How long the forkserver may stand still."""

STOPPED = b"T"
"""What /proc says of a process that was sent SIGSTOP; of one that a debugger holds it says ``t``."""

DESCRIPTORS = Path("/proc/self/fd")

_context = multiprocess.get_context("forkserver")


class ChildSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What to run: ``target`` is ``module:function``, called as ``function(name, control_endpoint, settings)``.

    One that is not ``vital`` is restarted also if it dies before it ever served: nobody waits for it. ``after_abort`` are the settings of its
    lives from the first on that follows one which ended itself by SIGABRT, as libraries in C do that find themselves in disorder. ``connects_to``
    is the venue for which it asks permissions, if it does.
    """

    name: str
    target: str
    settings: Any
    connects_to: str = ""
    after_abort: Any = None
    restart: RestartPolicy = RestartPolicy()
    vital: bool = True
    stop_order: StopOrder = StopOrder.WORKERS
    env: Mapping[str, str] = {}


class ChildState(msgspec.Struct, frozen=True, kw_only=True):
    """A child as the parent sees it: the process of its present life, whether that runs and has come to serve, how often it was started anew."""

    pid: int | None
    alive: bool
    ready: bool
    restarts: int
    last_beat_s: float | None
    """Seconds since it made the last beat that was heard of it, at first since its process was started; None before it was ever started."""


def start_server(modules: list[str], folders: list[Path]) -> None:
    """Start the forkserver, which imports these once for all children; returns at once. Call before the first child.

    For a moment a file is made in the first of ``folders`` that will do; ConfigError if none will. What it and all children print goes where this process prints now.
    """
    _context.set_forkserver_preload(modules)
    resource_tracker.ensure_running()  # which ignores them by itself, and would unblock them below
    # Ignored, for that is inherited; and blocked, so that one that comes just now is not lost but waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    own = {number: signal.signal(number, signal.SIG_IGN) for number in STOP_SIGNALS}
    try:
        _listen_in_one_of(folders)
    finally:
        for number, handler in own.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    # Not in the loop: that waits for the forkserver whenever a child starts.
    threading.Thread(target=_keep_server_awake, name="forkserver-guard", daemon=True).start()


def _keep_server_awake() -> None:
    """Wake the forkserver if somebody stops it alone: while it stands still no child can start, and the end of none is told."""
    while True:
        time.sleep(AWAKE_S)
        pid = forkserver._forkserver._forkserver_pid
        with contextlib.suppress(OSError, IndexError):  # it has just ended, or there is no /proc
            state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
            if state == STOPPED:
                os.kill(pid, signal.SIGCONT)


def _listen_in_one_of(folders: list[Path]) -> None:
    config = mp_process.current_process()._config
    tried = []
    for folder in folders:
        try:
            with contextlib.ExitStack() as opened:
                if DESCRIPTORS.is_dir():
                    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                    opened.callback(os.close, descriptor)
                    # However long the folder's name is, this is short enough for a socket.
                    config["tempdir"] = str(DESCRIPTORS / str(descriptor))
                forkserver.ensure_running()
                _take_off_the_file_system()
                return
        except OSError as error:
            tried.append(f"{folder} ({error.strerror or error})")
        finally:
            config.pop("tempdir", None)  # another forkserver, should this one die, makes a directory of its own
    raise ConfigError(
        f"no directory can be written, not even for a moment: {', '.join(tried) or 'none is known'}; set TMPDIR"
    )


def _take_off_the_file_system() -> None:
    """Reach the forkserver's socket by a descriptor instead of by its name, which a cleaner of temporary directories could remove.

    Without it no child could be started any more. Where there is no /proc, the name stays.
    """
    server = forkserver._forkserver
    name = Path(server._forkserver_address)
    if name.parent == DESCRIPTORS or not DESCRIPTORS.is_dir():
        return
    server._forkserver_address = str(DESCRIPTORS / str(os.open(name, os.O_PATH | os.O_CLOEXEC)))
    name.unlink()


class Child:
    """One running process of a spec. A restarted child is a new object."""

    def __init__(self, spec: ChildSpec, control_endpoint: str) -> None:
        self.spec = spec
        self.started_ns = time.monotonic_ns()
        self._process = _context.Process(
            target=_boot, args=(spec.target, spec.name, control_endpoint, spec.settings, dict(spec.env)), name=spec.name
        )
        self._process.daemon = False
        self._process.start()
        # The library makes a new one for each look, ten times a second for each child.
        self._end = select.poll()
        self._end.register(self._process.sentinel, select.POLLIN)
        _take_off_the_file_system()  # of a forkserver that was started anew

    @property
    def pid(self) -> int:
        """Its process id."""
        return int(self._process.pid)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return not self._end.poll(0) or bool(self._process.is_alive())

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        code = self._process.exitcode
        return None if code is None else int(code)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if it has ended."""
        with contextlib.suppress(ProcessLookupError):
            if self.alive:
                os.kill(self.pid, number)


def _boot(target: str, name: str, control_endpoint: str, settings: Any, env: dict[str, str]) -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    # The environment is set before the target's imports: prometheus_client reads its directory at import.
    os.environ.update(env)
    outlet.take_over()
    module, _, function = target.partition(":")
    main = getattr(importlib.import_module(module), function)
    try:
        main(name, control_endpoint, settings)
    except K2Error as error:
        # A user's mistake (such as a port in use) is words, not a traceback.
        for line in str(error).splitlines():
            print(f"k2workers: error: {line}", file=sys.stderr)
        raise SystemExit(MISTAKE_TOLD) from None


def settle_memory() -> None:
    """Have the garbage collector leave alone what is there now, and look seldom for more. Call it when a child has started.

    No event makes garbage that only the collector finds: structs are kept from it (``gc=False``), and the lists, dicts and tuples of
    price levels end with their last reference. They count all the same: with Python's own thresholds it looks through them after
    every 15 depth events, in vain, which was a fourth of what such an event costs to read. Cycles (errors, tasks) are rare, and
    50,000 objects are a few megabytes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def guard_parent(on_lost: Callable[[], object]) -> None:
    """Watch the parent from a child: call ``on_lost`` (from a thread) when it is gone, and end for sure soon after.

    The parent holds the other end of a pipe; however it dies, the kernel closes it. PR_SET_PDEATHSIG would not do: the
    kernel's parent of a forkserver child is the forkserver.
    """
    parent = mp_process.parent_process()
    if parent is None:
        return

    def watch() -> None:
        mp_connection.wait([parent.sentinel])
        on_lost()
        time.sleep(DRAIN_LIMIT_S)
        os._exit(1)

    threading.Thread(target=watch, name="parent-guard", daemon=True).start()
