"""k2workers keeps a market's live feed flowing: sharded workers, rotating connections, one published stream.

Parts, in reading order:

``events``, ``wire``    what a subscriber receives, and its bytes
``sequencing``          pure: ids, gaps, which copy of an event goes on, what to backfill, our own sequence numbers
``rotation``            pure: the life of one shard's connection as a table of rows, the schedule, the proof, the record
``feed``                one shard's connection: lines, and the driver that does what the table says; recovery over REST, liveness
``venues``              everything that is true of one exchange only
``transport``           ZeroMQ: push, pull (acknowledged), publish, replay ring, subscribe and reassembly
``supervision``         processes: children, restarts, budgets of connections and REST weight, the control channel
``checkpoint``          the file from which a restart continues
``metrics``             every metric in one table, and the HTTP endpoint
``every``               how anything periodic is done
``errors``              one tree of errors
``worker``, ``aggregator``, ``topology``   the process mains, and how they are put together
``simulator``           the embedded exchange
``config``, ``cli``     settings, commands

The import contract (who may know whom) stands in ``pyproject.toml``; ``scripts/check`` proves it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k2workers.errors import ConfigError, FeedSilent, K2Error
    from k2workers.events import (
        AggTrade,
        AveragePrice,
        Backfilled,
        BlockTrade,
        BookSnapshot,
        BookTicker,
        DepthUpdate,
        Event,
        Gap,
        Heartbeat,
        Kline,
        MiniTicker,
        PartialDepth,
        ReferencePrice,
        Status,
        Ticker,
        Trade,
        Void,
    )
    from k2workers.transport.position import Position
    from k2workers.transport.reassembly import Lost, MessageBatch
    from k2workers.transport.subscriber import Message, Subscriber
    from k2workers.wire import WireError

__version__ = "0.1.0"
__all__ = [
    "AggTrade",
    "AveragePrice",
    "Backfilled",
    "BlockTrade",
    "BookSnapshot",
    "BookTicker",
    "ConfigError",
    "DepthUpdate",
    "Event",
    "FeedSilent",
    "Gap",
    "Heartbeat",
    "K2Error",
    "Kline",
    "Lost",
    "Message",
    "MessageBatch",
    "MiniTicker",
    "PartialDepth",
    "Position",
    "ReferencePrice",
    "Status",
    "Subscriber",
    "Ticker",
    "Trade",
    "Void",
    "WireError",
    "__version__",
]

_HOMES = ("errors", "events", "wire", "transport.subscriber")
"""The modules that have these names, in the order in which they are looked through: the lightest first."""


def __getattr__(name: str) -> object:
    # Lazy: a worker or a test of the pure core must not pay for ZeroMQ because the package has a public name.
    if name in __all__:
        for home in _HOMES:
            module = importlib.import_module(f"k2workers.{home}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module 'k2workers' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
