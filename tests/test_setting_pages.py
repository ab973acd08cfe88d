"""What ``config/`` says of the settings."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from k2workers import setting_pages, venues
from k2workers.config import SETTINGS, load

ROOT = Path(__file__).resolve().parents[1]


def test_the_files_say_what_the_settings_are(tmp_path: Path) -> None:
    setting_pages.main(tmp_path)
    for name in setting_pages.PAGES:
        made, there = tmp_path / name, ROOT / "config" / name
        assert there.read_text(encoding="utf-8") == made.read_text(encoding="utf-8"), (
            f"config/{name}: run python -m k2workers.setting_pages"
        )


def test_the_table_has_a_row_for_every_setting() -> None:
    rows = [line for line in setting_pages.table(SETTINGS).splitlines() if line.startswith("| `")]
    assert [re.split(r"(?<!\\) ?\| ?", row)[1] for row in rows] == [f"`{name}`" for name in SETTINGS]


def test_the_file_without_its_signs_is_the_defaults(tmp_path: Path) -> None:
    text = re.sub(r"^# (\w+ = |\[)", r"\1", setting_pages.settings_file(SETTINGS), flags=re.MULTILINE)
    with_one: dict[str, Any] = {}
    for setting in SETTINGS.values():
        if setting.default is not None:
            (with_one.setdefault(setting.table, {}) if setting.table else with_one)[setting.key] = setting.default
    assert tomllib.loads(text) == with_one
    path = tmp_path / "all.toml"
    path.write_text(text, encoding="utf-8")
    settings, untold = load({}, path, environ={}), load({}, _empty(tmp_path), environ={})
    assert settings.of_venues.keys() == {*venues.NAMES}
    assert msgspec.structs.replace(settings, of_venues={}) == untold
    for name in venues.NAMES:
        assert settings.of_venues[name] == untold.of_venue(name)


def _empty(folder: Path) -> Path:
    path = folder / "empty.toml"
    path.touch()
    return path
