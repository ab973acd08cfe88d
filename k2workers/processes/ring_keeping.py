"""Owns how the disk ring is filled and given away: what is published is written, on a thread, and read for whoever asks.

It is a subscriber beside the feed's path, and nobody waits for it. It writes the frames as they were published, and decodes none. After its own restart it goes on
from where the files end: what was published meanwhile it asks of the memory ring, like any subscriber. While it cannot write (a full disk, a directory that is
gone) it still answers from what there is, tries again, and then fills the hole as far as the memory ring has it.

What bounds its memory: ``MOST_BLOCKS`` MB that wait to be written, what waits behind holes (64 MiB over all topics), the summaries (``disk_ring``), and two
answers of half a megabyte for each reader that does not read.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import structlog
import zmq

from k2workers import wire
from k2workers.events import HEARTBEAT_TOPIC
from k2workers.every import beside
from k2workers.processes.child_settings import DiskRingSettings
from k2workers.processes.child_status import DiskRingStatus
from k2workers.transport import replay_server
from k2workers.transport.disk_ring import DiskRing, RingFilesGone
from k2workers.transport.disk_ring_server import POLICY, DiskRingServer
from k2workers.transport.frame_keeper import FrameBlock, FrameKeeper
from k2workers.transport.published_socket import PublishedSocket
from k2workers.transport.sockets import NOBLOCK, Context, SocketWatcher, readable
from k2workers.transport.subscriber_sockets import open_sockets

WRITE_S = 0.5
"""How long what was published waits for its block; so far the disk is behind."""

ASK_S = 0.1
"""How often it looks what to ask of the memory ring."""

AGAIN_S = 0.4
"""When no answer has come."""

QUESTIONS_A_TURN = 100
FRAMES_A_TURN = 200
MOST_BLOCKS = 32
"""That wait to be written; then what is published waits in ZeroMQ, and beyond that comes from the memory ring."""

HIGH_WATER_MARK = 100_000
WARN_EVERY_S = 60.0

_HEARTBEAT = f"{HEARTBEAT_TOPIC} ".encode()
_log = structlog.get_logger(__name__)


class RingKeeping:
    """The ring, the subscription that it is filled from, and the socket that it is given away at. Make it inside the running loop."""

    def __init__(self, settings: DiskRingSettings) -> None:
        self.ring = DiskRing(Path(settings.folder), settings.max_bytes, int(settings.max_age_s * 1e9))
        self.ring.recall()
        self.keeper = FrameKeeper(*self.ring.stands())
        self.frames = 0
        """Written so far."""
        self.write_failures = 0
        self.error = ""
        """Why nothing can be written now."""
        self._failed: FrameBlock | None = None
        """It could not be written, and is tried again; what comes meanwhile is not taken."""
        self._warned_s = -WARN_EVERY_S
        self._prefixes = settings.prefixes
        self._heartbeat = (0, 0)
        self._unanswered: set[bytes] = set()
        """Prefixes whose newest sequences were asked for."""
        self._asked_s = 0.0
        self._writing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="disk-ring-writer")
        self._context, self._asking, *unused = open_sockets(settings.snapshot_endpoint, None, HIGH_WATER_MARK)
        for socket in unused:
            socket.close()
        self._published = PublishedSocket(
            self._context, settings.endpoint, settings.prefixes, HIGH_WATER_MARK, live=True
        )
        self._server_context: Context = zmq.Context()
        self.server = DiskRingServer(
            self._server_context,
            settings.disk_ring_endpoint,
            self.ring,
            policy=msgspec.structs.replace(POLICY, connections=settings.connections),
            screened_in=settings.screened_in,
        )
        self._replies = SocketWatcher(self._asking, self._take_replies)

    def start(self) -> None:
        """Begin to take what is published, and to answer."""
        self._published.watch(self._take)
        self._replies.start()
        self.server.start()

    # ── in ──────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self) -> bool:
        if self._is_full:
            return False  # until one has been written
        now_ns, receive, take = time.monotonic_ns(), self._published.socket.recv, self.keeper.take
        try:
            for _ in range(FRAMES_A_TURN):
                frame = receive(NOBLOCK)
                if frame.startswith(_HEARTBEAT):
                    self._hear_heartbeat(frame)
                elif self._failed is None:
                    try:
                        take(frame, now_ns)
                    except wire.WireError as error:
                        _log.error("batch_unreadable", error=str(error))
        except zmq.Again:
            return False
        finally:
            if self.keeper.blocks:
                self.write()
        return True

    @property
    def _is_full(self) -> bool:
        """Whether enough waits to be written; then neither what is published is taken nor what was asked of the memory ring, and no hole given up."""
        return self.keeper.blocks >= MOST_BLOCKS

    def _hear_heartbeat(self, frame: bytes) -> None:
        _, epoch, sequence, _ = wire.read_place(frame)
        if self._failed is None and self.keeper.enter(epoch) and self._heartbeat != (epoch, sequence - 1):
            self._ask_for_newest()
        self._heartbeat = (epoch, sequence)

    def _take_replies(self) -> bool:
        now_ns = time.monotonic_ns()
        for _ in range(8):
            if self._is_full or not readable(self._asking):
                return False
            word, *rest = self._asking.recv_multipart(zmq.NOBLOCK)
            if self._failed is not None:
                continue
            try:
                self._hear_reply(word, rest, now_ns)
            except (msgspec.MsgspecError, wire.WireError, IndexError, ValueError) as error:
                _log.error("reply_unreadable", error=str(error))
        self._ask(now_ns)
        return True

    def _hear_reply(self, word: bytes, rest: list[bytes], now_ns: int) -> None:
        if word == replay_server.SINCE:
            epoch, first, newest = replay_server.unpack_since(rest[1])
            self.keeper.replayed(rest[0].decode(), epoch, first, newest, rest[2:], now_ns)
        elif word == replay_server.NEWEST:
            epoch, newest_of = replay_server.unpack_newest(rest[1])
            if epoch == self.keeper.epoch:
                self._unanswered.discard(rest[0])
                self.keeper.behind(epoch, newest_of, now_ns)

    def _ask_for_newest(self) -> None:
        """Anything may have been published unheard."""
        self._unanswered, self._asked_s = {prefix.encode() for prefix in self._prefixes}, -AGAIN_S

    def ask(self) -> None:
        """Ask the memory ring for what is missing; call it every ``ASK_S``."""
        now_ns = time.monotonic_ns()
        if self._failed is not None or self._is_full:
            return
        self.keeper.tick(now_ns)
        if self._unanswered and now_ns / 1e9 - self._asked_s >= AGAIN_S:
            self._asked_s = now_ns / 1e9
            for prefix in self._unanswered:
                self._say(replay_server.NEWEST, prefix)
        self._ask(now_ns)
        self._replies.kick()  # a question sent may swallow the sign that an answer has come

    def _ask(self, now_ns: int) -> None:
        for _, (topic, sequence) in zip(range(QUESTIONS_A_TURN), self.keeper.questions(now_ns), strict=False):
            self._say(replay_server.SINCE, topic, replay_server.pack(sequence))

    def _say(self, *frames: bytes) -> None:
        with contextlib.suppress(zmq.Again):  # asked again
            self._asking.send_multipart(frames, zmq.NOBLOCK)

    # ── out ─────────────────────────────────────────────────────────────────────────────────────────────

    def write(self) -> None:
        """Write what waits, if nothing is being written; call it every ``WRITE_S``."""
        if self._writing is None or self._writing.done():
            self._writing = beside(self._write(), "disk_ring", lambda: None)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            block = self._failed or self.keeper.cut()
            try:
                if block is None:
                    await loop.run_in_executor(self._thread, self.ring.expire, time.time_ns())
                    return
                await loop.run_in_executor(self._thread, self.ring.append, block, time.time_ns())
            except RingFilesGone as error:
                self._begin_again(error)
                return
            except OSError as error:
                self._fail(block, error)
                return
            self.frames += sum(len(own.frames) for own in block.topics.values())
            if self._failed is not None:
                self._failed, self.error = None, ""
                _log.info("disk_ring_goes_on", note="what it lacks is asked of the memory ring")
                self._ask_for_newest()
            self._published.kick()
            self._replies.kick()
            if not self.keeper.blocks:
                return

    def _fail(self, block: FrameBlock | None, error: OSError) -> None:
        self.write_failures += 1
        self.error = error.strerror or str(error)
        now_s = time.monotonic()
        if now_s - self._warned_s >= WARN_EVERY_S:
            self._warned_s = now_s
            _log.error("disk_ring_not_written", error=str(error), total=self.write_failures, then="it is tried again")
        if block is not None and self._failed is None:
            self._failed = block
            self.keeper.back_to(block.epoch, self._through(block))

    def _begin_again(self, error: RingFilesGone) -> None:
        """It holds less than it did: what the memory ring still has of that is asked for, and comes before all else."""
        _log.error("ring_files_gone", error=str(error), note="what the memory ring has of them is written again")
        epoch, sequences = self.ring.stands()
        self._failed, self.error = None, ""
        self.keeper.back_to(self.keeper.epoch, sequences if epoch == self.keeper.epoch else {})
        self._ask_for_newest()

    def _through(self, block: FrameBlock) -> Mapping[str, int]:
        """Where the topics stand with this block, and without all that was taken after it."""
        epoch, sequences = self.ring.stands()
        own = {topic.decode(): frames.last for topic, frames in block.topics.items()}
        return {**sequences, **own} if epoch == block.epoch else own

    def status(self) -> DiskRingStatus:
        """How it stands now."""
        return DiskRingStatus(
            bytes=self.ring.size,
            oldest_age_s=round(self.oldest_age_s, 1),
            frames=self.frames,
            holes=self.keeper.holes,
            write_failures=self.write_failures,
            error=self.error,
        )

    @property
    def oldest_age_s(self) -> float:
        """How far back it goes, in seconds."""
        oldest_ns = self.ring.oldest_ns
        return max(0.0, (time.time_ns() - oldest_ns) / 1e9) if oldest_ns else 0.0

    async def close(self) -> None:
        """Write what waits, and close all."""
        self._replies.stop()
        self._published.close()
        if self._writing is not None:
            await asyncio.wait({self._writing})
        if self._failed is None:
            await self._write()
        self._thread.shutdown()
        self.ring.close()
        self._asking.close()
        self._context.term()
        self.server.close()
        self._server_context.term()
        await self.server.port.settle()
