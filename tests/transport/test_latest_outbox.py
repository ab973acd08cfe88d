"""What a maker of latest values says: each bundle once, in order, or not at all."""

from __future__ import annotations

from k2workers.transport import bundle_protocol
from k2workers.transport.latest_outbox import LatestOutbox
from k2workers.wire import SendOutcome
from tests.transport.support import trades
from tests.transport.test_outbox import WELCOME, Line


def latest() -> Line:
    line = Line()
    line.outbox = LatestOutbox(line._send, line._kick, 10_000)
    return line


def test_what_cannot_go_at_once_is_refused_and_never_goes() -> None:
    line = latest()
    assert line.outbox.push([trades(1)]) is SendOutcome.REFUSED, "nobody has answered"
    line.outbox.greet()
    assert line.hello().first_number == 1
    line.outbox.heard(bundle_protocol.WELCOME, WELCOME)
    assert line.outbox.push([trades(2)]) is SendOutcome.SENT
    line.reads = False
    assert line.outbox.push([trades(3)]) is SendOutcome.REFUSED
    line.reads = True
    assert not line.outbox.flush()
    assert line.outbox.push([trades(4)]) is SendOutcome.SENT
    line.outbox.greet()
    assert line.said() == [bundle_protocol.HELLO, (b"B", 1), (b"B", 2), (b"P", 2)]
    assert (line.outbox.counters.bundles_refused, line.outbox.counters.kept_bytes, line.outbox.pending) == (2, 0, False)


def test_another_aggregator_is_sent_nothing_that_went_before() -> None:
    line, told = latest(), list[int]()
    line.outbox.on_welcome = lambda welcome: told.append(welcome.epoch)
    line.outbox.greet()
    line.outbox.heard(bundle_protocol.WELCOME, WELCOME)
    line.outbox.push([trades(1)])
    line.outbox.heard(bundle_protocol.numbered(bundle_protocol.ACK, 1))
    line.outbox.push([trades(2)])
    line.said()
    line.outbox.heard(bundle_protocol.CHALLENGE)
    assert line.hello().first_number == 3
    assert line.outbox.push([trades(3)]) is SendOutcome.REFUSED
    line.outbox.heard(bundle_protocol.WELCOME, WELCOME)
    assert line.outbox.push([trades(4)]) is SendOutcome.SENT
    assert line.said() == [bundle_protocol.HELLO, (b"B", 3)]
    assert told == [7, 7]


def test_a_closed_one_takes_nothing() -> None:
    line = latest()
    line.outbox.closed = True
    assert line.outbox.push([trades(1)]) is SendOutcome.CLOSED
