"""Owns what the aggregator tells of those who read it: how many there are, how far each is behind, and who was cut."""

from __future__ import annotations

import msgspec

from k2workers.processes.child_status import PeerCut, ReaderTold, SubscriberBehind, Subscribers
from k2workers.transport.publisher import Publisher
from k2workers.transport.readers import MAX_READERS
from k2workers.transport.replay_server import ReplayServer

MAX_NAMED = 20
"""So many are told one by one at most."""


def shown(publisher: Publisher, snapshots: ReplayServer, now_ns: int) -> Subscribers:
    """For ``/status``: those furthest behind first."""
    watch, asking = publisher.watch, snapshots.watch
    return Subscribers(
        connected=len(watch.peers),
        behind=[SubscriberBehind(peer.name, peer.owed) for peer in watch.behind[:MAX_NAMED]],
        readers=[
            ReaderTold(one.name, one.waiting, one.lost) for one in snapshots.readers.furthest_behind(MAX_NAMED, now_ns)
        ],
        cut=(watch.cuts + asking.cuts).total(),
        newest_cuts=msgspec.convert([*watch.newest_cuts, *asking.newest_cuts], list[PeerCut]),
    )


def counted(publisher: Publisher, snapshots: ReplayServer, now_ns: int) -> dict[str, int | dict[str, int]]:
    """The same for metrics, by their names."""
    readers = snapshots.readers.furthest_behind(MAX_READERS, now_ns)
    return {
        "k2_subscribers": len(publisher.watch.peers),
        "k2_subscribers_behind": len(publisher.watch.behind),
        "k2_subscribers_most_owed_bytes": max((peer.owed for peer in publisher.watch.behind), default=0),
        "k2_subscribers_most_waiting_batches": max((reader.waiting for reader in readers), default=0),
        "k2_subscribers_lost_batches": sum(reader.lost for reader in readers),
        "k2_peers_cut": publisher.watch.cuts + snapshots.watch.cuts,
    }
