"""Owns the recorder: a subscriber with a saved position that writes what it takes into the journal, and the position with it.

It ends at any moment without a hole or a repeat: the journal says from where the feed is asked to go on. What the feed no longer has by then is a row too (``Loss``). While there is no
room on the disk nothing is taken, and then it goes on in the same way.
"""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import msgspec
import structlog

from k2workers import event_loop, wire
from k2workers.continuity import Continuity
from k2workers.errors import ConfigError
from k2workers.events import HEARTBEAT_TOPIC
from k2workers.files.lock_file import LockFile
from k2workers.recording import journal, layout
from k2workers.recording.converter import Converter
from k2workers.recording.journal import Journal
from k2workers.recording.journal_records import BATCH, LOSS, RESTART
from k2workers.recording.row import FEED_RESTARTED, RECORDER_RESTARTED, Loss, Restart
from k2workers.transport.deliveries import Lost, MessageBatch
from k2workers.transport.position import Position
from k2workers.transport.subscriber import Subscriber

COMMIT_S = 1.0
"""How often what was taken is written to the disk, with the position, and made to last (fsync), if it is as much as the position."""

COMMIT_LATEST_S = 5.0
"""So often at least: of thousands of topics a position has half a megabyte, and is not written every second for a few events."""

COMMIT_BYTES = 8 * 2**20
"""So much is not kept in memory: it is written at once."""

ROOM_CHECK_S = 1.0

_log = structlog.get_logger(__name__)


class RecorderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What to record, from where, and how long a segment, and so a file, may be."""

    to: Path
    topics: tuple[str, ...]
    endpoint: str
    snapshot_endpoint: str
    books_endpoint: str
    disk_ring_endpoint: str = ""
    file_s: float = 3600.0
    file_bytes: int = 256 * 2**20
    """Of the journal; its files are some tenth of it."""


class Recorder:
    """Make it once, and ``run`` it. Raises ConfigError for a directory that is another recorder's or cannot be written."""

    def __init__(self, settings: RecorderSettings) -> None:
        self.stopping = asyncio.Event()
        self._settings = settings
        self._lives: dict[str, int | None] = {}
        """The epoch in which each topic was heard last; None if that was in an earlier session."""
        self._numbers: dict[str, tuple[Continuity, int]] = {}
        self._segment_s = self._committed_s = time.monotonic()
        self._events = self._losses = 0
        self._waiting_events = 0
        """Those that were not committed."""
        self._lock = LockFile(settings.to / layout.LOCK)
        try:
            settings.to.mkdir(parents=True, exist_ok=True)
            owner = self._lock.take()
            if owner:
                raise ConfigError(
                    f"to = '{settings.to}': another recorder writes there, {owner}; allowed: a directory of its own (flag --to)"
                )
            self._journal = Journal(journal.folder_of(settings.to), lambda: layout.newest_segment(settings.to))
        except OSError as error:
            raise ConfigError(
                f"to = '{settings.to}': cannot be written ({error.strerror}); allowed: a directory that can (flag --to)"
            ) from None
        self._converter = Converter(settings.to)

    async def run(self) -> bool:
        """Record until ``stopping``. Whether everything that was taken is in files."""
        _log.info(
            "recording",
            to=str(self._settings.to),
            topics=list(self._settings.topics),
            resumed=bool(self._journal.position),
            cut_bytes=self._journal.cut_bytes,
        )
        while not self.stopping.is_set():
            try:
                self._end_segment()
                await self._session()
            except OSError as error:
                await self._await_room(error)
        ended = True
        try:
            self._end_segment()
        except OSError as error:
            ended = False
            _log.error(
                "recording_unfinished",
                error=str(error),
                note="the rest is in the journal; the next start makes files of it",
            )
        done = await self._converter.finish(self._journal.number) and ended
        _log.info("recorded", events=self._events, losses=self._losses, files=done)
        self._journal.close()
        self._lock.close()
        return done

    async def _session(self) -> None:
        """Take until the end, or until OSError."""
        settings = self._settings
        position = Position.from_bytes(self._journal.position) if self._journal.position else None
        self._lives = dict.fromkeys(position.topics if position is not None else ())
        self._waiting_events = 0
        async with Subscriber(
            settings.topics, settings.endpoint, snapshot_endpoint=settings.snapshot_endpoint, books_endpoint=settings.books_endpoint,
            disk_ring_endpoint=settings.disk_ring_endpoint, position=position, on_feed=_tell_of_feed, name=f"record {settings.to}",
        ) as subscriber:  # fmt: skip
            following = asyncio.create_task(self._follow(subscriber))
            stopping = asyncio.create_task(self.stopping.wait())
            try:
                while not self.stopping.is_set():
                    await asyncio.wait({following, stopping}, timeout=COMMIT_S)
                    if following.done():
                        following.result()
                    if self.stopping.is_set() or self._is_due():
                        self._commit(subscriber)
            finally:
                following.cancel()
                stopping.cancel()
                await asyncio.gather(following, stopping, return_exceptions=True)

    def _is_due(self) -> bool:
        """Whether what was taken is worth a position."""
        enough = self._journal.waiting >= len(self._journal.position)
        return enough or time.monotonic() - self._committed_s >= COMMIT_LATEST_S

    async def _follow(self, subscriber: Subscriber) -> None:
        async for item in subscriber.batches(frames=True):
            self._take(item, subscriber.epoch)
            if self._journal.waiting >= COMMIT_BYTES:
                self._commit(subscriber)

    def _take(self, item: MessageBatch | Lost, epoch: int | None) -> None:
        topic = item.topic
        if topic == HEARTBEAT_TOPIC:
            return
        if self._lives.get(topic, epoch) != epoch:
            cause = RECORDER_RESTARTED if self._lives[topic] is None else FEED_RESTARTED
            self._journal.append(RESTART, msgspec.msgpack.encode((topic, Restart(cause, time.time_ns()))))
        self._lives[topic] = epoch
        if isinstance(item, Lost):
            self._losses += 1
            self._journal.append(LOSS, msgspec.msgpack.encode((topic, Loss.of(item, time.time_ns()))))
            return
        self._waiting_events += len(item.events)
        self._journal.append(BATCH, item.frame or self._frame_of(item, epoch or 0))

    def _frame_of(self, item: MessageBatch, epoch: int) -> bytes:
        """A batch that is not given as it came, as if it had been published so."""
        continuity, number = self._numbers.get(item.topic, (None, 0))
        if continuity is not item.continuity:
            number = item.continuity.number
            self._numbers[item.topic] = item.continuity, number
        batch = wire.batch_of(item.topic, item.events, number)
        return wire.publication(batch, epoch=epoch, sequence=item.sequence, publish_ns=item.publish_ns)

    def _commit(self, subscriber: Subscriber) -> None:
        """Write what was taken, with the position after it. Raises OSError."""
        self._committed_s = time.monotonic()
        self._journal.commit(subscriber.position().to_bytes())
        self._events += self._waiting_events
        self._waiting_events = 0
        self._converter.look(self._journal.number)
        if (
            self._journal.bytes >= self._settings.file_bytes
            or time.monotonic() - self._segment_s >= self._settings.file_s
        ):
            self._end_segment()

    def _end_segment(self) -> None:
        """Begin another, unless there is nothing in this one. Raises OSError."""
        self._segment_s = time.monotonic()
        if self._journal.holds_something:
            self._journal.roll(self._journal.position)

    async def _await_room(self, error: OSError) -> None:
        """Nothing could be written: wait until that has changed, or for the end."""
        _log.error(
            "recording_stopped",
            to=str(self._settings.to),
            error=str(error),
            note="nothing is taken until there is room; then it goes on from where it stopped",
        )
        has_room = False
        while not has_room and not self.stopping.is_set():
            try:
                async with asyncio.timeout(ROOM_CHECK_S):
                    await self.stopping.wait()
            except TimeoutError:
                has_room = self._journal.has_room()
        self._journal.forget()
        if has_room:
            _log.warning("recording_resumed", to=str(self._settings.to))


def _tell_of_feed(speaks: bool) -> None:
    if speaks:
        _log.info("feed_heard")
    else:
        _log.warning("feed_silent", note="nothing is heard where the feed should publish")


def record(settings: RecorderSettings) -> int:
    """Record until SIGTERM, SIGINT or SIGHUP; the exit code: 1 if something is not in files yet."""
    return event_loop.run(_record(settings))


async def _record(settings: RecorderSettings) -> int:
    recorder = Recorder(settings)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, recorder.stopping.set)
    return 0 if await recorder.run() else 1
