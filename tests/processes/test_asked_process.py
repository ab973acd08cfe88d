"""How an HTTP page asks another process: where that listens now, one answer after the other, and not all the time."""

from __future__ import annotations

import threading
import time

import pytest

from k2workers.metrics.shared_answer import REST
from k2workers.processes import asked_process
from k2workers.processes.asked_process import AskedProcess
from tests.support.waiting import wait_for


class Client:
    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


def test_before_it_has_told_where_it_listens_nobody_is_asked() -> None:
    with pytest.raises(TimeoutError):
        _ = AskedProcess(Client).client
    AskedProcess(Client).close()


def test_the_client_is_that_of_where_it_listens_now_and_the_one_before_is_closed() -> None:
    asked = AskedProcess(Client)
    asked.listening("one")
    first = asked.client
    asked.listening("one")
    assert asked.client is first
    asked.listening("another")
    assert asked.client.endpoint == "another"
    wait_for("the first is closed", first.closed.is_set)
    asked.close()
    assert asked.client.closed.is_set()


def test_after_an_answer_it_rests_for_as_long_as_that_took_several_times_also_if_it_failed() -> None:
    asked = AskedProcess(Client)
    with pytest.raises(ValueError, match="no answer"), asked.making(worked_s=0.05):
        raise ValueError("no answer")
    began_s = time.monotonic()
    with asked.making():
        rested_s = time.monotonic() - began_s
    assert rested_s >= REST * 0.05 * 0.9


def test_who_waits_for_its_turn_waits_no_longer_than_that_and_the_next_one_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asked_process, "PATIENCE_S", 0.05)
    asked = AskedProcess(Client)
    with asked.making(), pytest.raises(TimeoutError), asked.making():
        pytest.fail("two at a time")
    with asked.making():
        pass
