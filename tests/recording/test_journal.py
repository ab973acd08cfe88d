"""The journal after every kind of end: what was committed is there, and nothing else."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from k2workers.recording import journal
from k2workers.recording.journal import Journal
from k2workers.recording.journal_records import BATCH, POSITION, encoded, records


def content(folder: Path, number: int) -> list[tuple[bytes, bytes]]:
    data = journal.path_of(folder, number).read_bytes()
    return [(letter, data[begin:end]) for letter, begin, end in records(data)]


def test_a_new_journal_begins_with_no_position(tmp_path: Path) -> None:
    made = Journal(tmp_path / "journal")
    assert (made.position, made.number, made.holds_something) == (b"", 1, False)
    made.close()
    made.close()


def test_what_was_committed_is_there_for_the_next_life_and_what_was_not_is_gone(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    first.append(BATCH, b"one")
    assert first.waiting
    first.commit(b"p1")
    first.append(BATCH, b"two")
    first.close()
    second = Journal(tmp_path)
    assert (second.position, second.number, second.holds_something) == (b"p1", 1, True)
    second.append(BATCH, b"three")
    second.commit(b"p2")
    assert content(tmp_path, 1) == [
        (POSITION, b""),
        (BATCH, b"one"),
        (POSITION, b"p1"),
        (BATCH, b"three"),
        (POSITION, b"p2"),
    ]
    second.close()


def test_an_end_at_any_byte_leaves_the_last_whole_commit(tmp_path: Path) -> None:
    made = Journal(tmp_path / "made")
    for number in range(3):
        made.append(BATCH, b"batch%d" % number)
        made.commit(b"p%d" % number)
    made.close()
    data = journal.path_of(tmp_path / "made", 1).read_bytes()
    head = len(encoded(POSITION, b""))
    for size in range(head, len(data) + 1):
        folder = tmp_path / f"{size}"
        folder.mkdir()
        journal.path_of(folder, 1).write_bytes(data[:size])
        again = Journal(folder)
        assert again.position in (b"", b"p0", b"p1", b"p2")
        assert journal.path_of(folder, 1).stat().st_size == again.bytes == size - again.cut_bytes
        assert sum(letter == BATCH for letter, _ in content(folder, 1)) == (
            int(again.position[1:]) + 1 if again.position else 0
        )
        again.close()


def test_the_same_position_without_anything_new_is_not_written_again(tmp_path: Path) -> None:
    made = Journal(tmp_path)
    made.commit(b"p1")
    size = made.bytes
    made.commit(b"p1")
    assert made.bytes == size
    made.close()


def test_the_next_segment_begins_where_the_last_one_ends(tmp_path: Path) -> None:
    made = Journal(tmp_path)
    made.append(BATCH, b"one")
    made.roll(b"p1")
    assert (made.number, made.position, made.holds_something) == (2, b"p1", False)
    made.close()
    assert content(tmp_path, 1)[-1] == content(tmp_path, 2)[0] == (POSITION, b"p1")
    again = Journal(tmp_path)
    assert (again.number, again.position) == (2, b"p1")
    again.close()
    assert journal.segments(tmp_path) == [1, 2]


def test_a_segment_that_was_being_made_is_made_again(tmp_path: Path) -> None:
    made = Journal(tmp_path)
    made.commit(b"p1")
    made.close()
    journal.path_of(tmp_path, 2).write_bytes(encoded(POSITION, b"p1")[:-1])
    again = Journal(tmp_path)
    assert (again.number, again.position, journal.segments(tmp_path)) == (1, b"p1", [1])
    again.close()


def test_a_segment_that_cannot_be_read_is_put_aside_and_its_number_is_not_used_again(tmp_path: Path) -> None:
    made = Journal(tmp_path)
    made.append(BATCH, b"one")
    made.commit(b"p1")
    made.close()
    path = journal.path_of(tmp_path, 1)
    damaged = b"x" + path.read_bytes()[1:]
    path.write_bytes(damaged)
    again = Journal(tmp_path)
    assert (again.number, again.position) == (2, b"")
    again.close()
    assert path.with_name(path.name + ".damaged").read_bytes() == damaged


def test_nothing_is_written_to_a_segment_that_was_removed_or_moved(tmp_path: Path) -> None:
    made = Journal(tmp_path / "there")
    made.append(BATCH, b"one")
    made.commit(b"p1")
    (tmp_path / "there").rename(tmp_path / "moved")
    made.append(BATCH, b"two")
    with pytest.raises(FileNotFoundError, match="it was removed or moved"):
        made.commit(b"p2")
    made.forget()
    assert (made.position, made.has_room()) == (b"p1", False)
    (tmp_path / "there").mkdir()
    assert not made.has_room()
    (tmp_path / "there").rmdir()
    (tmp_path / "moved").rename(tmp_path / "there")
    assert made.has_room()
    made.append(BATCH, b"two")
    made.commit(b"p2")
    assert content(tmp_path / "there", 1)[-2:] == [(BATCH, b"two"), (POSITION, b"p2")]
    made.close()


def test_a_journal_that_is_gone_begins_beyond_what_is_in_files(tmp_path: Path) -> None:
    made = Journal(tmp_path, lambda: 7)
    assert made.number == 8
    made.close()
    again = Journal(tmp_path, lambda: 20)
    assert again.number == 8
    again.close()


@pytest.fixture
def no_room() -> object:
    """No file of this process may grow."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_without_room_the_last_commit_stays_and_it_goes_on_when_there_is_some(tmp_path: Path, no_room: object) -> None:
    assert callable(no_room)
    made = Journal(tmp_path)
    made.append(BATCH, b"one")
    made.commit(b"p1")
    no_room(made.bytes + 10)
    made.append(BATCH, b"two")
    with pytest.raises(OSError, match="large"):
        made.commit(b"p2")
    assert not made.has_room()
    no_room(0)
    with pytest.raises(OSError, match="large"):
        made.roll(b"p2")
    assert (made.number, journal.segments(tmp_path)) == (1, [1])
    made.forget()
    no_room(resource.RLIM_INFINITY)
    assert made.has_room()
    made.append(BATCH, b"two")
    made.commit(b"p2")
    made.close()
    assert content(tmp_path, 1)[1:] == [(BATCH, b"one"), (POSITION, b"p1"), (BATCH, b"two"), (POSITION, b"p2")]
    assert list(tmp_path.iterdir()) == [journal.path_of(tmp_path, 1)]
