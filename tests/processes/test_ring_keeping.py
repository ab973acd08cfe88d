"""What is published is kept on the disk, and given to subscribers that were away: real sockets, real files, one loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zmq
from structlog.testing import capture_logs

from k2workers import ConfigError, Lost, Position, Subscriber, wire
from k2workers.events import Heartbeat
from k2workers.processes import ring_keeping
from k2workers.processes.child_settings import DiskRingSettings
from k2workers.processes.ring_keeping import RingKeeping
from k2workers.transport.publisher import Publisher
from k2workers.transport.replay_server import ReplayServer
from k2workers.transport.ring import ReplayRing
from k2workers.transport.subscriber import READY_LIMIT
from tests.support.batches import batch_of
from tests.support.told import LOGS
from tests.support.waiting import WAIT_S, until
from tests.transport.support import published

A, B = "binance.trade.A", "binance.trade.B"


class Feed:
    """A publisher with a memory ring of ``ring_bytes``, and the disk ring's keeping beside it. Sequences and ids count on through its lives."""

    def __init__(self, folder: Path, *, ring_bytes: int = 20_000, keeps: bool = True) -> None:
        self.folder = folder
        self.ring_bytes = ring_bytes
        self.epoch = 0
        self.ids = {A: 0, B: 0}
        self.keeping: RingKeeping | None = None
        self._heart = asyncio.create_task(self._beat())
        self.keeps = keeps
        self.publish = self.replay = "tcp://127.0.0.1:*"
        self.live()
        if keeps:
            self.keep()

    def live(self) -> None:
        """A life begins, at the same place."""
        self.epoch += 1
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.sequences = {A: 0, B: 0}
        self.beats = 0
        self.publisher = Publisher(self.context, self.publish)
        self.ring = ReplayRing(self.ring_bytes, 10**15)
        self.server = ReplayServer(self.context, self.replay, self.ring, self.epoch, disk_ring=self.keeps)
        self.publisher.start()
        self.server.start()
        self.publish, self.replay = self.publisher.endpoint, self.server.endpoint

    async def die(self) -> None:
        self.publisher.close()
        self.server.close()
        await asyncio.to_thread(self.context.term)

    def keep(self) -> None:
        settings = DiskRingSettings(
            endpoint=self.publish, snapshot_endpoint=self.replay, disk_ring_endpoint="tcp://127.0.0.1:*",
            prefixes=("binance.", "status."), folder=str(self.folder), max_bytes=10**8, max_age_s=3600.0, environment="test", logs=LOGS,
        )  # fmt: skip
        self.keeping = RingKeeping(settings)
        self.keeping.start()
        self._duties = asyncio.create_task(self._work(self.keeping))

    async def _work(self, keeping: RingKeeping) -> None:
        while True:
            keeping.ask()
            keeping.write()
            await asyncio.sleep(0.02)

    async def stop_keeping(self) -> None:
        assert self.keeping is not None
        self._duties.cancel()
        await self.keeping.close()
        self.keeping = None

    async def _beat(self) -> None:
        while True:
            if not self.publisher.port._socket.closed:
                self.beats += 1
                batch = batch_of("heartbeat", [Heartbeat(1)])
                frame = wire.publication(batch, epoch=self.epoch, sequence=self.beats, publish_ns=1)
                self.publisher.publish(frame)
            await asyncio.sleep(0.01)

    def send(self, count: int, *topics: str, at: int | None = None) -> None:
        """So many batches of each, one id each."""
        for _ in range(count):
            for topic in topics or (A, B):
                self.ids[topic] += 1
                self.sequences[topic] += 1
                at_ns = time.time_ns() if at is None else at
                frame = published(
                    self.sequences[topic], self.ids[topic], topic=topic, epoch=self.epoch, publish_ns=at_ns
                )
                self.ring.put(topic, self.sequences[topic], frame, time.monotonic_ns())
                self.publisher.publish(frame)

    async def kept(self) -> None:
        """Until all of it is on the disk."""

        def all_of_it() -> bool:
            assert self.keeping is not None
            epoch, stands = self.keeping.ring.stands()
            sent = {topic: sequence for topic, sequence in self.sequences.items() if sequence}
            return epoch == self.epoch and {topic: stands.get(topic) for topic in sent} == sent

        await until(all_of_it, "all of it is on the disk")

    async def heard(self) -> None:
        """Until the disk ring's keeping hears this life."""
        await until(lambda: self.keeping is not None and self.keeping.keeper.epoch == self.epoch)

    def subscriber(self, topics: Sequence[str] = ("binance.",), **settings: Any) -> Subscriber:
        disk = self.keeping.server.endpoint if self.keeping is not None else "tcp://127.0.0.1:9"
        known = {"snapshot_endpoint": self.replay, "books_endpoint": None, "disk_ring_endpoint": disk, **settings}
        return Subscriber(topics, self.publish, **known)

    async def close(self) -> None:
        if self.keeping is not None:
            await self.stop_keeping()
        self._heart.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._heart
        await self.die()


