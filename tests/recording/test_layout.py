from __future__ import annotations

from pathlib import Path

import pytest

from k2workers.recording import layout
from tests.recording.support import DAY, NOON_NS


def test_the_day_is_that_of_utc() -> None:
    assert layout.day_of(NOON_NS) == DAY
    assert layout.day_of(NOON_NS + 12 * 3600 * 10**9 - 1) == DAY
    assert layout.day_of(NOON_NS + 12 * 3600 * 10**9) == "2026-11-28"


@pytest.mark.parametrize(
    "topic",
    [
        "venue.trade.ABC",
        "venue.trade.A.B",
        "venue.trade.A/B%2F",
        "venue.trade...",
        "venue.trade.币安",
        "venue.trade..hidden",
    ],
)
def test_a_topic_is_found_again_by_the_names_of_its_files(tmp_path: Path, topic: str) -> None:
    path = layout.file_of(tmp_path, topic, DAY, 7)
    assert path.resolve().is_relative_to(tmp_path.resolve())
    assert len(path.relative_to(tmp_path).parts) == 4
    path.parent.mkdir(parents=True)
    path.touch()
    layout.manifest_of(tmp_path, topic, DAY).touch()
    files, manifests, strange = layout.files_under(tmp_path)
    assert [(file.topic, file.day, file.segment, file.path) for file in files] == [(topic, DAY, 7, path)]
    assert manifests == [layout.manifest_of(tmp_path, topic, DAY)]
    assert strange == []


def test_what_is_none_of_a_recording_is_named(tmp_path: Path) -> None:
    for name in (
        "recorder.lock",
        "journal/00000001.journal",
        "v/k/d/S.1.parquet.new",
        "notes.txt",
        "v/k/S.1.parquet",
        "v/k/d/S.x.parquet",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    files, manifests, strange = layout.files_under(tmp_path)
    assert (files, manifests) == ([], [])
    assert [path.relative_to(tmp_path).as_posix() for path in strange] == [
        "notes.txt",
        "v/k/S.1.parquet",
        "v/k/d/S.x.parquet",
    ]


def test_the_file_before_one_is_that_of_the_day_or_segment_before(tmp_path: Path) -> None:
    topic, places = "v.depth.[A]*", [("2026-11-26", 1), ("2026-11-26", 2), ("2026-11-27", 2), ("2026-11-27", 11)]
    assert layout.newest_before(tmp_path, topic, "2026-11-27", 5) is None
    assert layout.newest_segment(tmp_path) == 0
    paths = [layout.file_of(tmp_path, topic, *place) for place in places]
    for path in [
        *paths,
        layout.file_of(tmp_path, "v.depth.[A]*B", "2026-11-27", 4),
        layout.file_of(tmp_path, "v.depth.A", "2026-11-27", 4),
    ]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert layout.newest_segment(tmp_path) == 11
    assert layout.newest_before(tmp_path, topic, "2026-11-26", 1) is None
    assert [layout.newest_before(tmp_path, topic, *place) for place in places[1:]] == paths[:-1]
    assert layout.newest_before(tmp_path, topic, "2026-11-28", 12) == paths[-1]


def test_a_day_to_which_a_clock_ran_ahead_hides_none_of_what_came_after_it(tmp_path: Path) -> None:
    topic, places = "v.depth.A", [("2026-11-26", 1), ("2026-11-28", 2), ("2026-11-26", 3), ("2026-11-27", 4)]
    for place in places:
        path = layout.file_of(tmp_path, topic, *place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for place, before in zip([*places[1:], ("2026-11-27", 5), ("2026-11-28", 6)], [*places, places[-1]], strict=True):
        assert layout.newest_before(tmp_path, topic, *place) == layout.file_of(tmp_path, topic, *before)


def test_files_that_were_added_or_merged_have_their_place_among_the_others(tmp_path: Path) -> None:
    topic = "v.trade.A.B"
    plain = layout.place_of(tmp_path, layout.file_of(tmp_path, topic, DAY, 2))
    assert plain is not None
    added = layout.place_of(tmp_path, layout.addition_to(plain, 3))
    assert added is not None
    assert (added.path.name, added[:3], added.addition, added.first) == ("A.B.00000002+3.parquet", plain[:3], 3, None)
    merged = layout.place_of(tmp_path, layout.merged_of(plain, added))
    assert merged is not None
    assert (merged.path.name, merged.segment, merged.addition, merged.first) == ("A.B.00000002-00000002+3.parquet", 2, 3, 2)  # fmt: skip
    later = layout.place_of(tmp_path, layout.file_of(tmp_path, topic, DAY, 12))
    assert later is not None
    assert layout.merged_of(merged, later).name == "A.B.00000002-00000012.parquet"
    for place in (later, added, plain):
        place.path.parent.mkdir(parents=True, exist_ok=True)
        place.path.touch()
    assert layout.files_under(tmp_path)[0] == [plain, added, later]
    assert {layout.manifest_beside(place.path) for place in (plain, added, merged)} == {
        layout.manifest_of(tmp_path, topic, DAY)
    }
    assert layout.newest_before(tmp_path, topic, DAY, 12) == added.path


@pytest.mark.parametrize("numbers", ["1-", "-1", "1+", "+1", "1-2-3", "1+2+3", "1 2", ""])
def test_other_numbers_are_of_no_recording(tmp_path: Path, numbers: str) -> None:
    assert layout.place_of(tmp_path, tmp_path / "v" / "k" / DAY / f"A.{numbers}.parquet") is None
