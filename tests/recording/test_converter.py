"""The conversion next to a recorder: begun when there is something to do, and again a while after it could not be done."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from k2workers.recording import converter, journal
from k2workers.recording.converter import Converter
from k2workers.recording.journal import Journal
from k2workers.recording.verification import verify
from tests.recording.support import TOPIC, journal_in, put, trade
from tests.support.waiting import until


def ended_segment(to: Path) -> Journal:
    made = journal_in(to)
    put(made, TOPIC, trade(1), trade(2))
    made.roll(b"")
    return made


async def test_what_has_ended_is_converted_while_the_loop_goes_on(tmp_path: Path) -> None:
    made = ended_segment(tmp_path)
    one = Converter(tmp_path)

    def look() -> bool:
        one.look(made.number)
        return journal.segments(journal.folder_of(tmp_path)) == [made.number]

    await until(look, "the conversion")
    assert await one.finish(made.number)
    assert verify(tmp_path).whole


async def test_the_end_waits_for_all_of_it(tmp_path: Path) -> None:
    made = ended_segment(tmp_path)
    one = Converter(tmp_path)
    one.look(1)
    one.look(made.number)
    put(made, TOPIC, trade(3))
    made.roll(b"")
    assert await one.finish(made.number)
    assert verify(tmp_path).topics[0].days.popitem()[1].present == 3


async def test_what_could_not_be_done_is_told_once_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converter, "AGAIN_S", 0.0)
    made = ended_segment(tmp_path)
    (tmp_path / "venue").write_text("in the way")
    one = Converter(tmp_path)
    with capture_logs() as logged:
        assert not await one.finish(made.number)
        assert not await one.finish(made.number)
        (tmp_path / "venue").unlink()
        assert await one.finish(made.number)
    assert [line["event"] for line in logged] == ["conversion_failed", "conversion_goes_on"]
    assert "venue" in logged[0]["error"]