@pytest.fixture
async def feed(tmp_path: Path) -> AsyncIterator[Feed]:
    made = Feed(tmp_path / "ring")
    yield made
    await made.close()


class Program:
    """What a program was given: ids by topic, and losses."""

    def __init__(self, position: Position | None = None) -> None:
        self.position = position
        self.ids: dict[str, list[int]] = {A: [], B: []}
        self.lost: list[Lost] = []

    async def run(self, subscriber: Subscriber, through: dict[str, int], limit_s: float = WAIT_S) -> None:
        """Until it has these ids."""
        async with asyncio.timeout(limit_s), subscriber:
            while any(self.ids[topic][-1:] != [last] for topic, last in through.items()):
                item = await anext(subscriber.batches())
                if isinstance(item, Lost):
                    self.lost.append(item)
                else:
                    self.ids[item.topic] += [event.first_id for event in item.events]
            self.position = Position.from_bytes(subscriber.position().to_bytes())


async def begun(feed: Feed) -> Program:
    """A program that was given the first 10 of each, and is away."""
    program = Program()
    subscriber = feed.subscriber()
    async with subscriber:
        await subscriber.wait_subscribed(WAIT_S)
        feed.send(10)
        async for item in subscriber.batches():
            assert not isinstance(item, Lost)
            program.ids[item.topic] += [event.first_id for event in item.events]
            if all(len(own) == 10 for own in program.ids.values()):
                break
        await until(lambda: subscriber._reassembly.has_joined("binance."), "it has joined")
        program.position = Position.from_bytes(subscriber.position().to_bytes())
    return program


async def test_who_was_away_for_longer_than_the_memory_ring_holds_goes_on_without_a_hole(feed: Feed) -> None:
    program = await begun(feed)
    for _ in range(20):
        feed.send(50)
        await asyncio.sleep(0)
    await feed.kept()
    assert feed.ring.since(A, 1, limit_bytes=1, limit_frames=1)[0] > 500, "the memory ring no longer has it"
    feed.send(3)  # these are not on the disk yet
    await program.run(feed.subscriber(position=program.position), feed.ids)
    assert (program.ids, program.lost) == ({A: [*range(1, 1_014)], B: [*range(1, 1_014)]}, [])
    feed.send(5)
    await program.run(feed.subscriber(position=program.position), feed.ids)
    assert (program.ids[A], program.lost) == ([*range(1, 1_019)], [])


async def test_lives_that_ended_meanwhile_are_gone_through_in_their_order(feed: Feed) -> None:
    program = await begun(feed)
    for _ in range(2):
        feed.send(600)
        await feed.kept()
        await feed.die()
        feed.live()
        await feed.heard()
    feed.send(600)
    await feed.kept()
    await program.run(feed.subscriber(position=program.position), feed.ids)
    assert (program.ids, program.lost) == ({A: [*range(1, 1_811)], B: [*range(1, 1_811)]}, [])
    assert program.position is not None and set(program.position.left) == {1, 2}


