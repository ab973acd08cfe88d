"""Children of a supervisor under test. Each is called as a child's ``target``; ``settings`` is what the test gives it."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from k2workers.errors import ConfigError
from k2workers.every import Every
from k2workers.supervision import control_channel, control_messages
from k2workers.supervision.child import guard_parent


def serve(name: str, endpoint: str, settings: float) -> None:
    """Use so many seconds of the processor before it serves, then beat and drain when told."""
    while time.process_time() < settings:
        pass
    asyncio.run(_serve(name, endpoint))


async def _serve(name: str, endpoint: str) -> None:
    stop = asyncio.Event()
    client = control_channel.ControlClient(name, endpoint)
    await client.start(lambda message: stop.set() if isinstance(message, control_messages.Drain) else None)
    client.send(control_messages.Ready(name))
    turns = 0
    while not stop.is_set():
        turns += 1
        client.send(control_messages.Beat(name, os.getpid(), {"lives": 1, "turns": turns}, {}))
        await asyncio.sleep(0.05)
    await client.close()


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

    client = control_channel.ControlClient(name, endpoint)
    await client.start(lambda _: None)
    client.send(control_messages.Ready(name))
    Every(0.01, fail, "broken").start()
    await asyncio.Event().wait()


def misheard(name: str, endpoint: str, _settings: float) -> None:
    """Serve, and say again and again what a parent may choke on; end when told."""
    asyncio.run(_misheard(name, endpoint))


async def _misheard(name: str, endpoint: str) -> None:
    stop = asyncio.Event()
    client = control_channel.ControlClient(name, endpoint)
    await client.start(lambda message: stop.set() if isinstance(message, control_messages.Drain) else None)
    client.send(control_messages.Ready(name))
    while not stop.is_set():
        client.send(control_messages.Record(name, "odd", {}))
        client.send(control_messages.Beat(name, os.getpid(), {}, {}))
        await asyncio.sleep(0.05)
    await client.close()


def tell_books(name: str, endpoint: str, _settings: float) -> None:
    """Say again and again which books it keeps, and report what others say."""
    asyncio.run(_tell_books(name, endpoint))


async def _tell_books(name: str, endpoint: str) -> None:
    client = control_channel.ControlClient(name, endpoint)

    def hear(message: control_messages.AnyControlMessage) -> None:
        if isinstance(message, control_messages.BooksKept):
            client.send(control_messages.Record(name, "books", {"of": message.topics[0]}))

    await client.start(hear)
    client.send(control_messages.Ready(name))
    while True:
        client.send(control_messages.BooksKept(("d.",), (name,)))
        await asyncio.sleep(0.05)


def drain_slowly(name: str, endpoint: str, settings: str) -> None:
    """Serve; once the parent is gone take some seconds to end, and write ``settings``, a file, last."""
    asyncio.run(_drain_slowly(name, endpoint, Path(settings)))


async def _drain_slowly(name: str, endpoint: str, written_last: Path) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    guard_parent(lambda: loop.call_soon_threadsafe(stop.set))
    client = control_channel.ControlClient(name, endpoint)
    await client.start(lambda _: None)
    client.send(control_messages.Ready(name))
    await stop.wait()
    await asyncio.sleep(4.0)
    written_last.write_text("done", encoding="ascii")
    await client.close()
