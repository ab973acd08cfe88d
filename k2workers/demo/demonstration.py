"""Owns what only a demonstration has: the processes that it adds to the feed, where the feed finds its exchange, and what two counts prove at the end.

The parent of a run against a venue has none, and imports nothing of this package.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog

from k2workers.config import Settings
from k2workers.demo.demo_settings import ExchangeSettings, WitnessSettings
from k2workers.logs import outlet
from k2workers.logs.log import LogSettings
from k2workers.simulator import settings_struct
from k2workers.simulator.simulator_settings import StandInSettings
from k2workers.supervision.child import ChildSpec
from k2workers.supervision.stop_order import StopOrder
from k2workers.venues.topics import topic_of
from k2workers.venues.venue import StreamSpec

EXCHANGE = "exchange"
WITNESS = "witness"

Records = Mapping[tuple[str, str], Mapping[str, Any]]
"""What children told, by name and kind."""

_log = structlog.get_logger(__name__)


class Demonstration:
    """One run against embedded exchanges, one a venue, with an independent subscriber that counts for itself."""

    connects_per_window = 100_000
    """Connection attempts that the exchange allows: rotations come in seconds here, and would use up the venue's own window alone."""

    def __init__(self, settings: Settings, logs: LogSettings) -> None:
        self.source = f"demo {secrets.token_hex(8)}"
        """What a checkpoint names as its venue: the exchanges live as long as this run, and the next ones have other ids."""
        self._settings = settings
        self._logs = logs
        self._exchanges = {venue: "-".join(filter(None, (EXCHANGE, settings.apart(venue)))) for venue in settings.venue}
        """The name of each venue's process."""

    def exchange(self, venue: str, port: int = 0) -> ChildSpec:
        """The process of the embedded exchange that plays this venue, on a free port; on this one when it is started anew, for the feed looks for it there."""
        own = self._settings
        made: Callable[..., StandInSettings] = settings_struct(venue)  # which has a default for each rule of the venue
        simulator = made(
            port=port,
            rate=own.demo_rate,
            replay=tuple(own.replay),
            replay_speed=own.replay_speed,
            connects_per_window=self.connects_per_window,
        )
        return ChildSpec(
            name=self._exchanges[venue],
            target="k2workers.demo.demo_exchange:main",
            settings=ExchangeSettings(simulator=simulator, logs=self._logs),
            stop_order=StopOrder.EXCHANGE,
        )

    @staticmethod
    def addresses(listening: Mapping[str, Any]) -> tuple[str, str]:
        """Where the exchange said that it listens: its WebSocket and REST addresses."""
        return f"ws://127.0.0.1:{listening['ws_port']}", f"http://127.0.0.1:{listening['rest_port']}"

    def witness(self, endpoint: str, snapshot_endpoint: str) -> ChildSpec:
        """The independent subscriber's process."""
        settings = WitnessSettings(
            endpoint=endpoint,
            snapshot_endpoint=snapshot_endpoint,
            prefixes=tuple(f"{venue}." for venue in self._exchanges),
            logs=self._logs,
        )
        return ChildSpec(
            name=WITNESS, target="k2workers.demo.witness:main", settings=settings, stop_order=StopOrder.SUBSCRIBERS
        )

    def truth(
        self, records: Records, streams: Mapping[str, Iterable[StreamSpec]], restarts: Mapping[str, int]
    ) -> dict[str, Any]:
        """What the exchanges emitted against what the witness received, of these streams of each venue, each of a single symbol.

        ``restarts`` of all processes, by name: what an exchange or the witness had counted before its last one is not in the figures.
        """
        from k2workers.demo.witness import compare  # what it runs on is not for the parent before its end

        by_topic: dict[str, Any] = {}
        left_out: Counter[str] = Counter()
        for venue, exchange in self._exchanges.items():
            emitted = records.get((exchange, "emitted"), {})
            by_topic |= _by_topic(venue, emitted.get("topics", {}), streams.get(venue, ()))
            left_out.update(emitted.get("left_out", {}))
        received = records.get((WITNESS, "received"), {}).get("topics", {})
        counting = [*self._exchanges.values(), WITNESS]
        return {
            **compare(by_topic, received),
            "left_out": dict(left_out),
            "restarts": sum(restarts.get(name, 0) for name in counting),
        }

    def tell(self, truth: Mapping[str, Any], rotations: int, records: Records) -> None:
        """Show the user what was proven, if the witness came to its end."""
        if (WITNESS, "received") not in records:
            return
        terminal = outlet.terminal()
        if terminal is not None:
            terminal.write(f"{proof(truth, rotations)}\n")
        else:
            names = ("emitted", "received", "lost", "unannounced", "duplicated", "reordered", "restarts")
            _log.info("demonstrated", **{name: truth[name] for name in names}, rotations=rotations)


def _by_topic(venue: str, emitted: Mapping[str, Any], streams: Iterable[StreamSpec]) -> dict[str, Any]:
    """An exchange's count by stream name → by our topic."""
    return {topic_of(venue, spec.kind, spec.symbol): emitted[spec.name] for spec in streams if spec.name in emitted}


def proof(truth: Mapping[str, Any], rotations: int) -> str:
    """What a demonstration has shown, in plain words."""
    lost = f"lost {truth['lost']:,}" + (f" ({truth['unannounced']:,} of them unannounced)" if truth["lost"] else "")
    doubt = (
        "\nThe exchange or the reader was restarted meanwhile and counted from zero: these figures prove nothing."
        if truth["restarts"]
        else ""
    )
    return (
        f"The exchange emitted {truth['emitted']:,} events across {rotations:,} rotation{'s' * (rotations != 1)}.\n"
        f"An independent reader received {truth['received']:,}: {lost}, repeated {truth['duplicated']:,}, out of order {truth['reordered']:,}.{doubt}"
    )
