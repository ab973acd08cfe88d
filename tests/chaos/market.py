"""Owns what the chaos table must know of a market, as the venue's own tables have it: which streams are judged and how, which connection each is on, and how settings are called."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from k2workers import venues
from k2workers.continuity import Guarantee
from k2workers.errors import ConfigError
from k2workers.events import ROW_OF
from k2workers.setting import name_in
from k2workers.venues.topics import topic_of
from k2workers.venues.venue import StreamSpec

BARS = ("kline_1s", "kline_1m")
"""Of the first each state is a final one; the second has many states, and a final one a minute. A market need not have both."""

PAGES = {"trade": "trades", "agg_trade": "aggTrades"}
"""Where REST is asked first for what is missing of a kind of trades."""


class Market:
    """One venue. ``kinds`` are those that are judged: by themselves the venue's usual ones, and bars."""

    def __init__(self, name: str, kinds: Sequence[str] = ()) -> None:
        self.name = name
        self.prefix = f"{name}."
        """Of all its topics."""
        self._venue = venues.load(name)
        usual = (*venues.settings_struct(name).usual_streams, *filter(self.has, BARS))
        self.kinds = tuple(kinds or usual)
        self.bars = tuple(kind for kind in self.kinds if kind in BARS)
        self.trades = next(kind for kind in usual if self.guarantee(kind) is Guarantee.REPAIRABLE)
        """The first kind whose every event comes."""
        self.classes = tuple(self.of_class())
        """Of streams that need a connection each; a single one without a name if all are on one."""
        self.aggregates_join = self.has("trade") and self.guarantee("trade") is Guarantee.REPAIRABLE
        """Whether each trade is in an aggregate: then those of one follow those of the one before."""

    def has(self, kind: str) -> bool:
        """Whether there are streams of this kind."""
        try:
            return bool(self._spec(kind))
        except ConfigError:
            return False

    def _spec(self, kind: str) -> StreamSpec:
        return self._venue.stream_specs([kind], ["A"])[0]

    def suffix(self, kind: str) -> str:
        """What the names of its streams end with, behind the symbol."""
        return self._spec(kind).name.removeprefix("a")

    def guarantee(self, kind: str) -> Guarantee:
        """What a subscriber can rely on, and is judged by."""
        return self._spec(kind).continuity.guarantee

    def timed(self, kind: str) -> bool:
        """Whether its messages tell the venue's time."""
        return ROW_OF[self._spec(kind).event_type].timed

    @property
    def weight_per_minute(self) -> int:
        """What REST allows."""
        return self._venue.limits.rest_weight_per_minute

    @property
    def unit_is_asked(self) -> bool:
        """Whether the address says in which unit times are wanted."""
        (route,) = self._venue.routes([self._spec(self.trades)])
        return "timeUnit" in route.path

    @functools.cache  # noqa: B019 - there are as many markets as names
    def class_of(self, kind: str) -> str:
        """The class that its streams are of."""
        (route,) = self._venue.routes([self._spec(kind)])
        return route.name

    def of_class(self) -> dict[str, tuple[str, ...]]:
        """The kinds of each class."""
        found: dict[str, tuple[str, ...]] = {}
        for kind in self.kinds:
            found[self.class_of(kind)] = (*found.get(self.class_of(kind), ()), kind)
        return found

    def topic(self, kind: str, symbol: str) -> str:
        """Our name of a flow."""
        return topic_of(self.name, kind, symbol)

    def topic_of(self, stream: str) -> str:
        """Our name of one of the venue's streams of a single symbol."""
        symbol, at, suffix = stream.partition("@")
        return self.topic(self._kind_of[at + suffix], symbol.upper())

    @functools.cached_property
    def _kind_of(self) -> dict[str, str]:
        return {self.suffix(kind): kind for kind in self.kinds}

    def flag(self, setting: str) -> str:
        """The flag of one of its settings."""
        return "--" + name_in(self.name, setting).replace("_", "-")

    def variable(self, setting: str) -> str:
        """The environment variable of one of its settings."""
        return "K2_" + name_in(self.name, setting).upper()
