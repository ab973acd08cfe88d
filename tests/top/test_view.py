"""What is known of a feed that is looked at."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from k2workers.page.annals import Happening
from k2workers.processes.resource_meter import Usage
from k2workers.processes.worth_a_look import WorthALook
from k2workers.supervision.child import ChildState
from k2workers.top.view import LATE_S, FeedView
from tests.processes.test_worth_a_look import AT_MS, now
from tests.support.told import seen, worker_row, worker_status


def _told(view: FeedView, at_s: float = 0.0, **changes: Any) -> None:
    view.take("now", msgspec.json.encode(now(at_ms=AT_MS + int(1_000 * at_s), **changes)), at_s)


def test_each_part_is_known_as_it_came_last_and_others_are_passed_over() -> None:
    view = FeedView(0.0)
    _told(view)
    happening, notice = Happening(1, "gap", "worker-0", "x"), WorthALook("slow", "y")
    view.take("happened", msgspec.json.encode([happening]), 0.0)
    view.take("watch", msgspec.json.encode([notice]), 0.0)
    view.take("lines", b"[]", 0.0)
    assert (view.now, view.happened, view.watch) == (now(), [happening], [notice])
    assert set(view.raw) == {"now", "happened", "watch", "lines"}
    with pytest.raises(msgspec.ValidationError):
        view.take("now", b'{"at_ms":1}', 0.0)
    assert view.now == now()


def test_it_is_silent_before_anything_came_and_when_nothing_has_for_long() -> None:
    view = FeedView(10.0)
    assert view.silent_s(11.0) == 1.0
    _told(view, 12.0)
    assert view.silent_s(12.0 + LATE_S) == 0.0
    assert view.silent_s(12.1 + LATE_S) == pytest.approx(LATE_S + 0.1)


def test_what_a_process_uses_is_known_from_its_second_moment_on_of_each_life() -> None:
    view = FeedView(0.0)
    _told(view, 0.0, usage={"parent": Usage(1, 5.0, 7)})
    assert view.cpu == {}
    _told(view, 2.0, usage={"parent": Usage(1, 5.5, 7), "books": Usage(1, 1.0, 8)})
    assert view.cpu == {"parent": 0.25}
    _told(view, 2.0, usage={"parent": Usage(1, 5.5, 7), "books": Usage(1, 1.0, 8)})
    assert view.cpu == {"parent": 0.25}
    _told(view, 3.0, usage={"parent": Usage(1, 0.1, 9), "books": Usage(1, 2.0, 8)})
    assert view.cpu == {"books": 1.0}


@pytest.mark.parametrize(
    ("worker", "beat_s", "shown"),
    [
        (worker_row(worker_status()), 0.1, ("live", True)),
        (worker_row(worker_status()), None, ("live", True)),
        (worker_row(worker_status(state="connecting", live=False)), 0.1, ("connecting", False)),
        (worker_row(), 0.1, ("starting", False)),
        (worker_row(worker_status()), 3.1, ("no report", False)),
        (worker_row(worker_status(), alive=False), 3.1, ("down", False)),
        (worker_row(worker_status(), shard=1), 3.1, ("live", True)),
    ],
)
def test_a_worker_is_what_it_told_unless_it_is_not_there_to_tell(
    worker: Any, beat_s: float | None, shown: tuple[str, bool]
) -> None:
    view = FeedView(0.0)
    assert view.state_of(worker_row(worker_status())) == ("live", True)
    child = ChildState(pid=1, alive=True, ready=True, restarts=0, last_beat_s=beat_s)
    _told(view, status=seen(children={"worker-0": child}))
    assert view.state_of(worker) == shown
