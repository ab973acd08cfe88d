"""Owns what a maker of latest values keeps of what it sends: nothing. Pure.

A worker's bundles hold what comes once, and go again to an aggregator that may lack them (``outbox.py``). A latest value that went twice would take the
place of a newer one: what does not go at once is refused, and whoever made it makes it anew, as it is then.
"""

from __future__ import annotations

from k2workers.transport.outbox import Outbox
from k2workers.wire import SendOutcome


class LatestOutbox(Outbox):
    """The bundles of one life of a maker. After each greeting of an aggregator (``on_welcome``) everything is to be made anew."""

    def push_frame(self, frame: bytes) -> SendOutcome:
        """Send it, or refuse it."""
        if self.closed:
            return SendOutcome.CLOSED
        if not self.welcomed or not self._send(frame):
            self.counters.bundles_refused += 1
            return SendOutcome.REFUSED
        self._number += 1
        return SendOutcome.SENT
