"""Owns the program that holds every book of a feed against the exchange's log, beside whatever else goes on, and its handle."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from k2workers import Message, Subscriber
from tests.chaos.book_judge import BookJudge
from tests.support.waiting import WAIT_S
from tests.system.support import ROOT

TOLD = ("book_top", "book_20")
SETTINGS = {"K2_BOOK_TOPICS": ",".join(TOLD)}
"""Of the feed that is watched."""

SAVE_S = 1.0
ONE_OF = 16
"""So seldom is a book that ``Subscriber`` keeps compared level by level: for each change it would cost more than all the rest."""


class Log:
    """The exchange's file, read as it grows."""

    def __init__(self, path: Path) -> None:
        self._file = path.open(encoding="utf-8")
        self._rest = ""

    def more(self) -> Iterator[str]:
        """The lines that have come since the last call."""
        *lines, self._rest = (self._rest + self._file.read()).split("\n")
        yield from lines


class BookWatch:
    """``start`` it, ``await end()`` for its figures; ``kill`` at any time."""

    def __init__(self, prefix: str, endpoints: Sequence[str]) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="k2-book-watch-")
        """Not the feed's, whose files must not grow."""
        self.log = Path(self._directory.name) / "books.log"
        self._figures = Path(self._directory.name) / "figures.json"
        self._arguments = [str(self.log), str(self._figures), prefix, *endpoints]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """It watches as soon as ``watches``."""
        self._process = subprocess.Popen([sys.executable, "-m", "tests.chaos.book_watch", *self._arguments], cwd=ROOT)

    @property
    def watches(self) -> bool:
        """Whether it has begun."""
        return self._figures.exists()

    async def end(self) -> dict[str, Any]:
        """End it; its figures."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(self._process.wait, WAIT_S)
        assert code == 0, f"the program that watches books ended with {code}"
        return self.figures()

    def figures(self) -> dict[str, Any]:
        """As far as it has come."""
        return dict(json.loads(self._figures.read_text(encoding="utf-8")))

    def kill(self) -> None:
        """Safe to call at any time."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._directory.cleanup()


async def watch(log: Path, figures: Path, prefix: str, publish: str, replay: str, books: str) -> None:
    """Until SIGTERM."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    judge = BookJudge(Log(log).more)
    topics = [f"{prefix}{kind}." for kind in ("depth", *TOLD)] + ["status.books"]
    async with Subscriber(
        topics, publish, snapshot_endpoint=replay, books_endpoint=books, keep_books=True
    ) as subscriber:

        async def follow() -> None:
            number, epoch = 0, 0
            async for item in subscriber:
                now = subscriber.epoch or 0
                if isinstance(item, Message) and now != epoch:
                    epoch = now
                    judge.begins(item.publish_ns)
                judge.take(item)
                number += 1
                if number % ONE_OF == 0 and item.topic.startswith(topics[0]):
                    kept = subscriber.book(item.topic)
                    symbol = item.topic.removeprefix(topics[0])
                    judge.compare_kept(symbol, kept.state, kept.update_id, kept.bids, kept.asks)

        def save() -> None:
            beside = figures.with_suffix(".new")
            beside.write_text(json.dumps(judge.figures(time.time_ns()), indent=2) + "\n", encoding="utf-8")
            beside.replace(figures)

        await subscriber.wait_subscribed(WAIT_S)
        following = loop.create_task(follow())
        while not stop.is_set() and not following.done():
            save()
            stopping = loop.create_task(stop.wait())
            await asyncio.wait({stopping, following}, timeout=SAVE_S, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
        if following.done():
            following.result()
        following.cancel()
        save()


if __name__ == "__main__":
    log_path, figures_path, *where = sys.argv[1:]
    asyncio.run(watch(Path(log_path), Path(figures_path), *where))
