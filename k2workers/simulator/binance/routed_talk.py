"""Owns which streams a client of the futures markets gets: those of the route in its address. The others are acknowledged and stay silent."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from k2workers.simulator.binance.futures_names import ROUTES, UNROUTED, is_valid, route_of
from k2workers.simulator.binance.settings import SimulatorSettings
from k2workers.simulator.binance.talk import UNITS, SpotTalk
from k2workers.simulator.stand_in import Client


class RoutedTalk(SpotTalk):
    """One client. ``routed`` False serves every stream on every route."""

    is_valid = staticmethod(is_valid)

    def __init__(
        self, request: web.Request, settings: SimulatorSettings, refuses: Callable[[list[str]], bool], *, routed: bool
    ) -> None:
        """Raises HTTPBadRequest."""
        self._route = UNROUTED
        super().__init__(request, settings, refuses)
        self._routed = routed
        self.silent = dict.fromkeys(name for name in self.names if not self.brings(name))
        self.names = [name for name in self.names if self.brings(name)]

    def unit_of(self, request: web.Request) -> int:
        """No unit can be asked for, as far as documents say."""
        return UNITS["MILLISECOND"]

    def path_of(self, path: str) -> str:
        """What follows the route."""
        first, _, rest = path[1:].partition("/")
        if first not in ROUTES:
            return path
        self._route = first
        return "/" + rest

    def brings(self, name: str) -> bool:
        """Whether a stream comes on this route."""
        return not self._routed or route_of(name) == self._route

    def answer(self, text: str, client: Client) -> str | None:
        """As spot's, but that not all that is subscribed comes."""
        return super().answer(text, _OnRoute(client, self))


class _OnRoute:
    """A client whose subscriptions of other routes' streams are only noted."""

    def __init__(self, client: Client, talk: RoutedTalk) -> None:
        self._client = client
        self._talk = talk

    @property
    def names(self) -> list[str]:
        return [*self._client.names, *self._talk.silent]

    def subscribe(self, names: list[str]) -> None:
        brings = self._talk.brings
        self._talk.silent.update(dict.fromkeys(name for name in names if not brings(name)))
        own = [name for name in names if brings(name)]
        if own:
            self._client.subscribe(own)

    def unsubscribe(self, names: list[str]) -> None:
        for name in names:
            self._talk.silent.pop(name, None)
        self._client.unsubscribe(names)
