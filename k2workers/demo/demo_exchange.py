"""Owns the process of the embedded exchange under ``--demo``: starts it, tells its port, hands over its own count."""

from __future__ import annotations

import asyncio
import os

from k2workers import event_loop
from k2workers.demo.demo_settings import ExchangeSettings
from k2workers.every import Every
from k2workers.logs import log
from k2workers.simulator import Exchange
from k2workers.supervision import control_channel, control_messages
from k2workers.supervision.child import guard_parent


def main(name: str, control_endpoint: str, settings: ExchangeSettings) -> None:
    """Entry of the process."""
    log.configure(settings.logs.level, settings.logs.format, process=name)
    event_loop.run(_serve(name, control_endpoint, settings))


async def _serve(name: str, control_endpoint: str, settings: ExchangeSettings) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    guard_parent(lambda: loop.call_soon_threadsafe(stop.set))
    client = control_channel.ControlClient(name, control_endpoint)
    await client.start(control_channel.ending(stop))
    exchange = Exchange(settings.simulator)
    ws_port, rest_port = await exchange.start()
    client.send(control_messages.Record(name, "listening", {"ws_port": ws_port, "rest_port": rest_port}))
    client.send(control_messages.Ready(name))
    beating = Every(1.0, lambda: client.send(control_messages.Beat(name, os.getpid(), {}, {})), "beat")
    beating.start()
    await stop.wait()
    emitted = {**exchange.hub.truth_report(), "left_out": dict(exchange.market.left_out)}
    client.send(control_messages.Record(name, "emitted", emitted))
    beating.stop()
    await exchange.stop()
    await client.close()
