"""Owns the commands that read a feed: their flags, and what is wrong with them. What they print is in ``processes``."""

from __future__ import annotations

import time
from typing import Annotated

from cyclopts import Parameter

from k2workers.errors import ConfigError
from k2workers.transport.endpoint import DEFAULT, mistakes_of_flags
from k2workers.written_time import ALLOWED_AGO, time_or_ago_ns


def tail(
    *topics: str,
    endpoint: str = DEFAULT,
    snapshot_endpoint: str = "",
    books_endpoint: str = "",
    disk_ring_endpoint: str = "",
    since: str = "",
    where: Annotated[list[str] | None, Parameter(negative="")] = None,
    count: int | None = None,
    json: bool = False,
    csv: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Print the events of topics as they arrive. A topic is an exact name, or a prefix that ends in a dot.

    Parameters
    ----------
    topics
        Such as binance.trade.BTCUSDT, or binance.trade. for all symbols.
    endpoint
        Where the feed publishes.
    snapshot_endpoint
        Where it replays what was missed. By default the next port.
    books_endpoint
        Where it answers with whole order books. By default the port after that; if there is none, no book is requested.
    disk_ring_endpoint
        Where its disk ring answers, for --since. By default the port after that.
    since
        Begin with what was published at that time: 90s, 10m, 2h or 1d ago, or 2026-11-27T12:00 (UTC unless it names another zone). Needs a feed with a disk ring.
    where
        Print only events that meet this condition, such as 'quantity>=1', symbol=BTCUSDT,ETHUSDT or type!=BookSnapshot. Repeat it for more: all must be met. Conditions on prices do not hide losses and gaps.
    count
        Stop after this many events.
    json
        Print one JSON object per line, with the names of the fields.
    csv
        Print a table with a header, of events of one type. What is lost or missing is reported on standard error.
    """
    from k2workers.processes.conditions import conditions
    from k2workers.processes.tail import Form, TailSettings, follow

    wanted, wrong = conditions(where or [])
    since_ns = time_or_ago_ns(since, time.time_ns()) if since else None
    problems = mistakes_of_flags(
        topics, endpoint=endpoint, snapshot_endpoint=snapshot_endpoint, books_endpoint=books_endpoint,
        disk_ring_endpoint=disk_ring_endpoint,
    ) + _mistake_in_count(count)  # fmt: skip
    if not topics:
        problems.append(
            "tail: name at least one topic, such as binance.trade.BTCUSDT, or a prefix such as binance.trade."
        )
    if since and since_ns is None:
        problems.append(f"since = {since!r}: allowed: {ALLOWED_AGO}, none that lies ahead (flag --since)")
    if json and csv:
        problems.append("json, csv: allowed: one of them (flags --json, --csv)")
    if problems or wrong:
        raise ConfigError("\n".join([*problems, *wrong]))
    return follow(
        TailSettings(
            topics=topics, endpoint=endpoint, snapshot_endpoint=snapshot_endpoint, books_endpoint=books_endpoint,
            disk_ring_endpoint=disk_ring_endpoint, since_ns=since_ns, conditions=wanted, count=count,
            form=Form.JSON if json else Form.CSV if csv else Form.LINES,
        )
    )  # fmt: skip


def book(
    *name: str,
    endpoint: str = DEFAULT,
    snapshot_endpoint: str = "",
    books_endpoint: str = "",
    levels: int = 10,
    count: int | None = None,
) -> int:
    """Show an order book as it changes: on a terminal a ladder, elsewhere a line for each change of the best prices.

    Parameters
    ----------
    name
        Venue and symbol, such as binance.BTCUSDT, or a topic of changes, such as binance.depth_1s.BTCUSDT.
    endpoint
        Where the feed publishes.
    snapshot_endpoint
        Where it replays what was missed. By default the next port.
    books_endpoint
        Where it answers with whole order books. By default the port after that.
    levels
        How many levels of each side to show, as far as the terminal has room.
    count
        Stop after this many pictures or lines.
    """
    from k2workers.processes.book_view import show

    addresses = {"endpoint": endpoint, "snapshot_endpoint": snapshot_endpoint, "books_endpoint": books_endpoint}
    problems = mistakes_of_flags((), **addresses) + _mistake_in_count(count)
    if len(name) != 1 or " " in name[0] or "" in name[0].split(".") or "." not in name[0]:
        problems.append(f"book {' '.join(name)!r}: allowed is one venue with its symbol, such as binance.BTCUSDT")
    if levels < 1:
        problems.append(f"levels = {levels}: allowed: 1 or more (flag --levels)")
    if problems:
        raise ConfigError("\n".join(problems))
    return show(name[0], endpoint, snapshot_endpoint, books_endpoint, levels, count)


def top(*, url: str = "", json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Show the state of a running feed: whether all is well, its shards, rates, latencies, budgets, subscribers. Without a terminal, print one snapshot as text.

    Keys: s or the letter of a column sorts by it (again: in reverse), / searches for topics, q quits.

    Parameters
    ----------
    url
        Where the feed answers over HTTP, such as http://127.0.0.1:9091. By default the feed that started last on this machine.
    json
        Print one snapshot as a JSON object.
    """
    from k2workers.top.feed_stream import mistake_in as mistake_in_url
    from k2workers.top.show import show

    if url and (mistake := mistake_in_url(url)):
        raise ConfigError(f"url = {url!r}: {mistake} (flag --url)")
    return show(url, json=json)


def _mistake_in_count(count: int | None) -> list[str]:
    return [] if count is None or count >= 1 else [f"count = {count}: allowed: 1 or more (flag --count)"]
