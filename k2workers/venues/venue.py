"""Owns what the feed needs of any venue: types, limits, and the protocols that a venue fulfils.

Knows no venue. Everything that is true of one exchange only stands in its own package beside this file.
"""

from __future__ import annotations

import enum
import ssl
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec

from k2workers.continuity import Continuity
from k2workers.errors import VenueError
from k2workers.events import BookSnapshot, Event
from k2workers.network.venue_answers import Pauses
from k2workers.venues.market_evidence import Evidence, MarketLook
from k2workers.venues.message_shape import Written


class Outcome(enum.IntEnum):
    """What one message of the venue was."""

    EVENTS = 0
    REPLY = 1
    SHUTDOWN_NOTICE = 2
    UNKNOWN_STREAM = 3
    """Data of a stream that was not asked for."""
    MALFORMED = 4
    UNKNOWN_NOTICE = 5
    """JSON that is neither data, reply nor a notice that is known."""


TRADING = "TRADING"
"""The status of a symbol that trades, whatever the venue calls it."""

VANISHED = "not listed any longer"
"""The status of a symbol that is served and that the venue lists no longer."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The venue's documented limits that decide how a feed is built."""

    streams_per_connection: int
    subscribe_rate: float
    """Requests a second that we allow ourselves; below the venue's limit because pongs count in it."""
    subscribe_bytes: int
    connects_per_window: int
    connect_window_ns: int
    max_connection_age_ns: int
    ping_interval_ns: int
    """How often the venue pings a connection: on one that is in order, something comes at least as often."""
    rest_weight_per_minute: int


class StreamSpec(msgspec.Struct, frozen=True):
    """One venue stream to subscribe: ``name`` as the venue spells it; ``symbol`` is empty for all-market streams."""

    name: str
    kind: str
    symbol: str
    event_type: type[Event]
    continuity: Continuity


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A connection that a shard needs, and the streams that it carries. A stream's kind says which route it is on: each is on exactly one."""

    name: str = ""
    """Tells it from the venue's other routes, also to readers of logs; empty if there is only one."""
    path: str
    """What follows the venue's address."""
    other_path: str = ""
    """What follows it if the venue refuses the handshake there: of a venue whose paths are in doubt."""
    specs: Sequence[StreamSpec]
    limits: Limits
    """What holds for a connection of this route. What counts for an IP is taken from ``Venue.limits``."""

    def url(self, address: str, *, other: bool = False) -> str:
        """Where to connect to, if the venue is at this address."""
        return address.rstrip("/") + (self.other_path if other else self.path)


class Topic(msgspec.Struct, frozen=True):
    """One flow of events as subscribers see it."""

    topic: str
    kind: str
    symbol: str
    continuity: Continuity


class Poll(msgspec.Struct, frozen=True):
    """A topic that no stream brings: its latest value is asked for over REST every ``every_s``, for this weight."""

    topic: Topic
    weight: int
    every_s: float


class Reply(msgspec.Struct, frozen=True):
    """The venue's answer to a request of ours; ``code`` and ``message`` are set when it refused."""

    id: int | None
    ok: bool
    code: int = 0
    message: str = ""
    result: Any = None


class Codec(Protocol):
    """Decodes the messages of one route's lines. One object serves all of them in a worker."""

    topics: list[Topic]
    """Grows when an all-market stream shows a new symbol, or with ``add``; the index of a topic never changes."""
    last_reply: Reply
    malformed_cause: str
    malformed_kind: str
    """The kind of stream whose message, or elements, ``decode`` could not read last; empty if that cannot be told, or all was read."""
    written: Written
    """How the messages of its streams are written; another object whenever that has changed. ``NOTHING_WRITTEN`` if it tells nothing."""
    odd_elements: int
    """How many elements of the list in the last message that ``decode`` took were left out; ``malformed_cause`` says why."""

    def add(self, specs: Sequence[StreamSpec]) -> None:
        """Read these streams too, from now on. ``topics`` only grows: the index of a topic never changes."""

    def decode_together(self, messages: memoryview, count: int, received_ns: int) -> dict[int, list[Event]] | None:
        """The fast way for ``count`` messages that lie together as a JSON array: the events of each topic, by its index in ``topics``.

        None if they are not as many messages of plain data; then ``decode`` them one by one. Keeps no view of them. Never raises.
        """

    def decode(self, message: bytes, received_ns: int, out: list[tuple[int, Event]]) -> Outcome:
        """Append (index in ``topics``, event) for every event in the message. Never raises, whatever the bytes."""


class Fetched(msgspec.Struct, frozen=True):
    """What a backfill request brought: events in rising id order, and the id range for which the reply speaks.

    Ids in ``covered`` that no event stands for do not exist, or are late in the venue's database; None: it speaks for
    nothing. What the venue's answers prove beyond that: ``void`` ids never existed, ``exist`` do although they did not come,
    ``unavailable`` can be had neither now nor later. ``full``: the venue may have newer ones than those in ``covered``.
    """

    events: list[Event]
    covered: tuple[int, int] | None
    void: Sequence[tuple[int, int]] = ()
    exist: Sequence[tuple[int, int]] = ()
    unavailable: Sequence[tuple[int, int]] = ()
    full: bool = False


