"""Owns the process of the embedded exchange under ``--demo``: starts it, tells its port, hands over its own count."""

from __future__ import annotations

from k2workers import event_loop
from k2workers.demo.demo_settings import ExchangeSettings
from k2workers.logs import log
from k2workers.simulator import Exchange
from k2workers.supervision.child_process import ChildProcess


def main(name: str, control_endpoint: str, settings: ExchangeSettings) -> None:
    """Entry of the process."""
    log.configure(settings.logs.level, settings.logs.format, process=name)
    event_loop.run(_serve(name, control_endpoint, settings))


async def _serve(name: str, control_endpoint: str, settings: ExchangeSettings) -> None:
    async with ChildProcess(name, control_endpoint) as child:
        exchange = Exchange(settings.simulator)
        ws_port, rest_port = await exchange.start()
        child.tell("listening", {"ws_port": ws_port, "rest_port": rest_port})
        child.ready()
        child.beats()
        await child.stopping.wait()
        child.tell("emitted", {**exchange.hub.truth_report(), "left_out": dict(exchange.market.left_out)})
        await exchange.stop()
