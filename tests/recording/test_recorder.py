"""The recorder on a running feed: killed, without room, and beside a second one; what it wrote is whole all the same."""

from __future__ import annotations

import contextlib
import resource
import signal
from pathlib import Path

import psutil

from k2workers import Event
from k2workers.recording import journal
from k2workers.recording.conversion import convert
from k2workers.recording.verification import RecordingFound, verify
from tests.chaos.rig import Rig
from tests.recording.recorded import reached, recorder, rows
from tests.support.waiting import until, wait_for
from tests.system.support import Program, demo, free_port

KINDS = ("trade", "agg_trade", "book_ticker", "depth", "kline_1m")


def last_ids(to: Path) -> dict[str, int]:
    return {topic: at.last_id for topic, at in reached(to).topics.items()}


async def goes_on(to: Path, topics: int) -> None:
    """Until every one of so many topics of trades has got further on the disk."""
    before = {topic: last for topic, last in last_ids(to).items() if ".trade." in topic}

    def further() -> bool:
        now = {topic: last for topic, last in last_ids(to).items() if ".trade." in topic}
        return len(now) == topics and all(last > before.get(topic, -2) for topic, last in now.items())

    await until(further, "news of every topic in the journal")


def wrong(found: RecordingFound) -> list[str]:
    """What of it is not as it must be."""
    figures = [(topic.topic, day, each) for topic in found.topics for day, each in topic.days.items()]
    lines = [f"{topic} {day}: {each}" for topic, day, each in figures if each.missing or each.twice]
    broken = [f"{topic.topic}: {topic.books}" for topic in found.topics if topic.books and topic.books.files_without]
    return [*lines, *broken, *found.damaged, *found.unknown, *([] if found.whole else ["not whole"])]


async def test_killed_at_any_moment_while_the_feed_is_too_it_has_no_hole_and_no_repeat(tmp_path: Path) -> None:
    to, symbols = tmp_path / "recording", 4
    async with Rig(tmp_path, shards=2, symbols=symbols, rate=600, kinds=KINDS) as rig:

        def start() -> Program:
            return recorder(
                to, rig.publish, rig.market.prefix, "status.", replay=rig.replay, books=rig.books, file_minutes=0.05
            )

        for strike in ("nothing", "aggregator", "its conversion", "feed", "nothing"):
            with start() as program:
                await goes_on(to, symbols)
                if strike == "aggregator":
                    rig.kill(await rig.process("aggregator"))
                elif strike == "feed":
                    rig.feed.stop()
                conversions = psutil.Process(program.process.pid).children() if strike == "its conversion" else []
                program.process.kill()
                program.join()
                for conversion in conversions:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        conversion.kill()
            if strike == "feed":
                rig.start_feed()
                await rig.ready()
        with start() as program:
            await rig.settle()
            sent = {topic: count["ranges"][-1][1] for topic, count in (await rig.sent()).items() if count["ranges"]}
            await until(
                lambda: all(last_ids(to).get(topic, -2) >= last for topic, last in sent.items()), "the last events"
            )
            program.stop()
            assert program.process.returncode == 0, "".join(program.raw)
    found = verify(to)
    assert wrong(found) == []
    assert {topic.topic for topic in found.topics} >= sent.keys()
    restarts = sum(day.restarts for topic in found.topics for day in topic.days.values())
    assert restarts >= 5 * symbols
    # What neither could keep, as both ended at once, is named; all others that the exchange sent since the first one are here.
    for topic in found.topics:
        if topic.guarantee == "chained and repairable":
            first = next(
                row.event.first_id for row in rows(to)[topic.topic] if isinstance(row.event, Event) and row.sequence
            )
            counted = sum(day.expected for day in topic.days.values())
            assert counted == sent[topic.topic] - first + 1, topic


def test_without_room_it_stops_says_so_once_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    publish, replay, books = (free_port() for _ in range(3))
    to = tmp_path / "recording"
    streams = ("--symbols", "*", "--streams", "trade,depth,book_ticker")
    with demo(*streams, shards=1, publish=publish, replay=replay, books=books) as feed:
        feed.wait_ready()
        with recorder(to, publish, "binance.", replay=replay, books=books) as program:
            process = psutil.Process(program.process.pid)
            wait_for("trades in the journal", lambda: any(last > 0 for last in last_ids(to).values()))
            for times in (1, 2):
                process.rlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
                wait_for("word of no room", lambda times=times: len(program.logged("recording_stopped")) == times)
                before = last_ids(to)
                published = feed.status()["published"]
                wait_for("a thousand events more", lambda than=published: feed.status()["published"] > than + 1_000)
                assert last_ids(to) == before
                assert len(program.logged("recording_stopped")) == times
                process.rlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                wait_for("word of room", lambda times=times: len(program.logged("recording_resumed")) == times)
                wait_for("more in the journal", lambda before=before: last_ids(to) != before)
            process.rlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            wait_for("word of no room at the end", lambda: len(program.logged("recording_stopped")) == 3)
            program.stop()
            assert program.process.returncode == 1, "what is in the journal is in no file"
        (told,) = program.logged("recorded")
    assert (told["files"], len(program.logged("recording_resumed"))) == (False, 2)
    convert(to, 1 + journal.segments(journal.folder_of(to))[-1])
    found = verify(to)
    assert wrong(found) == []
    taken = [row for found_rows in rows(to).values() for row in found_rows if row.sequence is not None]
    assert len(taken) == told["events"]
    assert all(day.named == 0 for topic in found.topics for day in topic.days.values())


def test_a_second_recorder_on_a_directory_refuses_and_the_first_goes_on(tmp_path: Path) -> None:
    publish = free_port()
    with recorder(tmp_path, publish, "binance.") as first:
        wait_for("the first", lambda: first.logged("recording"))
        with recorder(tmp_path, publish, "binance.") as second:
            second.join()
            assert second.process.returncode == 2
            assert f"another recorder writes there, pid {first.process.pid}" in "".join(second.raw)
        first.stop(signal.SIGINT)
        assert first.process.returncode == 0
    assert rows(tmp_path) == {}


def test_what_the_feed_no_longer_has_is_a_hole_with_a_name(tmp_path: Path) -> None:
    publish, replay, books = (free_port() for _ in range(3))
    to = tmp_path / "recording"
    streams = ("--symbols", "*", "--streams", "trade,depth,book_ticker", "--replay-ring-s", "0.2")
    with demo(*streams, shards=1, publish=publish, replay=replay, books=books) as feed:
        feed.wait_ready()
        with recorder(to, publish, "binance.", replay=replay, books=books) as program:
            wait_for("trades in the journal", lambda: any(last > 0 for last in last_ids(to).values()))
            program.process.kill()
        before, published = last_ids(to), feed.status()["published"]
        wait_for("what the ring does not hold", lambda: feed.status()["published"] > published + 5_000)
        with recorder(to, publish, "binance.", replay=replay, books=books) as program:
            trades = [topic for topic in before if ".trade." in topic]
            wait_for("news of every topic", lambda: all(last_ids(to)[topic] > before[topic] for topic in trades))
            program.stop()
    found = verify(to)
    assert wrong(found) == []
    figures = [(topic.topic, day) for topic in found.topics for day in topic.days.values()]
    assert sum(day.named for topic, day in figures if ".trade." in topic) > 0
    assert sum(day.losses for _, day in figures) > 0
