"""Owns what ``config/`` says of the settings: the file with all defaults, and the table. Both are made from the one list.

``python -m k2workers.setting_pages`` rewrites them in a checkout; a test compares.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from k2workers import config, venues
from k2workers.setting import LIST, Setting
from k2workers.setting_sources import variable_of

FOLDER = Path("config")

TABLE_HEAD = """# Settings

Made by `python -m k2workers.setting_pages` from `Settings` in `k2workers/config.py`, and for venues from {homes}: change them there.

- A flag wins over the environment, the environment over the file, and the file over the default. The file is
  [`k2workers.toml`](k2workers.toml) here, or the one that `--config` names.
- An empty environment variable counts as not set.
- A list is written with commas; in the file it is a TOML list.
- The flag of a true-or-false setting has no value.
- A venue's own settings begin with its name. In the file they are in the venue's table, without that name
  (`[{venue}]`, and below it `rest_url = …`), or above all tables, with it. They count only while that venue runs, so
  several venues may share one file.

| setting | flag | environment variable | default | type or bounds | what it is |
|---|---|---|---|---|---|
"""

FILE_HEAD = """# Every setting with its default. Flags and the environment (K2_ and the name in capitals) win over this file.
# Remove the leading # to make a line count; for a venue's setting, also that of its [table]. Made by python -m k2workers.setting_pages.
"""


def settings_file(settings: Mapping[str, Setting]) -> str:
    """The file with every setting and its default."""
    lines, table = [FILE_HEAD], ""
    for setting in settings.values():
        if setting.table != table:
            table = setting.table
            lines.append(f"# counts when venue = {json.dumps(table)}\n# [{table}]\n")
        about = f"# {setting.about.text}{f' (allowed: {setting.bounds})' if setting.bounds else ''}"
        default = "" if setting.default is None else f" {json.dumps(setting.default, ensure_ascii=False)}"
        lines.append(f"{about}\n# {setting.key} ={default}\n")
    return "\n".join(lines)


def table(settings: Mapping[str, Setting]) -> str:
    """The table of all settings."""
    modules = {venues.settings_struct(name).__module__ for name in venues.NAMES}
    homes = ", ".join(f"`{module.replace('.', '/')}.py`" for module in sorted(modules))
    head = TABLE_HEAD.format(homes=homes, venue=venues.NAMES[-1])
    return head + "".join(f"{_row(setting)}\n" for setting in settings.values())


def _row(setting: Setting) -> str:
    if setting.sort == LIST:
        default = ",".join(setting.default or ())
    else:
        default = "" if setting.default is None else json.dumps(setting.default).strip('"')
    about = f"{setting.about.text}; {setting.about.more}" if setting.about.more else setting.about.text
    cells = (
        f"`{setting.name}`",
        f"`{setting.flag}`",
        f"`{variable_of(setting.name)}`",
        f"`{default}`" if default else "none",
        setting.bounds or setting.sort,
        about.replace("|", r"\|").replace(" *USDT", " `*USDT`").replace("demo: *;", "demo: `*`;"),
    )
    return f"| {' | '.join(cells)} |"


PAGES = {"k2workers.toml": settings_file, "README.md": table}
"""What makes each file."""


def main(folder: Path = FOLDER) -> None:
    """Write them all."""
    for name, page in PAGES.items():
        (folder / name).write_text(page(config.SETTINGS), encoding="utf-8")


if __name__ == "__main__":
    main()
