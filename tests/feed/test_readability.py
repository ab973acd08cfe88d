"""Which kinds cannot be read: time is a number here."""

from __future__ import annotations

from k2workers.feed.readability import ENOUGH, FORGET_NS, PATIENCE_NS, UNKNOWN, Change, Readability

KINDS = ["trade", "depth"]


def test_a_kind_of_which_nothing_is_read_for_a_while_cannot_be_read_until_a_message_is() -> None:
    kinds = Readability()
    for at_ns in range(ENOUGH):
        kinds.odd("trade", 1, at_ns)
    assert kinds.look(KINDS, PATIENCE_NS - 1) == Change([], [])
    assert kinds.look(KINDS, PATIENCE_NS) == Change(["trade"], [])
    assert kinds.look(KINDS, PATIENCE_NS + 1) == Change([], [])
    assert kinds.unreadable == ["trade"]
    kinds.read(["depth"])
    assert kinds.look(KINDS, PATIENCE_NS + 2) == Change([], [])
    kinds.read(["trade"])
    assert kinds.look(KINDS, PATIENCE_NS + 3) == Change([], ["trade"])
    assert (kinds.unreadable, kinds.counts) == ([], {"trade": ENOUGH})


def test_a_few_odd_messages_among_none_say_nothing() -> None:
    kinds = Readability()
    kinds.odd("trade", ENOUGH - 1, 0)
    assert kinds.look(KINDS, 10 * PATIENCE_NS) == Change([], [])
    kinds.odd("trade", 1, 10 * PATIENCE_NS)
    assert kinds.look(KINDS, 10 * PATIENCE_NS) == Change(["trade"], [])


def test_a_message_that_is_read_among_odd_ones_heals_its_kind() -> None:
    kinds = Readability()
    for at_ns in range(0, 10 * PATIENCE_NS, PATIENCE_NS // 2):
        kinds.odd("trade", ENOUGH, at_ns)
        assert kinds.look(KINDS, at_ns) == Change([], [])
        kinds.read(["trade"])
    assert not kinds.in_question


def test_messages_of_an_unknown_kind_count_against_all_kinds_while_nothing_is_read() -> None:
    kinds = Readability()
    kinds.odd(UNKNOWN, ENOUGH, 0)
    assert kinds.look(KINDS, PATIENCE_NS) == Change(["depth", "trade"], [])
    kinds.read([])
    assert kinds.in_question
    kinds.read(["depth"])
    assert kinds.look(KINDS, PATIENCE_NS) == Change([], ["depth", "trade"])
    kinds.odd(UNKNOWN, ENOUGH, PATIENCE_NS)
    assert kinds.look(KINDS, PATIENCE_NS + 1) == Change([], [])


def test_messages_of_an_unknown_kind_that_do_not_recur_are_forgotten_and_odd_ones_of_a_kind_are_not() -> None:
    kinds = Readability()
    kinds.odd("trade", ENOUGH, 0)
    kinds.odd(UNKNOWN, ENOUGH, 0)
    kinds.odd(UNKNOWN, 1, PATIENCE_NS)
    assert kinds.look(KINDS, PATIENCE_NS).lost == ["depth", "trade"]
    assert kinds.look(KINDS, PATIENCE_NS + FORGET_NS - 1) == Change([], [])
    assert kinds.look(KINDS, PATIENCE_NS + FORGET_NS) == Change([], ["depth"])
    assert (kinds.unreadable, list(kinds.in_question)) == (["trade"], ["trade"])


def test_kinds_are_judged_each_for_itself() -> None:
    kinds = Readability()
    kinds.odd("trade", ENOUGH, 0)
    kinds.odd("depth", ENOUGH, 1)
    assert kinds.look(KINDS, PATIENCE_NS).lost == ["trade"]
    assert kinds.look(KINDS, PATIENCE_NS + 1).lost == ["depth"]
    kinds.read(["trade"])
    assert kinds.look(KINDS, PATIENCE_NS + 2) == Change([], ["trade"])
    assert kinds.unreadable == ["depth"]
