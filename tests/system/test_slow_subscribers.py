"""Subscribers that do not read: bounded in bytes, named, cut loose and told; nobody else feels anything."""

from __future__ import annotations

import contextlib
import json
import signal

import psutil

from k2workers import Message, PartialDepth, Subscriber
from tests.support.hostile import PONG, Hostile, subscription
from tests.support.venue import Venue
from tests.system.support import Program, feed, free_port, wait_for

RING_MB = 1
MOST_BYTES = 40 * 2**20
"""That the aggregator may grow by."""

LEVELS = [["1.00000000", "1.00000000"]] * 1_000
PREFIX = "binance.partial_depth_20."


class Books:
    """Sends large books, and reads them in peace with the trades beside them."""

    def __init__(self, venue: Venue, reader: Subscriber) -> None:
        self.last = 0
        self._venue = venue
        self._reader = reader

    def sent(self) -> bool:
        """Some more, each of which arrives."""
        for number in range(self.last + 1, self.last + 21):
            book = {"lastUpdateId": number, "bids": LEVELS, "asks": []}
            self._venue.send(json.dumps({"stream": "aaausdt@depth20@100ms", "data": book}))
        end = self.last + 20
        while self.last < end:
            item = next(self._reader)
            assert isinstance(item, Message), item
            if isinstance(item.event, PartialDepth):
                self.last += 1
                assert item.event.last_update_id == self.last
        return True


def test_a_subscriber_that_does_not_read_is_cut_loose_and_told_and_the_others_feel_nothing() -> None:
    publish, replay = free_port(), free_port()
    endpoint, snapshot = f"tcp://127.0.0.1:{publish}", f"tcp://127.0.0.1:{replay}"
    with (
        Venue(["AAAUSDT"]) as venue,
        feed(
            venue, "--streams", "trade,partial_depth_20", shards=1, publish=publish, replay=replay,
            K2_REPLAY_RING_MB=str(RING_MB),
        ) as program,
        Subscriber(["binance."], endpoint, snapshot_endpoint=snapshot, books_endpoint=None) as reader,
        Program("tail", PREFIX, "--endpoint", endpoint, "--snapshot-endpoint", snapshot) as slow,
        contextlib.ExitStack() as stack,
    ):  # fmt: skip
        books = Books(venue, reader)
        assert next(reader)
        raw = stack.enter_context(Hostile(endpoint, receive_buffer=4_096))
        wait_for("the slow one's first events", lambda: books.sent() and any(PREFIX in line for line in slow.raw))
        aggregator = psutil.Process(program.pid_of("aggregator"))
        before = aggregator.memory_info().rss
        slow.process.send_signal(signal.SIGSTOP)
        raw.send(subscription(PREFIX.encode()))
        cut = {"peer": f"127.0.0.1:{raw.port}", "port": "publish_endpoint", "cause": "slow"}

        def is_cut() -> bool:
            with contextlib.suppress(OSError):
                raw.send(PONG)  # else ZeroMQ itself gives it up one day
            books.sent()
            return cut in program.status()["subscribers"]["newest_cuts"]

        wait_for("the end of the connection", is_cut)
        assert aggregator.memory_info().rss - before < MOST_BYTES
        # The kernel keeps more for the other one, whose buffer grows.
        cuts = "k2_peers_cut_total"
        wait_for("the end of both", lambda: books.sent() and sum(program.metrics(cuts).values()) > 1)
        slow.process.send_signal(signal.SIGCONT)
        wait_for("the word that something is lost", lambda: books.sent() and any("LOST" in line for line in slow.raw))
        told = len(slow.raw)
        wait_for("more events", lambda: books.sent() and any("PartialDepth" in line for line in slow.raw[told:]))
        slow.stop()
        assert reader.counters.lost_batches == 0
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw)
