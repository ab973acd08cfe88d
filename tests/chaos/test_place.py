"""The place of a feed under test: it fails when it is told to, works again afterwards, and is of one test alone."""

from __future__ import annotations

import contextlib
import errno
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.place import VENUE, Place, hindrance
from tests.support.waiting import until
from tests.system.support import Program, free_port

LOOK_UP = f"import socket; print(socket.gethostbyname('{VENUE}'))"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    if hindrance():
        pytest.skip(hindrance())
    with Place(tmp_path, tmp_path / "small" / "run", free_port()) as made:
        yield made


def asks(place: Place) -> Program:
    return Program(command=place.inside(sys.executable, "-c", LOOK_UP))


async def test_a_question_that_met_silence_is_answered_when_the_name_server_speaks_again(place: Place) -> None:
    with contextlib.ExitStack() as stack:
        async with place.without_names():
            asking = stack.enter_context(asks(place))
            await until(lambda: place.asked(VENUE), "the question")
            assert not asking.raw
        asking.join()  # it asks again after 5 s
        assert asking.raw == ["127.0.0.1\n"]


def test_there_is_no_room_and_then_there_is(place: Place, tmp_path: Path) -> None:
    file = place.seen(tmp_path / "small") / "file"
    with place.without_room(), pytest.raises(OSError) as refused:
        file.write_bytes(bytes(4096))
    assert refused.value.errno == errno.ENOSPC
    file.write_bytes(bytes(4096))
    assert not (tmp_path / "small" / "file").exists(), "only those in there see it"


async def test_two_places_stand_side_by_side(place: Place, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with Place(tmp_path / "other", tmp_path / "other" / "small" / "run", free_port()) as other:
        async with other.without_names():
            with asks(place) as unhindered:
                unhindered.join()
                assert unhindered.raw == ["127.0.0.1\n"]
