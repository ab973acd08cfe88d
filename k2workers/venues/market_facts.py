"""Owns the form in which the facts of a market are written down before there is code for it. Pure: data, and what follows from it.

Of a market that only has facts, nothing can be loaded. Its package holds them as ``FACTS``, so that whoever builds it, or changes the border,
works from what the exchange does and not from memory. Each fact says how sure it is; what is not sure is probed before it is promised.
"""

from __future__ import annotations

import enum

import msgspec

from k2workers.continuity import Continuity, Guarantee
from k2workers.events import Event


class Sure(enum.Enum):
    """Where a fact comes from."""

    DOCUMENTS = "the exchange's own documents"
    CODE = "code or notes of a library that is used with it"
    REPORT = "a user's report"
    NO = "inference, or inference, not checked against the documents"


class Counted(enum.Enum):
    """What a limit counts."""

    CONNECTS = "attempts to connect"
    OPEN = "connections at the same time"
    MESSAGES = "messages of ours"
    SUBSCRIPTIONS = "requests that subscribe or unsubscribe"
    NAMES = "streams in one request"
    BYTES = "bytes of one request"
    NAME_BYTES = "bytes of the names of all streams"
    REQUESTS = "REST requests"


class Over(enum.Enum):
    """What is counted together."""

    REQUEST = "one request"
    CONNECTION = "a connection"
    ADDRESS = "all that comes from one IP"
    ENDPOINT = "all requests of one IP to one endpoint"


class LimitFact(msgspec.Struct, frozen=True, kw_only=True):
    """At most ``most`` within any ``window_s``; 0 seconds: at any moment. ``endpoint`` says which one, if each has its own."""

    counted: Counted
    most: int
    over: Over
    window_s: float = 0
    endpoint: str = ""
    sure: Sure = Sure.DOCUMENTS


class KeepaliveFact(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps a connection alive: ``send`` every ``every_s``, or a ``channel`` of heartbeats that comes so often; cut after ``cut_after_s``.

    ``answer`` is how what comes back begins. Protocol pings are answered in any case.
    """

    send: bytes = b""
    answer: bytes = b""
    channel: str = ""
    every_s: float
    cut_after_s: float
    sure: Sure = Sure.DOCUMENTS


class Settles(enum.Enum):
    """Which streams an answer to a request settles."""

    REQUEST = "all of the request, by its id"
    STREAM = "one stream, which it names"
    LIST = "it lists all streams that the connection has"


class WholeFrom(enum.Enum):
    """Where the whole state comes from that changes are applied to."""

    NONE = "there are no changes: each event stands by itself"
    STREAM = "the first message after subscribing"
    REST = "a request"


class Ends(enum.Enum):
    """How a bar is known to be final."""

    NO_BAR = "it is no bar"
    FLAG = "it says so"
    SUCCESSOR = "the next one has begun"


class RefetchFact(msgspec.Struct, frozen=True, kw_only=True):
    """The request that brings missing events again: rows in one answer, and for how long they can be had (None: for ever, as far as is known)."""

    endpoint: str
    page: int
    horizon_s: float | None = None
    newest_first: bool = False
    sure: Sure = Sure.DOCUMENTS


class TopicFact(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of topic. ``stream`` is the venue's name of it, with ``{symbol}`` in its place; ``route`` is one of the market's."""

    kind: str
    event_type: type[Event]
    stream: str
    continuity: Continuity
    route: str = "public"
    whole_from: WholeFrom = WholeFrom.NONE
    ends: Ends = Ends.NO_BAR
    depth: int | None = None
    """Levels of each side; None: all, or no book."""
    cut_by_us: bool = False
    """Levels beyond ``depth`` are not deleted by the venue."""
    refetch: RefetchFact | None = None
    sure: Sure = Sure.DOCUMENTS
    """Of the continuity: what is not from the documents must be probed before it is published."""
    note: str = ""

    @property
    def guarantee(self) -> Guarantee:
        """What a subscriber could rely on."""
        return self.continuity.guarantee


class MarketFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one market. ``unsure`` names those of its fields that are not from the documents."""

    name: str
    """The first part of its topics."""
    routes: dict[str, str]
    """Name → address. A shard needs a connection for each route that its topics are on."""
    rest_url: str
    symbol: str
    """How it spells bitcoin against its main dollar."""
    settles: Settles
    limits: tuple[LimitFact, ...]
    keepalive: KeepaliveFact | None
    topics: tuple[TopicFact, ...]
    max_age_s: float | None = None
    first_request_s: float | None = None
    """How soon after connecting the first request must come."""
    notice_s: float | None = None
    """How long before a cut it is announced, on ``notice_routes``."""
    notice_routes: frozenset[str] = frozenset()
    connection_counter: str = ""
    """The field that counts all messages of a connection, whatever they are."""
    decimals_are_numbers: bool = False
    side_is_makers: bool | None = False
    """Whose side a trade names; None: to be settled."""
    refused_status: int | None = 429
    """The HTTP status of a request too many; None: it is told in the body of a 200."""
    unsure: frozenset[str] = frozenset()


DAY_S = 86_400.0
