"""Owns the commands that read a feed: their flags, and what is wrong with them. What they print is in ``processes``."""

from __future__ import annotations

from k2workers.errors import ConfigError
from k2workers.transport.endpoint import DEFAULT, mistake_in


def tail(
    *topics: str,
    endpoint: str = DEFAULT,
    snapshot_endpoint: str = "",
    books_endpoint: str = "",
    count: int | None = None,
    json: bool = False,
) -> int:
    """Print the events of topics as they come: exact names, or prefixes that end in a dot.

    Parameters
    ----------
    topics
        Such as binance.trade.BTCUSDT, or binance.trade. for all symbols.
    endpoint
        Where the feed publishes.
    snapshot_endpoint
        Where it answers for what was missed; the next port unless given.
    books_endpoint
        Where it gives whole order books; the port after that unless given; without either, no book is asked for.
    count
        Stop after so many events.
    json
        One JSON object a line.
    """
    from k2workers.processes.tail import follow

    problems = _wrong_with(endpoint, snapshot_endpoint, books_endpoint, count)
    problems += [
        f"topic {topic!r}: allowed is a name without spaces, or a prefix ending in a dot"
        for topic in topics
        if not topic or " " in topic
    ]
    if not topics:
        problems.append(
            "tail: name at least one topic, such as binance.trade.BTCUSDT, or a prefix such as binance.trade."
        )
    if problems:
        raise ConfigError("\n".join(problems))
    return follow(topics, endpoint, snapshot_endpoint, books_endpoint, count, as_json=json)


def book(
    *name: str,
    endpoint: str = DEFAULT,
    snapshot_endpoint: str = "",
    books_endpoint: str = "",
    levels: int = 10,
    count: int | None = None,
) -> int:
    """Show an order book as it changes: a ladder on a terminal, elsewhere a line for each change of the best prices.

    Parameters
    ----------
    name
        Venue and symbol, such as binance.BTCUSDT, or a topic of changes, such as binance.depth_1s.BTCUSDT.
    endpoint
        Where the feed publishes.
    snapshot_endpoint
        Where it answers for what was missed; the next port unless given.
    books_endpoint
        Where it gives whole order books; the port after that unless given.
    levels
        So many of each side, as far as the terminal has room.
    count
        Stop after so many pictures or lines.
    """
    from k2workers.processes.book_view import show

    problems = _wrong_with(endpoint, snapshot_endpoint, books_endpoint, count)
    if len(name) != 1 or " " in name[0] or "" in name[0].split(".") or "." not in name[0]:
        problems.append(f"book {' '.join(name)!r}: allowed is one venue with its symbol, such as binance.BTCUSDT")
    if levels < 1:
        problems.append(f"levels = {levels}: allowed: 1 or more (flag --levels)")
    if problems:
        raise ConfigError("\n".join(problems))
    return show(name[0], endpoint, snapshot_endpoint, books_endpoint, levels, count)


def _wrong_with(endpoint: str, snapshot_endpoint: str, books_endpoint: str, count: int | None) -> list[str]:
    addresses = {"endpoint": endpoint, "snapshot_endpoint": snapshot_endpoint, "books_endpoint": books_endpoint}
    problems = [
        f"{name} = {value!r}: {mistake} (flag --{name.replace('_', '-')})"
        for name, value in addresses.items()
        if (value or name == "endpoint") and (mistake := mistake_in(value))
    ]
    if count is not None and count < 1:
        problems.append(f"count = {count}: allowed: 1 or more (flag --count)")
    return problems
