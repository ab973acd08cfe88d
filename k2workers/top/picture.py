"""Owns what ``top`` shows, line by line, in as many rows and columns as there are: the verdict first, then the shards, then the rest as far as there is room. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from k2workers.page.words import NONE, duration, latency, moment, number, plural, size, zone
from k2workers.processes.page_now import Now
from k2workers.processes.shard_numbers import worker_name
from k2workers.top.clean_text import BAD, GOOD, WARN, clean_text
from k2workers.top.keys import Keys
from k2workers.top.shard_table import COLUMNS, shard_table
from k2workers.top.topic_table import topic_table
from k2workers.top.view import LATE_S, FeedView

TROUBLES = 4
"""So many of what is wrong, and of what is worth a look, are shown."""

FEWEST_ROWS = 3
"""Of the table of shards, on however small a terminal."""

_HAPPENED = {"not ready": BAD, "gap": WARN, "restart": WARN, "connection lost": WARN, "ready": GOOD}


class Seen:
    """What one picture is made of. ``url`` is where the feed was asked, ``why`` it does not answer, ``at_ms`` the time of day, ``now_s`` the time of the view."""

    def __init__(self, view: FeedView, *, url: str, why: str, at_ms: int, now_s: float) -> None:
        self.view = view
        self.url = url
        self.why = why
        self.at_ms = at_ms
        self.silent_s = view.silent_s(now_s)


def picture(seen: Seen, console: Console, rows: int | None, keys: Keys | None) -> list[str]:
    """The lines, ``rows`` of them at most; without ``keys`` nobody can press any."""
    room = math.inf if rows is None else rows
    width, view = console.width, seen.view
    lines = _lines(console, *_head(seen))
    if view.now is not None:
        lines += _lines(console, *_troubles(seen, view.now, TROUBLES if room > 24 else 2))
        below = room - len(lines) - (keys is not None)
        if keys is not None and (keys.search or keys.typing):
            lines += _lines(console, topic_table(view.found, width))
        else:
            lines += _shards_and_rest(seen, console, below, keys)
    last = _lines(console, _last_line(keys, view)) if keys is not None else []
    return [*(lines if rows is None else lines[: max(0, rows - len(last))]), *last]


def _lines(console: Console, *shown: RenderableType) -> list[str]:
    with console.capture() as written:
        for each in shown:
            if isinstance(each, Text):  # what it says of itself is not heard by ``print``
                console.print(each, no_wrap=each.no_wrap, overflow=each.overflow)
            else:
                console.print(each)
    return written.get().splitlines()


# ── the verdict ─────────────────────────────────────────────────────────────────────────────────────────


def _head(seen: Seen) -> Iterator[Text]:
    now = seen.view.now
    if now is None and not seen.why and seen.silent_s < LATE_S:
        yield clean_text(f"asking {seen.url} …", "dim", cut=False)
    elif seen.silent_s or now is None:
        since = moment(seen.at_ms - int(seen.silent_s * 1e3), seen.at_ms)
        below = " Below is its last report." if now is not None else ""
        why = f": {seen.why}" if seen.why else ""
        yield clean_text(f"The feed does not answer at {seen.url}", BAD, cut=False)
        yield clean_text(f"since {since}, for {duration(seen.silent_s)}{why}.{below} Retrying.", cut=False)
    else:
        verdict = _verdict(now)
        since = moment(now.since_ms, now.at_ms)
        verdict.append(f", since {since}, for {duration((now.at_ms - now.since_ms) / 1e3)}", "not bold default")
        yield verdict
    if now is not None:
        status = now.status
        demo = "DEMO (embedded exchange)  " if status.demo else ""
        yield clean_text(
            f"k2workers  {demo}{status.venue}  up {duration(status.uptime_s)}  {number(status.events_per_s)} events/s  "
            f"{plural(status.symbols, 'symbol')}  {plural(status.rotations, 'rotation')}  times in {zone(now.at_ms)}"
        )


def _verdict(now: Now) -> Text:
    if now.status.ready:
        return clean_text("All is well: every stream flows", GOOD, cut=False)
    if now.status.waiting_for:
        return clean_text(f"Starting: waiting for {now.status.waiting_for}", WARN, cut=False)
    words = dict.fromkeys(one.word.replace("_", " ") for one in now.ailments)
    return clean_text(f"Not ready: {', '.join(words) or '…'}", BAD, cut=False)


def _troubles(seen: Seen, now: Now, most: int) -> Iterator[Text]:
    if seen.silent_s:
        return
    wrong = [
        (one.word.replace("_", " "), f"{one.text}, for {duration((now.at_ms - one.since_ms) / 1e3)}", BAD)
        for one in now.ailments
        if not now.status.waiting_for or one.where
    ]
    worth = [(one.word, one.text, WARN) for one in seen.view.watch]
    for kind in (wrong, worth):
        for word, text, style in kind[:most]:
            line = clean_text(f"  {word}  ", style, cut=False)  # a reason often says at its end what is wrong
            line.append_text(clean_text(text))
            yield line
        if len(kind) > most:
            yield clean_text(f"  … {len(kind) - most} more", "dim")


# ── the shards, and the rest ────────────────────────────────────────────────────────────────────────────


def _shards_and_rest(seen: Seen, console: Console, room: float, keys: Keys | None) -> list[str]:
    view, now = seen.view, seen.view.now
    assert now is not None
    rest = _lines(console, "", _rest(view, now))
    shards = len(now.status.workers)
    space = max(FEWEST_ROWS, room - 1 - min(len(rest), room // 3))
    rows = shards if shards <= space else max(FEWEST_ROWS, int(space) - 1)
    sort, turned = (keys.sort, keys.turned) if keys is not None else (COLUMNS[0].letter, False)
    lines = _lines(console, shard_table(view, console.width, sort, turned=turned, rows=rows, letters=keys is not None))
    if rows < shards:
        lines += _lines(console, clean_text(f"… {shards - rows} more", "dim"))
    return lines + (rest if room == math.inf else rest[: max(0, int(room) - len(lines))])


def _rest(view: FeedView, now: Now) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    rows = [
        ("rates", _rates(now)),
        ("latency", _latency(now)),
        ("gaps", _gaps(now)),
        *_subscribers(now),
        *_budgets(now),
    ]
    rows.append(("processes", _processes(view, now)))
    for name, text in rows:
        grid.add_row(name, text)
    for place, one in enumerate(view.happened):
        words = one.text if one.where in one.text else f"{one.where}: {one.text}"
        line = clean_text(f"{moment(one.at_ms, now.at_ms)} ")
        line.append(f"{one.kind} ", _HAPPENED.get(one.kind, ""))
        line.append_text(clean_text(words))
        grid.add_row("" if place else "lately", line)
    return grid


def _rates(now: Now) -> Text:
    told = "  ".join(f"{kind} {number(rate)}" for kind, rate in now.rates.items())
    return clean_text(f"{told} a second" if told else NONE, cut=False)


def _latency(now: Now) -> Text:
    read = [
        (worker.told.latency_us.p99, worker.figures.shard)
        for worker in now.status.workers
        if worker.told is not None and worker.told.latency_us.p99 is not None
    ]
    worst = max(read, default=None)
    words = f"to our read p99 {latency(worst[0])} (shard {worst[1]})" if worst is not None else f"to our read {NONE}"
    if now.aggregator is not None:
        own = now.aggregator.latency_us
        words += (
            f", from there to publication p50 {latency(own.p50)}, p99 {latency(own.p99)}, p99.9 {latency(own.p999)}"
        )
    return clean_text(words, cut=False)


def _gaps(now: Now) -> Text:
    if now.aggregator is None:
        return clean_text(NONE)
    every = now.aggregator.gaps
    told = [worker.told for worker in now.status.workers if worker.told is not None]
    text = clean_text(f"announced {number(every.gaps)}, ", cut=False)
    text.append(f"open {number(every.gaps_open)}", BAD if every.gaps_open else "")
    for words, count in (
        ("ids repaired", every.repaired_ids), ("ids that never existed", every.void_ids),
        ("denied once by the venue", sum(one.gaps_doubted for one in told)), ("waiting for repair", sum(one.repairs_waiting for one in told)),
        ("given up", every.gaps_given_up), ("topics whose ids restarted", every.resets),
    ):  # fmt: skip
        text.append(f", {words} {number(count)}")
    for topic, ids in list(now.aggregator.missing.items())[:8]:
        text.append_text(clean_text(f", {topic} {plural(ids, 'id')}", BAD))
    return text


def _subscribers(now: Now) -> Iterator[tuple[str, Text]]:
    aggregator = now.aggregator
    if aggregator is None:
        return
    every = aggregator.subscribers
    kept = size(aggregator.ring_bytes)
    yield (
        "subscribers",
        clean_text(
            f"{number(every.connected)} connected, {number(every.cut)} disconnected by the feed; {kept} kept for replay",
            cut=False,
        ),
    )
    for one in every.readers:
        lost = f", {number(one.lost)} lost" if one.lost else ""
        yield (
            "",
            clean_text(f"{one.name}: {plural(one.waiting, 'batch', 'batches')} waiting{lost}", BAD if one.lost else ""),
        )
    for behind in every.behind:
        yield "", clean_text(f"{behind.peer} does not read: {size(behind.bytes)} waiting", BAD)


def _budgets(now: Now) -> Iterator[tuple[str, Text]]:
    for place, (venue, budget) in enumerate(now.connects.items()):
        words = (
            f"{venue}: {number(budget.granted)} of {number(budget.limit)} connections in {duration(budget.window_s)}"
        )
        words += f", {number(budget.waiting)} waiting" if budget.waiting else ""
        words += f", {number(budget.alone)} without permission" if budget.alone else ""
        if (own := now.status.venues.get(venue)) is not None:
            weight = own.rest_weight
            words += f"; REST weight {number(weight.used)} of {number(weight.limit)} in a minute"
            refused = sum(one.refusals for one in own.venue_refusals.values())
            words += f"; {plural(refused, 'refusal')}" if refused else "; no refusal so far"
        yield "" if place else "limits", clean_text(words, cut=False)


def _processes(view: FeedView, now: Now) -> Text:
    text = clean_text("", cut=False)
    in_the_table = {worker_name(worker.figures.shard) for worker in now.status.workers}
    for name, usage in now.usage.items():
        if name in in_the_table:
            continue
        child = now.status.children.get(name)
        state = "" if child is None or child.ready else "starting " if child.alive else "down "
        share = f" {100 * view.cpu[name]:.1f} %" if name in view.cpu else ""
        again = f", {plural(child.restarts, 'restart')}" if child is not None and child.restarts else ""
        text.append(f"{'; ' if text else ''}{name} ")
        text.append(state, BAD)
        text.append(f"{size(usage.rss_bytes)}{share}{again}")
    return text


# ── the last line ────────────────────────────────────────────────────────────────────────────────────────


def _last_line(keys: Keys, view: FeedView) -> Text:
    if keys.typing or keys.search:
        found = (
            f"  {number(view.found.found)} of {plural(view.found.topics, 'topic')}" if view.found is not None else ""
        )
        line = clean_text(f"/{keys.search}")
        line.append("█" if keys.typing else "", "blink")
        line.append(f"{found}  Esc: back", "dim")
        return line
    by = next(column.title for column in COLUMNS if column.letter == keys.sort)
    return clean_text(f"q: end   /: topics   s or a letter: sort (by {by})", "dim")
