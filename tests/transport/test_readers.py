from __future__ import annotations

import msgspec
import pytest

from k2workers.transport import readers as readers_module
from k2workers.transport.readers import FORGET_NS, MAX_NAME, Reader, Readers
from k2workers.transport.replay_server import pack


def test_the_newest_word_of_each_counts_and_the_furthest_behind_comes_first() -> None:
    readers = Readers()
    readers.tell(b"1", b"slow", pack((3, 0)), 0)
    readers.tell(b"2", b"quick", pack((0, 7)), 0)
    readers.tell(b"1", b"slow", pack((9, 1)), 5)
    assert readers.furthest_behind(5, 6) == [Reader("slow", 9, 1, 5), Reader("quick", 0, 7, 0)]
    assert [one.name for one in readers.furthest_behind(1, 6)] == ["slow"]
    assert [one.name for one in readers.furthest_behind(5, FORGET_NS + 1)] == ["slow"]
    assert readers.furthest_behind(5, FORGET_NS + 5) == []


def test_what_is_no_report_is_refused_and_names_are_bounded() -> None:
    readers = Readers()
    with pytest.raises(msgspec.MsgspecError):
        readers.tell(b"1", b"x", pack(3), 0)
    readers.tell(b"1", b"\xff" + b"x" * 500, pack((0, 0)), 0)
    assert len(readers.furthest_behind(5, 0)[0].name) == MAX_NAME


def test_readers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers_module, "MAX_READERS", 2)
    readers = Readers()
    for number in range(3):
        readers.tell(b"%d" % number, b"%d" % number, pack((0, 0)), 0)
    assert [one.name for one in readers.furthest_behind(5, 0)] == ["1", "2"]
