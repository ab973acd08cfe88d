"""Children of a supervisor under test. Each is called as a child's ``target``; ``settings`` is what the test gives it."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from k2workers.errors import ConfigError
from k2workers.every import Every
from k2workers.supervision.child_process import ChildProcess
from k2workers.supervision.control_messages import AnyControlMessage, Beat, BooksKept


def serve(name: str, endpoint: str, settings: float) -> None:
    """Use so many seconds of the processor before it serves, then beat and drain when told."""
    while time.process_time() < settings:
        pass
    asyncio.run(_serve(name, endpoint))


async def _serve(name: str, endpoint: str) -> None:
    async with ChildProcess(name, endpoint) as child:
        child.ready()
        turns = 0
        while not child.stopping.is_set():
            turns += 1
            child.client.send(Beat(name, os.getpid(), {"lives": 1, "turns": turns}, {}, time.monotonic_ns()))
            await asyncio.sleep(0.05)


def serve_once(name: str, endpoint: str, mark: str) -> None:
    """Serve in the first life, which leaves the file ``mark``; hang in all others."""
    if Path(mark).exists():
        asyncio.run(asyncio.Event().wait())
    Path(mark).touch()
    asyncio.run(_serve(name, endpoint))


def serve_or_abort(name: str, endpoint: str, settings: str) -> None:
    """Serve; if ``settings`` are ``bare``, end as a library in C does that finds itself in disorder."""
    if settings == "bare":
        os.abort()
    asyncio.run(_serve(name, endpoint))


def hang(_name: str, _endpoint: str, _settings: float) -> None:
    """Wait for what never comes."""
    asyncio.run(asyncio.Event().wait())


def refuse(_name: str, _endpoint: str, _settings: float) -> None:
    """End with a mistake of the user's before it serves."""
    raise ConfigError("a_setting cannot be")


def give_up(name: str, endpoint: str, _settings: float) -> None:
    """Serve, and have a duty that fails in every turn."""
    asyncio.run(_give_up(name, endpoint))


async def _give_up(name: str, endpoint: str) -> None:
    def fail() -> None:
        raise ValueError("a defect")

    async with ChildProcess(name, endpoint) as child:
        child.ready()
        child.does(Every(0.01, fail, "broken"))
        await asyncio.Event().wait()


def misheard(name: str, endpoint: str, _settings: float) -> None:
    """Serve, and say again and again what a parent may choke on; end when told."""
    asyncio.run(_misheard(name, endpoint))


async def _misheard(name: str, endpoint: str) -> None:
    async with ChildProcess(name, endpoint) as child:
        child.ready()
        while not child.stopping.is_set():
            child.tell("odd", {})
            child.client.send(Beat(name, os.getpid(), {}, {}, time.monotonic_ns()))
            await asyncio.sleep(0.05)


def tell_books(name: str, endpoint: str, _settings: float) -> None:
    """Say again and again which books it keeps, and report what others say."""
    asyncio.run(_tell_books(name, endpoint))


async def _tell_books(name: str, endpoint: str) -> None:
    def hear(message: AnyControlMessage) -> None:
        if isinstance(message, BooksKept):
            child.tell("books", {"of": message.topics[0]})

    async with ChildProcess(name, endpoint, hear) as child:
        child.ready()
        while True:
            child.client.send(BooksKept(("d.",), (name,)))
            await asyncio.sleep(0.05)


def drain_slowly(name: str, endpoint: str, settings: str) -> None:
    """Serve; once the parent is gone take some seconds to end, and write ``settings``, a file, last."""
    asyncio.run(_drain_slowly(name, endpoint, Path(settings)))


async def _drain_slowly(name: str, endpoint: str, written_last: Path) -> None:
    async with ChildProcess(name, endpoint) as child:
        child.ready()
        await child.stopping.wait()
        await asyncio.sleep(4.0)
        written_last.write_text("done", encoding="ascii")
