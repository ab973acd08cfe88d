"""The checkpoint: whole or not at all, and never a reason to crash."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from k2workers.errors import CheckpointUnusable
from k2workers.files import checkpoint
from k2workers.sequencing.coverage import PublishedPosition
from k2workers.sequencing.tally import Tally

S = 1_000_000_000
IDS = st.integers(0, 2**62)
POSITIONS = st.dictionaries(
    st.text(min_size=1, max_size=12),
    st.builds(PublishedPosition, IDS, st.lists(st.tuples(IDS, IDS), max_size=3)),
    max_size=5,
)


@given(POSITIONS, st.integers(0, 2**63), IDS)
def test_it_reads_back_as_it_was_written(positions: dict[str, PublishedPosition], epoch: int, at_ns: int) -> None:
    content = checkpoint.encode("wss://venue", epoch, positions, at_ns)
    assert checkpoint.decode(content, "wss://venue", S, at_ns) == checkpoint.Checkpoint(epoch, positions)


def test_what_was_counted_goes_on_in_the_same_run_alone() -> None:
    tally = Tally(events=9, gaps=1, topics={"t": (3, 9)})
    content = checkpoint.encode("s", 1, {}, 0, "run", tally)
    assert checkpoint.decode(content, "s", S, 0, "run").tally == tally
    assert checkpoint.decode(content, "s", S, 0, "another run").tally == Tally()


@given(st.data())
def test_any_damage_is_noticed(data: st.DataObject) -> None:
    content = checkpoint.encode("s", 1, {"t": PublishedPosition(5, [(1, 2)])}, 0)
    if data.draw(st.booleans()):
        damaged = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        place = data.draw(st.integers(content.index(b"\n"), len(content) - 1))
        damaged = content[:place] + bytes([content[place] ^ data.draw(st.integers(1, 255))]) + content[place + 1 :]
    with pytest.raises(CheckpointUnusable, match="damaged"):
        checkpoint.decode(damaged, "s", S, 0)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_checkpoint_or_unusable(content: bytes) -> None:
    with pytest.raises(CheckpointUnusable):
        checkpoint.decode(content, "s", S, 0)


def test_age_source_and_format_are_checked_and_the_epoch_is_still_given() -> None:
    content = checkpoint.encode("s", 77, {}, 10 * S)
    with pytest.raises(CheckpointUnusable, match="5 s old, allowed are 4 s") as old:
        checkpoint.decode(content, "s", 4 * S, 15 * S)
    assert old.value.epoch == 77
    with pytest.raises(CheckpointUnusable, match="another source, 's'"):
        checkpoint.decode(content, "other", 9 * S, 15 * S)
    with pytest.raises(CheckpointUnusable, match="format 9"):
        checkpoint.decode(content.replace(b'"format":1', b'"format":9'), "s", 9 * S, 15 * S)


def test_a_venue_that_came_since_takes_nothing_from_the_others_and_one_that_is_another_does() -> None:
    content = checkpoint.encode("wss://one", 77, {}, 10 * S)
    assert checkpoint.decode(content, "wss://one, wss://two", 9 * S, 15 * S).epoch == 77
    both = checkpoint.encode("wss://one, wss://two", 77, {}, 10 * S)
    assert checkpoint.decode(both, "wss://two, wss://one", 9 * S, 15 * S).epoch == 77
    for other in ("wss://one", "wss://one, wss://three"):
        with pytest.raises(CheckpointUnusable, match="another source, 'wss://one, wss://two'"):
            checkpoint.decode(both, other, 9 * S, 15 * S)


class Crashes(RuleBasedStateMachine):
    """Writes that end at any point. Invariant: the file is always a whole checkpoint, the last one written whole."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "checkpoint"
        self.last: dict[str, PublishedPosition] | None = None

    @rule(positions=POSITIONS)
    def write(self, positions: dict[str, PublishedPosition]) -> None:
        checkpoint.write(self.path, checkpoint.encode("s", 1, positions, 0))
        self.last = positions

    @rule(positions=POSITIONS, part=st.floats(0, 1))
    def crash_while_writing(self, positions: dict[str, PublishedPosition], part: float) -> None:
        content = checkpoint.encode("s", 1, positions, 0)
        self.path.with_name("checkpoint.new").write_bytes(content[: int(len(content) * part)])

    @invariant()
    def what_is_there_is_whole(self) -> None:
        if self.last is None:
            assert not self.path.exists()
        else:
            assert checkpoint.decode(self.path.read_bytes(), "s", S, 0).positions == self.last

    def teardown(self) -> None:
        self.directory.cleanup()


TestCrashes = Crashes.TestCase
TestCrashes.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)


def test_a_write_that_ends_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    old, new = (checkpoint.encode("s", epoch, {"t": PublishedPosition(epoch, [])}, 0) for epoch in (1, 2))
    checkpoint.write(path, old)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(new) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            checkpoint.write(path, new)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == old
