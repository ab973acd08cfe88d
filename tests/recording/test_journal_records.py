from __future__ import annotations

from k2workers.recording.journal_records import BATCH, HEAD_BYTES, LOSS, POSITION, encoded, last_position, records

CONTENTS = ((POSITION, b"p0"), (BATCH, b"first"), (LOSS, b""), (POSITION, b"p1"), (BATCH, b"second"))
JOURNAL = b"".join(encoded(letter, content) for letter, content in CONTENTS)


def read(data: bytes) -> list[tuple[bytes, bytes]]:
    return [(letter, data[begin:end]) for letter, begin, end in records(data)]


def test_what_was_written_is_read_in_order() -> None:
    assert tuple(read(JOURNAL)) == CONTENTS
    assert read(b"") == []


def test_of_a_journal_that_ends_anywhere_the_whole_records_are_read() -> None:
    ends = [end for _, _, end in records(JOURNAL)]
    for size in range(len(JOURNAL)):
        assert len(read(JOURNAL[:size])) == sum(end <= size for end in ends)


def test_nothing_is_read_from_a_damaged_record_on() -> None:
    ends = [0, *(end for _, _, end in records(JOURNAL))]
    for at in range(len(JOURNAL)):
        damaged = bytearray(JOURNAL)
        damaged[at] ^= 0x55
        whole = sum(end <= at for end in ends) - 1
        assert read(bytes(damaged)) == list(CONTENTS[:whole])


def test_the_last_position_is_where_a_journal_counts_to() -> None:
    found = last_position(JOURNAL)
    assert found is not None
    assert JOURNAL[found.begin : found.end] == b"p1"
    assert last_position(JOURNAL[: HEAD_BYTES + 1]) is None
