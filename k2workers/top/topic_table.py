"""Owns the table of topics that were searched for, and how much of each there is room for. Pure."""

from __future__ import annotations

from rich.cells import cell_len
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from k2workers.page.words import NONE, duration, plural
from k2workers.processes.topic_page import TopicsFound, TopicShown
from k2workers.top.clean_text import BAD, GOOD, clean_text

TITLES = ("topic", "state", "age", "last id", "last event")
EVENT_CELLS = 30
"""With less room the last event is not worth its place."""

_APART = 2
_STYLES = {"flowing": GOOD, "quiet": "", "no event yet": "dim"}


def topic_table(found: TopicsFound | None, width: int) -> RenderableType:
    """As many columns as fit, from the left; while nothing was found yet, that."""
    if found is None:
        return clean_text("searching …", "dim")
    rows = [_topic_cells(one) for one in found.shown]
    table = Table(box=None, pad_edge=False, padding=(0, _APART, 0, 0), show_edge=False, header_style="dim")
    left, shown = width, 0
    for place, title in enumerate(TITLES):
        wanted = max([cell_len(title), *(row[place].cell_len for row in rows)])
        if place and left < (min(wanted, EVENT_CELLS) if title == TITLES[-1] else wanted):
            break
        kept = min(wanted, left)
        right = title in {"age", "last id"}
        table.add_column(title, justify="right" if right else "left", no_wrap=True, overflow="ellipsis", width=kept)
        left, shown = left - kept - _APART, shown + 1
    for row in rows:
        table.add_row(*row[:shown])
    return table


def _topic_cells(one: TopicShown) -> list[Text]:
    missing = f", {plural(one.missing, 'id')} missing" if one.missing else ""
    age = NONE if one.age_s is None else f"{one.age_s:.1f} s" if one.age_s < 10 else duration(one.age_s)
    return [
        clean_text(one.topic), clean_text(f"{one.state}{missing}", _STYLES.get(one.state, BAD)), clean_text(age),
        clean_text(NONE if one.last_id is None else str(one.last_id)), clean_text(f"{one.type} {one.event}" if one.event else NONE),
    ]  # fmt: skip