@pytest.mark.parametrize("snapshot", [False, True])
async def test_a_reader_that_falls_behind_while_it_runs_reads_the_disk_too(feed: Feed, snapshot: bool) -> None:
    program = await begun(feed)
    subscriber = feed.subscriber(position=program.position, high_water_mark=100, snapshot=snapshot)
    async with subscriber:
        await subscriber.wait_subscribed(WAIT_S)
        feed.send(1, A)
        first = await anext(subscriber.batches())
        assert not isinstance(first, Lost)
        # As if it had stood still: what is published meanwhile it never hears.
        subscriber._published.socket.unsubscribe("binance.")
        await asyncio.sleep(0.1)
        feed.send(2_000)
        await feed.kept()
        subscriber._unsure = True
        got = {A: [11], B: []}
        async for item in subscriber.batches():
            assert not isinstance(item, Lost)
            got[item.topic] += [event.first_id for event in item.events]
            if (got[A][-1:], got[B][-1:]) == ([feed.ids[A]], [feed.ids[B]]):
                break
        assert got == {A: [*range(11, 2_012)], B: [*range(11, 2_011)]}
        feed.send(1)
        assert {(await anext(subscriber.batches())).topic for _ in range(2)} == {A, B}, "and is live again"


async def test_a_slow_program_holds_no_more_of_it_than_the_limit_and_can_stop_anywhere(feed: Feed) -> None:
    program = await begun(feed)
    feed.send(2 * READY_LIMIT, A)
    await feed.kept()
    for stop_at in (5_000, 12_345, feed.ids[A]):
        subscriber = feed.subscriber(position=program.position)
        most = 0
        async with asyncio.timeout(WAIT_S), subscriber:
            while program.ids[A][-1] < stop_at:
                item = await anext(subscriber.batches())
                assert not isinstance(item, Lost)
                program.ids[item.topic] += [event.first_id for event in item.events]
                most = max(most, len(subscriber._reassembly.ready))
            program.position = Position.from_bytes(subscriber.position().to_bytes())
        assert most <= READY_LIMIT + 8_000
    assert program.ids[A] == [*range(1, feed.ids[A] + 1)]


async def test_a_program_that_wants_a_time_is_given_what_was_published_from_then_on(feed: Feed) -> None:
    feed.send(300, at=10**18)
    await feed.kept()
    feed.send(300, at=2 * 10**18)
    await feed.kept()
    since = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=15 * 10**8)
    for moment in (since, 15 * 10**17):
        program = Program()
        await program.run(feed.subscriber(since=moment), feed.ids)
        assert (program.ids, program.lost) == ({A: [*range(301, 601)], B: [*range(301, 601)]}, [])


async def test_without_a_disk_ring_all_is_as_it_was(tmp_path: Path) -> None:
    feed = Feed(tmp_path, keeps=False)
    program = await begun(feed)
    feed.send(500)
    await program.run(feed.subscriber(position=program.position), feed.ids)
    assert [(lost.topic, lost.first_id) for lost in program.lost] == [(A, 11), (B, 11)]
    async with asyncio.timeout(WAIT_S), feed.subscriber(since=1) as subscriber:
        with pytest.raises(ConfigError, match="disk_ring_gb"):
            await anext(subscriber)
    with feed.subscriber(since=1) as plain, pytest.raises(ConfigError, match="disk_ring_gb"):
        await asyncio.to_thread(next, plain)
    await feed.close()


