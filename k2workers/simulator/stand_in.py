"""Owns the border between the exchange and the venue it stands in for: what a venue's package gives, whichever the venue is.

The exchange has sockets, limits, faults and the truth about what was sent; the market, the names of streams and every text are the venue's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from aiohttp import web

Render = Callable[[int], str]
"""How many µs the connection's unit of time has → the payload's text."""

Form = Hashable
"""How a connection wants its messages; alike forms get the same bytes."""


class Emission(NamedTuple):
    """One event of one stream, its ids and the way to its text; rendered only for connections that want it."""

    stream: str
    first_id: int
    last_id: int
    render: Render


class TradedSymbol(Protocol):
    """A symbol as faults act on it."""

    def be(self, status: str | None, *, listed: bool) -> None:
        """From now on it has this status, in the venue's words; None is that of one that trades."""

    def keep_books(self, windows: int) -> None:
        """From now on the book at the end of this many windows is kept, or of none."""

    def log_books(self, lines: list[str]) -> None:
        """From now on a line about the whole book, whenever changes of it are told, is added to these."""

    def skip_ids(self, count: int) -> None:
        """The next trade ids never exist."""

    def walk(self, levels: int) -> None:
        """The market falls by so many levels of the book."""

    def renumber(self, first: int) -> None:
        """All ids begin anew here."""


class MarketSource(Protocol):
    """A market: symbols, and events as time passes. ``running`` and ``halted`` are set by the exchange."""

    recorded: bool
    """Whether it is played from files."""
    finished: bool
    """Whether nothing more will come."""
    running: bool
    """Whether time passes."""
    halted: bool
    """Nothing happens: as not ``running``, by a fault."""
    pushes_on_s: float
    """So long after a halt what stands is still pushed as it is."""
    unpaced: bool
    """Whether it goes as fast as it is asked."""

    @property
    def symbols(self) -> Mapping[str, TradedSymbol]: ...

    @property
    def left_out(self) -> Mapping[str, int]:
        """What of the files is not played → how many messages."""

    def subscribed(self, now_ns: int) -> None:
        """A client has subscribed to something."""

    def advance(self, now_ns: int) -> list[Emission]:
        """What happened up to now."""


class Client(Protocol):
    """A connection as its requests see it."""

    @property
    def names(self) -> list[str]: ...

    def subscribe(self, names: list[str]) -> None: ...

    def unsubscribe(self, names: list[str]) -> None: ...


class Talk(Protocol):
    """How the venue speaks with one client, from what the client's address asked for on."""

    @property
    def names(self) -> Sequence[str]:
        """The streams in the address."""

    @property
    def form(self) -> Form: ...

    def ignore_unit(self) -> None:
        """Whatever unit of time was asked for, it is the venue's usual one."""

    def answer(self, text: str, client: Client) -> str | None:
        """The reply to one text message, whose request is carried out; None if the venue would give none."""

    def notice(self) -> str:
        """That the connection will end soon."""


class Answered(NamedTuple):
    """An answer to a REST request, and what the request weighed."""

    response: web.Response
    weight: int


Spoil = Callable[[list[Any]], None]
"""Changes the rows of a reply as the faults in effect say."""


class Streams(Protocol):
    """What the hub asks about streams and their messages."""

    def kind_of(self, stream: str) -> str:
        """Its kind, in k2workers' words."""

    def chained(self, kind: str) -> bool:
        """Whether the ids of such a stream form an unbroken chain."""

    def message(self, emission: Emission, form: Any) -> bytes:
        """The whole message in this form."""

    def glitched(self, payload: bytes, what: str) -> bytes:
        """The message with ids (``what`` is id) or times far from those that it has."""


class StandIn(Streams, Protocol):
    """All that a venue's package gives one exchange; ``open_market`` is called first."""

    fault_defaults: Mapping[str, Mapping[str, Any]]
    """Kind of fault → its keys that are this venue's names, where nothing else is said."""
    addresses: tuple[str, ...]
    """Paths of WebSockets, as patterns; any other is a WebSocket too if the client asks for one."""
    rest_path: str
    """What the paths of all REST calls begin with."""
    intervals: Collection[str]
    """Of bars."""

    def open_market(self, wanted: set[str], now_ns: int) -> MarketSource:
        """The market; ``wanted`` is the live set of streams that have ever had a subscriber."""

    def talk(self, request: web.Request) -> Talk:
        """What the address asks for. Raises web.HTTPException to refuse it."""

    def calls(self) -> Mapping[str, Callable[[web.Request, Spoil], Answered]]:
        """Path below ``rest_path`` → who answers."""

    def refusal(self, status: int, values: Mapping[str, Any], *, rest: bool) -> web.Response:
        """The answer to a handshake or a REST request that a fault with these values refuses."""

    def not_found(self) -> web.Response:
        """The answer to a path that is no call of the venue."""

    def books(self) -> Mapping[str, Any]:
        """Symbol → every level of its book, as REST would say it."""

    def bars(self, interval: str) -> Mapping[str, Any]:
        """Symbol → its final bars that are remembered, as REST would say them."""

    def memory(self) -> Mapping[str, int]:
        """What is remembered for REST, and the bounds of it."""