class FetchedBook(msgspec.Struct, frozen=True):
    """A book as REST has it. ``cut``: a deep request would bring more levels; ``levels`` of each side were asked for, and one that has as many may have more."""

    snapshot: BookSnapshot
    cut: bool
    levels: int


class History(Protocol):
    """A venue's REST, as far as backfill needs it. Used as ``async with``; every call may raise VenueError."""

    used_weight: int
    """Weight used in the venue's current window by this IP, as the last answer reported."""
    rows_dropped: int
    """Rows of answers that could not be read so far. No answer speaks for the ids that they may have held."""

    async def __aenter__(self) -> Self:
        """Open connections lazily."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close them."""

    def weight(self, topic: Topic, *, doubted: bool = False) -> int:
        """What ``fetch`` costs at most in the venue's allowance."""

    async def fetch(self, topic: Topic, first_id: int, last_id: int, attempt: int, *, doubted: bool = False) -> Fetched:
        """Events with these ids. ``attempt`` counts from 0: another source may be asked the second time. ``doubted``: a reply has denied
        them; look for proof as well.
        """

    async def poll(self, topic: Topic) -> Event | None:
        """The latest value of a topic of ``Venue.polls``; None if it has none."""

    def book_weight(self, topic: Topic, *, deep: bool) -> int:
        """What ``book`` costs."""

    async def book(self, topic: Topic, *, deep: bool) -> FetchedBook:
        """The book as it stands: with all levels that are wanted, or only with as many as are cheap."""


class Choice(msgspec.Struct, frozen=True):
    """The symbols that names and patterns select. Every name is in one of the fields only."""

    served: dict[str, str]
    """Symbol → its status, in a stable order."""
    unknown: dict[str, str]
    """Names that the venue does not list → the nearest that it does, or nothing."""
    left_out: dict[str, str]
    """Listed names that cannot be served → why."""
    awaited: int
    """How many listed symbols match a pattern and are not served until they trade."""
    status_of: dict[str, str]
    """Symbol → its status, of all that the venue was asked for."""
    mistake: str = ""
    """Why nothing that is asked for can be served, now or later; empty if something can, or if the list was not read whole."""


class Listing(Protocol):
    """Which symbols the venue lists, for one run: it remembers earlier answers, so that a later look costs little."""

    weight: int
    """What one look costs at most in the venue's allowance."""

    async def look(self, selectors: Sequence[str], now_ns: int) -> tuple[Choice, int]:
        """What the venue lists for these names and patterns, and the REST weight per minute that it allows (0: it does not say).

        ``now_ns`` is monotonic. Raises VenueError.
        """


class Venue(Protocol):
    """One market of an exchange."""

    name: str
    """The first part of its topics and settings, and the label of its metrics. It stands nowhere else: whoever needs it asks."""
    limits: Limits
    pauses: Pauses
    """Which refusals pause which services."""

    @property
    def rest_pool(self) -> str:
        """Which allowance of REST weight its requests count in: its own name, unless another market of the exchange counts with it."""

    @property
    def ca_bundle_setting(self) -> str:
        """By which name the user knows ``VenueSettings.ca_bundle`` of this venue: for words."""

    def stream_specs(self, kinds: Sequence[str], symbols: Sequence[str]) -> list[StreamSpec]:
        """The streams of these kinds for these symbols; one of the whole market is there whatever the symbols, even without any.

        Raises ConfigError for an unknown kind, or kinds that do not fit together.
        """

    def subscribe_chunks(self, names: Sequence[str]) -> list[list[str]]:
        """The names in parts that each fit into one request."""

    def subscribe_message(self, names: Sequence[str], request_id: int) -> bytes:
        """A request that subscribes these names."""

    def read_refusal(
        self, asked: str, status: int, headers: Mapping[str, str], body: bytes, now_s: float
    ) -> VenueError:
        """What an HTTP answer other than a success means.

        ``asked`` is the address for the message, ``headers`` have small letters, ``now_s`` is the epoch time.
        """

    def routes(self, specs: Sequence[StreamSpec]) -> list[Route]:
        """The connections that carry these streams, always in the same order; none without streams."""

    def polls(self, specs: Sequence[StreamSpec]) -> list[Poll]:
        """Those of these that are no streams: on no route, but asked for."""

    def history(self, base_url: str, ssl_context: ssl.SSLContext | None, book_levels: int) -> History:
        """Its REST client for repairs."""

    def book_sizes(self, book_levels: int) -> tuple[int, ...]:
        """The numbers of levels of each side that this client asks for."""

    def listing(self, base_url: str, ssl_context: ssl.SSLContext | None) -> Listing:
        """Its answers to which symbols there are."""

    def market_look(self, base_url: str, ssl_context: ssl.SSLContext | None) -> MarketLook:
        """Its answers to what the market as a whole does."""

    async def clock_ns(self, base_url: str, ssl_context: ssl.SSLContext | None) -> int:
        """The time that the venue's clock shows, since the epoch. Raises VenueError."""

    def evidence(self, kind: str) -> Evidence:
        """What a look at the market tells of topics of this kind."""

    def list_message(self, request_id: int) -> bytes:
        """A request for the names of all streams that the connection has; the reply's ``result`` is the list."""

    def codec(self, specs: Sequence[StreamSpec]) -> Codec:
        """A decoder for these streams."""