async def test_a_disk_ring_that_does_not_answer_is_gone_on_without(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("k2workers.transport.catch_up.GIVE_UP_S", 0.5)
    program = await begun(feed)
    feed.send(500)
    with capture_logs() as logs:
        await program.run(feed.subscriber(position=program.position, disk_ring_endpoint="tcp://127.0.0.1:9"), feed.ids)
    assert "disk_ring_left" in {one["event"] for one in logs}
    assert [(lost.topic, lost.first_id) for lost in program.lost] == [(A, 11), (B, 11)]


# ── how it is kept ──────────────────────────────────────────────────────────────────────────────────────────


async def test_its_own_restart_leaves_no_hole_that_the_memory_ring_can_fill(feed: Feed) -> None:
    program = await begun(feed)
    feed.send(30)
    await feed.kept()
    await feed.stop_keeping()
    feed.send(20)
    feed.keep()
    await feed.kept()
    assert feed.keeping is not None and feed.keeping.frames > 0 and feed.keeping.status().holes == 0
    await feed.stop_keeping()
    feed.send(500)
    feed.keep()
    await feed.kept()
    holes = feed.keeping.status().holes
    assert holes > 500, "what the memory ring does not have is counted"
    await program.run(feed.subscriber(position=program.position), feed.ids)
    assert [(lost.first_id, lost.last_id) for lost in program.lost if lost.topic == A] == [(61, program.ids[A][60] - 1)]
    assert sum(lost.count for lost in program.lost) == holes


async def test_while_it_cannot_write_it_answers_and_then_goes_on(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    program = await begun(feed)
    await feed.kept()
    write = os.pwrite

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    keeping = feed.keeping
    assert keeping is not None
    with capture_logs() as logs:
        feed.send(20)
        await until(lambda: keeping.status().error, "it is told")
        feed.send(20)
        await until(lambda: keeping.write_failures >= 3, "it is tried again")
        assert len(await _read_all(feed)) == 20
        monkeypatch.setattr(os, "pwrite", write)
        await feed.kept()
    assert [one["event"] for one in logs] == ["disk_ring_not_written", "disk_ring_goes_on"]
    assert (keeping.status().error, keeping.status().holes) == ("", 0)
    await program.run(feed.subscriber(position=program.position), feed.ids)
    assert (program.ids[A], program.lost) == ([*range(1, 51)], [])


async def _read_all(feed: Feed) -> list[int]:
    assert feed.keeping is not None
    from k2workers.transport.ring_block import frames_of
    from k2workers.transport.ring_places import RingCursor

    return [
        wire.read_header(one).first_id for one in frames_of(feed.keeping.ring.read(["binance."], RingCursor(0)).frames)
    ]


async def test_a_directory_that_cannot_be_made_is_told_and_tried_again(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("a file")
    feed = Feed(tmp_path / "there" / "ring")
    assert feed.keeping is not None
    keeping = feed.keeping
    with capture_logs() as logs:
        feed.send(5)
        await until(lambda: keeping.status().error, "it is told")
    assert [one["event"] for one in logs] == ["disk_ring_not_written"]
    (tmp_path / "there").unlink()
    await feed.kept()
    assert keeping.status().bytes > 0 and keeping.status().oldest_age_s < WAIT_S
    await feed.close()


async def test_a_directory_that_is_removed_is_told_and_written_again_as_far_as_the_memory_ring_goes(
    tmp_path: Path,
) -> None:
    feed = Feed(tmp_path / "ring")
    keeping = feed.keeping
    assert keeping is not None
    feed.send(5)
    await feed.kept()
    shutil.rmtree(tmp_path / "ring")
    with capture_logs() as logs:
        feed.send(5)
        await feed.kept()
    assert [one["event"] for one in logs] == ["ring_files_gone"]
    assert sorted(await _read_all(feed)) == sorted([*range(1, 11)] * 2)
    await feed.close()


async def test_what_waits_to_be_written_is_bounded(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    assert feed.keeping is not None
    await feed.heard()
    feed.send(5)
    await feed.kept()
    await until(lambda: feed.keeping is not None and feed.keeping.frames == 10)
    monkeypatch.setattr(ring_keeping, "MOST_BLOCKS", 0)
    feed.send(5)
    feed.keeping._ask_for_newest()
    await asyncio.sleep(0.3)
    assert feed.keeping.frames == 10, "it waits in ZeroMQ, and is not asked of the memory ring meanwhile"
    monkeypatch.undo()
    await feed.kept()


async def test_answers_and_frames_that_cannot_be_read_are_told(feed: Feed) -> None:
    assert feed.keeping is not None
    await until(lambda: feed.keeping is not None and feed.keeping.keeper.epoch == 1)
    with capture_logs() as logs:
        feed.publisher.publish(b"binance.trade.A nonsense")
        await until(lambda: logs, "it is told")
        feed.keeping._hear_reply(b"nothing", [], 0)
        feed.send(1)
        await feed.kept()
    assert {one["event"] for one in logs} == {"batch_unreadable"}
