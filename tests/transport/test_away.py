"""When a subscriber reads the disk ring, and when it does not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
import zmq

from k2workers.errors import ConfigError
from k2workers.transport.away import AGAIN_S, PATIENCE_S, Away, time_of
from k2workers.transport.past_reassembly import PastReassembly
from k2workers.transport.position import Position
from tests.transport.support import published

T, THERE = "binance.trade.BTCUSDT", "tcp://127.0.0.1:9"


def reassembly(*sequences: int) -> PastReassembly:
    state = PastReassembly()
    for sequence in sequences:
        state.take(published(sequence), 0)
    return state


@pytest.fixture
def socket() -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(zmq.DEALER) as made:
        made.setsockopt(zmq.LINGER, 0)
        yield made


def away(socket: zmq.Socket[bytes], state: PastReassembly, endpoint: str = THERE, since_ns: int | None = None) -> Away:
    return Away(socket, endpoint, state, ["binance."], since_ns)


def test_the_feed_is_asked_first_only_by_who_has_a_position_or_a_time(socket: zmq.Socket[bytes]) -> None:
    assert not away(socket, reassembly()).active
    assert not away(socket, reassembly(1), "").active
    assert away(socket, reassembly(1)).active
    assert away(socket, reassembly(), since_ns=1).active


def test_it_is_asked_until_it_answers_and_in_vain_for_a_while_only(socket: zmq.Socket[bytes]) -> None:
    state = away(socket, reassembly(1))
    assert state.asks(1.0), "at once"
    assert not state.asks(100.0), "nobody is there: the question waits"
    assert not state.hear(101.0), "it is not known yet what is to be heard"
    assert state.asks(101.0)
    assert not state.asks(101.0 + AGAIN_S / 2)
    assert state.asks(101.0 + AGAIN_S)
    assert not state.asks(101.0 + PATIENCE_S)
    assert (state.active, state.over) == (False, False)
    assert not state.asks(200.0)
    assert state.hear(201.0)


def test_an_empty_answer_is_one_only_after_the_question(socket: zmq.Socket[bytes]) -> None:
    state = away(socket, reassembly(1))
    state.told(1.0, exists=None)
    assert state.active
    assert state.asks(1.0)
    state.told(1.0, exists=None)
    assert not state.active
    state = Away(socket, THERE, reassembly(1, 2), ["binance."], None)
    state.told(0.0, exists=True)
    state.told(0.0, exists=None)
    assert state.lacks(T, 9) is True
    state = Away(socket, THERE, reassembly(1, 2), ["binance."], None)
    assert state.lacks(T, 9) is None
    state.told(0.0, exists=None)
    assert state.lacks(T, 9) is False


def test_a_feed_without_a_disk_ring_cannot_give_a_time_that_has_passed(socket: zmq.Socket[bytes]) -> None:
    state = away(socket, reassembly(1))
    state.told(0.0, exists=False)
    assert not state.active
    with pytest.raises(ConfigError, match="disk_ring_gb"):
        away(socket, reassembly(), since_ns=1).told(0.0, exists=False)


def test_what_the_memory_ring_lacks_is_read_once_and_then_lost(socket: zmq.Socket[bytes]) -> None:
    states = reassembly(1, 2)
    state = Away(socket, THERE, PastReassembly(), ["binance."], None)
    state._reassembly = states
    assert state.lacks(T, 3) is False, "it has all of it"
    assert state.lacks(T, 9) is None, "does the feed keep a disk ring?"
    state.told(0.0, exists=True)
    assert (state.lacks(T, 9), state.active) == (True, False)
    state.begin(0.0)
    assert (state.active, state.over) == (True, False)
    assert not state.take(0, room=True)
    state.tick(1e9)
    assert state.over
    state.end(0)
    assert not state.active
    assert state.lacks(T, 9) is False, "it does not have it either"
    states.take(published(3), 0)
    assert state.lacks(T, 9) is True
    states.take(published(1, epoch=2), 0)
    assert state.lacks(T, 9) is None, "another life may keep none"
    state.told(0.0, exists=False)
    assert state.lacks(T, 9) is False
    state.tick(0.0)
    assert not state.take(0, room=True)
    fresh = away(socket, PastReassembly())
    fresh.end(0)


def test_times() -> None:
    assert time_of(None, None, "") is None
    assert time_of(5, None, THERE) == 5
    assert time_of(datetime(1970, 1, 1, 1, 0, 1, 2, timezone(timedelta(hours=1))), None, THERE) == 1_000_002_000
    for since, words in ((datetime(2026, 1, 1), "time zone"), (-1, "ns since 1970"), (True, "ns since 1970")):  # noqa: DTZ001
        with pytest.raises(ConfigError, match=words):
            time_of(since, None, THERE)
    with pytest.raises(ConfigError, match="one of them"):
        time_of(datetime.now(UTC), Position(), THERE)
    with pytest.raises(ConfigError, match="disk_ring_endpoint"):
        time_of(1, None, "")
