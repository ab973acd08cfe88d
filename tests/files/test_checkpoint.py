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
    content = checkpoint.encode({"v": "wss://venue"}, epoch, positions, at_ns)
    assert checkpoint.decode(content, {"v": "wss://venue"}, S, at_ns) == checkpoint.Checkpoint(epoch, positions)


def test_what_was_counted_goes_on_in_the_same_run_alone() -> None:
    tally = Tally(events=9, gaps=1, topics={"t": (3, 9)})
    content = checkpoint.encode({"v": "s"}, 1, {}, 0, "run", tally)
    assert checkpoint.decode(content, {"v": "s"}, S, 0, "run").tally == tally
    assert checkpoint.decode(content, {"v": "s"}, S, 0, "another run").tally == Tally()


@given(st.data())
def test_any_damage_is_noticed(data: st.DataObject) -> None:
    content = checkpoint.encode({"v": "s"}, 1, {"t": PublishedPosition(5, [(1, 2)])}, 0)
    if data.draw(st.booleans()):
        damaged = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        place = data.draw(st.integers(content.index(b"\n"), len(content) - 1))
        damaged = content[:place] + bytes([content[place] ^ data.draw(st.integers(1, 255))]) + content[place + 1 :]
    with pytest.raises(CheckpointUnusable, match="damaged"):
        checkpoint.decode(damaged, {"v": "s"}, S, 0)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_checkpoint_or_unusable(content: bytes) -> None:
    with pytest.raises(CheckpointUnusable):
        checkpoint.decode(content, {"v": "s"}, S, 0)


def test_age_source_and_format_are_checked_and_the_epoch_is_still_given() -> None:
    content = checkpoint.encode({"v": "s"}, 77, {}, 10 * S)
    with pytest.raises(CheckpointUnusable, match="5 s old, allowed are 4 s") as old:
        checkpoint.decode(content, {"v": "s"}, 4 * S, 15 * S)
    assert old.value.epoch == 77
    with pytest.raises(CheckpointUnusable, match="another source, 's'"):
        checkpoint.decode(content, {"v": "other"}, 9 * S, 15 * S)
    with pytest.raises(CheckpointUnusable, match="format 9"):
        checkpoint.decode(content.replace(b'"format":1', b'"format":9'), {"v": "s"}, 9 * S, 15 * S)


POSITION = PublishedPosition(5, [])


def test_each_venue_goes_on_from_its_own_and_what_is_of_others_is_left() -> None:
    topics = ("one.trade.A", "two.trade.A", "status.rotation.0")
    content = checkpoint.encode({"one": "wss://1", "two": "wss://2"}, 77, dict.fromkeys(topics, POSITION), 10 * S)

    def read(**sources: str) -> list[str]:
        return [*checkpoint.decode(content, sources, 9 * S, 15 * S).positions]

    assert read(two="wss://2", one="wss://1", three="wss://3") == [*topics]
    assert read(one="wss://1") == ["one.trade.A", "status.rotation.0"]
    assert read(one="wss://1", two="wss://elsewhere") == ["one.trade.A", "status.rotation.0"]
    for others in ({"one": "wss://2", "two": "wss://1"}, {"three": "wss://1"}):
        with pytest.raises(CheckpointUnusable, match="another source, 'wss://1, wss://2'") as refused:
            checkpoint.decode(content, others, 9 * S, 15 * S)
        assert refused.value.epoch == 77


def test_a_file_of_a_version_that_knew_one_venue_is_of_the_one_at_its_address() -> None:
    content = checkpoint.encode({"one": "wss://1"}, 77, {"one.trade.A": POSITION}, 10 * S)
    earlier = content.replace(b',"sources":{"one":"wss://1"}', b"")
    assert earlier != content
    for sources in ({"one": "wss://1"}, {"one": "wss://1", "two": "wss://2"}):
        assert checkpoint.decode(earlier, sources, 9 * S, 15 * S).positions == {"one.trade.A": POSITION}
    with pytest.raises(CheckpointUnusable, match="another source, 'wss://1'"):
        checkpoint.decode(earlier, {"one": "wss://2"}, 9 * S, 15 * S)


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
        checkpoint.write(self.path, checkpoint.encode({"v": "s"}, 1, positions, 0))
        self.last = positions

    @rule(positions=POSITIONS, part=st.floats(0, 1))
    def crash_while_writing(self, positions: dict[str, PublishedPosition], part: float) -> None:
        content = checkpoint.encode({"v": "s"}, 1, positions, 0)
        self.path.with_name("checkpoint.new").write_bytes(content[: int(len(content) * part)])

    @invariant()
    def what_is_there_is_whole(self) -> None:
        if self.last is None:
            assert not self.path.exists()
        else:
            assert checkpoint.decode(self.path.read_bytes(), {"v": "s"}, S, 0).positions == self.last

    def teardown(self) -> None:
        self.directory.cleanup()


TestCrashes = Crashes.TestCase
TestCrashes.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)


def test_a_write_that_ends_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    old, new = (checkpoint.encode({"v": "s"}, epoch, {"t": PublishedPosition(epoch, [])}, 0) for epoch in (1, 2))
    checkpoint.write(path, old)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(new) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            checkpoint.write(path, new)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == old
