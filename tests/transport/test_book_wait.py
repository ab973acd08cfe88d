"""When a topic's wait for a book begins and ends, and when it is asked for."""

from __future__ import annotations

from k2workers.transport.book_wait import ASK_NS, ASK_SLOWLY_NS, ASK_SOON_NS, BookWait


def test_a_wait_begins_when_the_clock_is_looked_at() -> None:
    wait = BookWait(holding=True)
    assert not wait.asks(5), "the clock was not looked at"
    assert not wait.look(5, 10)
    assert wait.asks(5)
    assert not wait.look(14, 10)
    assert wait.look(15, 10)
    wait.release(15)
    assert not wait.look(1_000, 10)
    wait.hold()
    assert not wait.look(2_000, 10)
    assert wait.look(2_010, 10)


def test_a_book_is_asked_for_often_while_events_are_held_and_slowly_while_they_go_on() -> None:
    wait = BookWait(holding=True)
    wait.look(0, 10**12)
    assert [wait.asks(at) for at in (0, ASK_NS - 1, ASK_NS)] == [True, False, True]
    wait.hold(ASK_NS)
    assert wait.asks(ASK_NS + ASK_SOON_NS), "after one that was behind"
    wait.release(0)
    assert [wait.asks(at) for at in (ASK_SLOWLY_NS - 1, ASK_SLOWLY_NS)] == [False, True]
    expected = BookWait(holding=False)
    expected.look(0, 10**12)
    assert not expected.asks(0), "it comes by itself"


def test_to_hold_what_is_held_already_changes_nothing() -> None:
    wait = BookWait(holding=True)
    wait.look(0, 10)
    asked_ns = wait.ask_ns
    wait.hold()
    assert (wait.holding, wait.deadline_ns, wait.ask_ns) == (True, 10, asked_ns)
