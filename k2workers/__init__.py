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
``worker``, ``aggregator``, ``topology``   the process mains, and how they are put together
``simulator``           the embedded exchange
``config``, ``cli``     settings, commands

The import contract (who may know whom) stands in ``pyproject.toml``; ``scripts/check`` proves it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k2workers.transport.position import Position
    from k2workers.transport.reassembly import Lost, MessageBatch
    from k2workers.transport.subscriber import Message, Subscriber

__version__ = "0.1.0"
__all__ = ["Lost", "Message", "MessageBatch", "Position", "Subscriber", "__version__"]


def __getattr__(name: str) -> object:
    # Lazy: a worker or a test of the pure core must not pay for ZeroMQ because the package has a public name.
    if name in __all__:
        from k2workers.transport import subscriber

        return getattr(subscriber, name)
    raise AttributeError(f"module 'k2workers' has no attribute {name!r}")
