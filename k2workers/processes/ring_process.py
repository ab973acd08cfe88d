"""Owns the disk ring's process, which keeps what was published for subscribers that were away for longer than the memory ring holds. What it does is in ``ring_keeping``."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from k2workers import event_loop, every
from k2workers.errors import ConfigError
from k2workers.every import Every
from k2workers.files.lock_file import LockFile
from k2workers.logs import log, outlet
from k2workers.metrics.disk_ring_rows import DISK_RING
from k2workers.metrics.flushing import Instruments
from k2workers.processes.child_settings import DiskRingSettings
from k2workers.processes.ring_keeping import ASK_S, WRITE_S, RingKeeping
from k2workers.supervision.child import settle_memory
from k2workers.supervision.child_process import ChildProcess
from k2workers.transport.peer_watch import LOOK_S
from k2workers.transport.sockets import restore_paths

PLACES_S = 1.0
WRITER_LOCK = "writer.lock"
ALONE_S = 10.0
"""The writer of a feed that was killed ends by itself sooner."""


async def _alone(folder: Path) -> LockFile | None:
    """The lock of who writes here; None where there can be none. Raises ConfigError if another has it."""
    lock, owner, deadline_s = LockFile(folder / WRITER_LOCK), "", time.monotonic() + ALONE_S
    while time.monotonic() < deadline_s:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            owner = lock.take()
        except OSError:
            return None  # then nothing can be written either, which is told where it is tried
        if not owner:
            return lock
        await asyncio.sleep(0.1)
    raise ConfigError(f"disk_ring_dir = '{folder}': in use by {owner}")


def main(name: str, control_endpoint: str, settings: DiskRingSettings) -> None:
    """Entry of the disk ring's process."""
    log.configure(settings.logs.level, settings.logs.format, process=name)
    event_loop.run(_serve(name, control_endpoint, settings))


async def _serve(name: str, control_endpoint: str, settings: DiskRingSettings) -> None:
    async with ChildProcess(name, control_endpoint) as child:
        try:
            lock = await _alone(Path(settings.folder))
            keeping = RingKeeping(settings)
        except ConfigError as error:
            child.tell("refused", {"error": str(error)})
            raise
        child.tell("listening", {"disk_ring": keeping.server.endpoint})
        child.beats(keeping.status)
        keeping.start()
        child.ready()
        settle_memory()
        instruments = Instruments(DISK_RING, environment=settings.environment, component="disk_ring")
        child.metrics(lambda: _flush(keeping, instruments))
        child.does(
            Every(ASK_S, keeping.ask, "questions"),
            Every(WRITE_S, keeping.write, "disk_ring"),
            Every(LOOK_S, keeping.server.watch.look, "peers", give_up=None),
            Every(PLACES_S, restore_paths, "places", give_up=None),
        )
        await child.stopping.wait()
    await keeping.close()
    if lock is not None:
        lock.close()


def _flush(keeping: RingKeeping, instruments: Instruments) -> None:
    instruments.flush(
        {
            "k2_disk_ring_bytes": keeping.ring.size,
            "k2_disk_ring_oldest_age_seconds": keeping.oldest_age_s,
            "k2_disk_ring_batches": keeping.frames,
            "k2_disk_ring_holes": keeping.keeper.holes,
            "k2_disk_ring_write_failures": keeping.write_failures,
            "k2_disk_ring_damaged_places": keeping.ring.damaged,
            "k2_disk_ring_requests": keeping.server.requests,
            "k2_disk_ring_given_bytes": keeping.server.given_bytes,
            "k2_peers_cut": keeping.server.watch.cuts,
            "k2_duty_failures": every.failures,
            "k2_log_lines_dropped": outlet.dropped(),
        }
    )
