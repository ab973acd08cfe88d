"""k2workers keeps a market's live feed flowing: sharded workers, rotating connections, one published stream.

Parts, in reading order:

``events``, ``continuity``, ``wire``   what a subscriber receives, what its ids prove, and its bytes
``sequencing``          pure: ids, gaps, which copy of an event goes on, what to backfill, our own sequence numbers
``rotation``            pure: the life of one route's connection as a table of rows, the schedule, the proof, the record
``feed``                one shard: for each route lines, and the driver that does what the table says; backfill over REST, silences
``venues``              ``load`` gives a venue by name, ``venue`` is what the feed needs of any; a package for what is true of one exchange only (some hold
                        only ``market_facts`` yet)
``network``             TLS, proxies, and what answers say of a venue's state
``transport``           ZeroMQ: bundles (acknowledged), publisher, replay ring, subscriber and reassembly
``supervision``         child processes: restarts, grants from the budgets of connections and REST weight, the control channel
``processes``           the parent and the main of each child: worker, aggregator, books; readiness, report, console, ``tail``
``recording``           the recorder of a feed, its files, the proof of what they hold, their replay as a feed, and their export
``doctor``, ``health``  the command that looks whether a feed could run here, and says what to do; the look from outside whether a run is well
``files``               the checkpoint from which a restart continues; directories, locks
``metrics``             every metric in one table, and the HTTP endpoint
``logs``                how logs look; the way of whatever is printed out of a process, which waits for no reader
``every``, ``event_loop``, ``backoff``   how anything periodic is done, what event loop a process runs, how far apart retries grow
``simulator``           the embedded exchange: what any stand-in has; a package for each venue that it stands in for
``demo``                what only a demonstration has: its processes, and the parent's part
``config``, ``cli``     every setting with its default, bounds and words; commands (the flags are the settings)
``setting``, ``setting_rules``, ``setting_owners``, ``setting_sources``, ``setting_pages``   how any setting is described and read; rules of single
                        ones; whose one is; what file and environment say; ``config/`` made from the list
``early_stop``          what a signal does before a command has handlers of its own
``errors``              one tree of errors

The import contract (who may know whom) stands in ``pyproject.toml``; ``scripts/check`` proves it. ``ARCHITECTURE.md`` next to this file is the
way through all of it in ten minutes.

Words, each with one meaning:

``venue``                  one market of an exchange
``stream``                 the venue's name of one flow: ``btcusdt@trade``
``topic``, ``topic index`` our name of one flow: ``binance.trade.BTCUSDT``; its place in the codec's list of topics, the key inside a worker
``shard``                  the symbols that one worker serves
``book``, ``whole``, ``stale`` the levels of one symbol; said of a book of which nothing is missing, and of a topic whose reader has such a one; said of one of
                        which changes are missing
``route``                  what a venue serves some kinds of streams over; a shard has a driver for each, and most venues have one
``line``                   one WebSocket connection of a shard's route: primary or standby
``lane``                   one topic in the arbiter, which lets the first good copy of each event through (trades: ``chain_lane``)
``hole``, ``gap``, ``void`` ids or batches that were not received; a hole that was announced as a ``Gap``; ids that never existed
``missing``                said of the ids in a hole or a gap
``given up``, ``closed``   ids that nobody asks for any longer; ids, void or given up, for which an event would still be new
``reset``, ``numbering``   the venue's ids of a topic begin anew; the ids between two of these, which alone can be compared
``backfill``               fetching the events of holes and gaps over REST, in a worker
``repair``                 filling a hole or gap later: in a worker by a backfill, in a subscriber from the replay ring
``replay ring``, ``disk ring``  what was published in the last minutes, in the aggregator's memory (beside the other one: the memory ring); in the last
                        hours, in files
``batch``, ``bundle``      consecutive events of one topic; the batches that a worker sends together
``take``                   to accept what is handed in; what is given out is popped or next
``position``               what a subscriber saves to continue later; ``published position``: how far the aggregator has published a topic
``offset``                 a place in a buffer
``request``, ``grant``, ``budget``  what a child asks its parent for; the parent's permission; the allowance per IP that it comes from
``pool``                   REST weight of an IP that several venues count together
``slot``, ``turn``         when a connection is due for rotation; the permission to rotate, which one has at a time
``gate``, ``pause``        where refusals of the venue are remembered; the time in which a service is not used after one
``life``                   one run of a process; a restarted worker or aggregator is another life of it
``epoch``, ``sequence``    one life of the aggregator; the number of a batch within its topic and epoch
``continuity``, ``guarantee``  how the ids of a topic follow each other; what that lets a subscriber rely on
``row``, ``journal``       one thing of a recording, in the order in which it was taken; where it goes before it is in a file
``message``, ``event``     bytes or JSON from the venue; one decoded fact (the public ``Message`` is one event with its topic)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k2workers.book_events import BookLevels, BookTop
    from k2workers.continuity import Continuity, Guarantee, Identity, Link, Proof, Repair, Scope
    from k2workers.errors import ConfigError, FeedSilent, K2Error
    from k2workers.events import (
        AggTrade,
        AveragePrice,
        Backfilled,
        BlockTrade,
        BookSnapshot,
        BookTicker,
        ContinuousKline,
        DepthUpdate,
        Event,
        Gap,
        GivenUp,
        Heartbeat,
        Kline,
        MiniTicker,
        PartialDepth,
        ReferencePrice,
        Reset,
        Status,
        Ticker,
        Trade,
        Void,
    )
    from k2workers.futures_events import (
        AssetIndex,
        CompositeIndex,
        ContractInfo,
        FundingRate,
        FuturesAggTrade,
        FuturesTrade,
        LinkedDepthUpdate,
        Liquidation,
        MarkPrice,
        OpenInterest,
        TimedBookTicker,
        TimedPartialDepth,
    )
    from k2workers.transport.deliveries import Lost, MessageBatch, MessageColumns
    from k2workers.transport.items import Message
    from k2workers.transport.kept_books import Book
    from k2workers.transport.position import Position
    from k2workers.transport.subscriber import Subscriber
    from k2workers.wire import WireError

__version__ = "0.2.0"
__all__ = [
    "AggTrade",
    "AssetIndex",
    "AveragePrice",
    "Backfilled",
    "BlockTrade",
    "Book",
    "BookLevels",
    "BookSnapshot",
    "BookTicker",
    "BookTop",
    "CompositeIndex",
    "ConfigError",
    "Continuity",
    "ContinuousKline",
    "ContractInfo",
    "DepthUpdate",
    "Event",
    "FeedSilent",
    "FundingRate",
    "FuturesAggTrade",
    "FuturesTrade",
    "Gap",
    "GivenUp",
    "Guarantee",
    "Heartbeat",
    "Identity",
    "K2Error",
    "Kline",
    "Link",
    "LinkedDepthUpdate",
    "Liquidation",
    "Lost",
    "MarkPrice",
    "Message",
    "MessageBatch",
    "MessageColumns",
    "MiniTicker",
    "OpenInterest",
    "PartialDepth",
    "Position",
    "Proof",
    "ReferencePrice",
    "Repair",
    "Reset",
    "Scope",
    "Status",
    "Subscriber",
    "Ticker",
    "TimedBookTicker",
    "TimedPartialDepth",
    "Trade",
    "Void",
    "WireError",
    "__version__",
]

_HOMES = ("errors", "continuity", "events", "futures_events", "book_events", "wire", "transport.subscriber")
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
