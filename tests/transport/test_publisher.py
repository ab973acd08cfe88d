from __future__ import annotations

import pytest
import zmq

from k2workers.errors import ConfigError
from k2workers.transport.publisher import Publisher
from tests.support.waiting import WAIT_S, wait_for


def wait_for_subscriptions(publisher: Publisher, count: int) -> None:
    wait_for("the subscription", lambda: publisher.subscriptions() == count)


def test_a_raw_subscription_with_the_space_is_exact_and_port_zero_is_reported() -> None:
    context = zmq.Context()
    publisher = Publisher(context, "tcp://127.0.0.1:0")
    assert not publisher.endpoint.endswith(":0")
    raw = context.socket(zmq.SUB)
    raw.connect(publisher.endpoint)
    raw.subscribe(b"binance.trade.BTC ")
    wait_for_subscriptions(publisher, 1)
    publisher.publish(b"binance.trade.BTCUSDT x")
    publisher.publish(b"binance.trade.BTC y")
    assert raw.poll(int(1_000 * WAIT_S))
    assert raw.recv() == b"binance.trade.BTC y"
    raw.unsubscribe(b"binance.trade.BTC ")
    wait_for_subscriptions(publisher, 0)
    raw.close(0)
    publisher.close()
    context.term()


def test_publishing_never_waits_for_a_subscriber_that_does_not_read() -> None:
    context = zmq.Context()
    publisher = Publisher(context, "tcp://127.0.0.1:0", high_water_mark=10, linger_ms=0)
    raw = context.socket(zmq.SUB)
    raw.setsockopt(zmq.RCVHWM, 10)
    raw.connect(publisher.endpoint)
    raw.subscribe(b"")
    wait_for_subscriptions(publisher, 1)
    for _ in range(5_000):  # a single one that waited would wait for ever: nobody reads meanwhile
        publisher.publish(b"t " + bytes(10_000))
    received = 0
    while (message := raw.recv() if raw.poll(10) else b"") != b"the end":
        received += bool(message)
        if not message:
            publisher.publish(b"the end")
    assert 0 < received < 5_000
    raw.close(0)
    publisher.close()
    context.term()


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:99999", "nonsense", "tcp://203.0.113.1:5555", "sctp://a:1", ""])
def test_an_endpoint_that_cannot_be_bound_is_a_config_error(endpoint: str) -> None:
    context = zmq.Context()
    with pytest.raises(ConfigError, match="publish_endpoint = "):
        Publisher(context, endpoint)
    context.term()


def test_a_port_in_use_says_so() -> None:
    context = zmq.Context()
    publisher = Publisher(context, "tcp://127.0.0.1:0")
    with pytest.raises(ConfigError, match="in use by another program"):
        Publisher(context, publisher.endpoint)
    publisher.close()
    context.term()


def test_what_is_offered_without_loss_is_refused_until_the_slowest_has_room() -> None:
    context = zmq.Context()
    publisher = Publisher(context, "tcp://127.0.0.1:0", high_water_mark=10, linger_ms=0, lossless=True)
    raw = context.socket(zmq.SUB)
    raw.setsockopt(zmq.RCVHWM, 10)
    raw.connect(publisher.endpoint)
    raw.subscribe(b"")
    wait_for_subscriptions(publisher, 1)
    offered = 0
    while publisher.offer(b"%08d" % offered + bytes(100_000)):
        offered += 1
    publisher.look()
    assert offered >= 10  # what the sender keeps, and what the receiver has read meanwhile
    received: list[int] = []
    while len(received) <= offered:
        if raw.poll(10):
            received.append(int(raw.recv()[:8]))
        elif len(received) == offered:
            assert publisher.offer(b"%08d" % offered)
    assert received == list(range(offered + 1))
    raw.close(0)
    publisher.close()
    context.term()
