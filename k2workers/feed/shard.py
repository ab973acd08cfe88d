"""Owns one shard's feed: a driver for each route that its streams are on, each with an intake and a backfill, and what all of them are together.

A topic is on exactly one route. So what is told of topics goes to every route, and each takes what is its own; what one route loses is no
other's loss. With a single route the shard is what that one is.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, TypeVar

import msgspec
import structlog

from k2workers import wire
from k2workers.events import Event
from k2workers.feed.backfiller import Backfiller, WeightGrants
from k2workers.feed.driver import Driver
from k2workers.feed.feed_settings import FeedSettings
from k2workers.feed.intake import Intake
from k2workers.feed.plain_lane import FrameOutlet
from k2workers.feed.polling import Polling
from k2workers.feed.rotation_permission import Grants
from k2workers.feed.silence import LookUrgency, MarketView
from k2workers.rotation.record import RotationRecord
from k2workers.sequencing.backfill_planner import BackfillPolicy
from k2workers.sequencing.coverage import Holes, PublishedPosition, Reached
from k2workers.venues.venue import History, Route, StreamSpec, Venue

Told = TypeVar("Told")

_log = structlog.get_logger(__name__)


class RoutePermissions(Grants, WeightGrants, Protocol):
    """Where one route asks for permission, to connect and to ask over REST."""


Label = TypeVar("Label", str, tuple[str, str])


class RouteFeed(NamedTuple):
    """What serves one route."""

    driver: Driver
    intake: Intake
    backfiller: Backfiller


class Shard:
    """One shard's feed. ``start`` it inside a running loop, and add streams only then; ``stop`` returns when all lines are closed.

    ``settings`` are those of the first route. ``permissions`` makes what the route with this rotation slot asks. The others: see ``Driver``.
    """

    def __init__(
        self,
        settings: FeedSettings,
        venue: Venue,
        specs: Sequence[StreamSpec],
        *,
        history: History,
        permissions: Callable[[int], RoutePermissions],
        push: Callable[[list[wire.Batch]], object],
        on_record: Callable[[RotationRecord], None],
        observe_latency: Callable[[int], None],
        ssl_context: ssl.SSLContext | None = None,
        frames: FrameOutlet | None = None,
    ) -> None:
        self._settings = settings
        self._venue = venue
        self._history = history
        self._permissions = permissions
        self._driver_of = functools.partial(
            Driver,
            push=push,
            on_record=on_record,
            observe_latency=observe_latency,
            ssl_context=ssl_context,
            frames=frames,
        )
        self._published: Mapping[str, PublishedPosition] | None = None
        self._feeds: dict[str, RouteFeed] = {}
        """By the route's name."""
        self._stopping = False
        self.polling = Polling(history, permissions(settings.slot), push)
        self.polling.add(venue.polls(specs))
        for route in venue.routes(specs):
            self._make(route)

    # ── its life ────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Continue after what was published, as far as anybody has told, and begin to connect."""
        for name in self._feeds:
            self._start(name)
        self.polling.start()

    async def stop(self) -> None:
        """Close every line with 1000 and push what arrives until the venue's close replies.

        What fails to stop keeps nothing else from it; the first failure is raised at the end.
        """
        self._stopping = True
        outcomes = await asyncio.gather(*(feed.driver.stop() for feed in self), return_exceptions=True)
        outcomes += await asyncio.gather(
            self.polling.stop(), *(feed.backfiller.stop() for feed in self), return_exceptions=True
        )
        for failure in outcomes:
            if failure is not None:
                raise failure

    def add_streams(self, specs: Sequence[StreamSpec]) -> bool:
        """Serve these streams too, from now on. False if it stops already: then nothing begins."""
        if self._stopping:
            return False
        for route in self._venue.routes(specs):
            if route.name in self._feeds:
                with _named(route.name):
                    self._feeds[route.name].driver.add_streams(route.specs)
            else:
                self._make(route)
                self._start(route.name)
        self.polling.add(self._venue.polls(specs))
        return True

    def _make(self, route: Route) -> None:
        slot = self._settings.slot + len(self._feeds)
        permissions = self._permissions(slot)
        settings = msgspec.structs.replace(self._settings, slot=slot)
        driver = self._driver_of(settings, self._venue, route, grants=permissions)
        intake = driver.intake
        backfiller = Backfiller(intake, self._history, permissions, BackfillPolicy())
        driver.on_live = backfiller.probe
        driver.on_withheld = backfiller.probe
        backfiller.repairs.on_confirmed = lambda topic_index, newer: driver.topics.fetched(
            topic_index, newer, time.monotonic_ns()
        )
        intake.on_began_anew, intake.on_outlier = _tell_began_anew, _tell_outlier
        intake.on_others_expected = lambda symbol: self._expect_anew(symbol, intake)
        self._feeds[route.name] = RouteFeed(driver, intake, backfiller)

    def _start(self, name: str) -> None:
        feed = self._feeds[name]
        with _named(name):
            feed.intake.resume(self._published)
            feed.backfiller.start()
            feed.driver.start()

    def _expect_anew(self, symbol: str, known: Intake) -> None:
        for feed in self:
            if feed.intake is not known:
                feed.intake.expect_anew(symbol)

    # ── its topics ──────────────────────────────────────────────────────────────────────────────────────

    def published(self, positions: Mapping[str, PublishedPosition]) -> None:
        """Where the topics stand, as an aggregator tells it: those go on from there of which nothing has come yet."""
        self._published = positions
        for feed in self:
            if feed.intake.resume_late(positions):
                feed.backfiller.probe()

    def reached(self) -> dict[str, Reached]:
        """See ``Intake.reached``."""
        return self._joined(Intake.reached)

    def open_gaps(self) -> Holes:
        """See ``Intake.open_gaps``."""
        return self._joined(Intake.open_gaps)

    def begun(self) -> dict[str, Reached]:
        """See ``Intake.begun``."""
        return self._joined(lambda intake: intake.begun)

    def reopen(self, holes: Holes) -> None:
        """See ``Intake.reopen``."""
        for feed in self:
            feed.intake.reopen(holes)

    def announce(self, holes: Holes) -> None:
        """See ``Intake.announce``."""
        for feed in self:
            feed.intake.announce(holes)

    def publish_books(self, under: Sequence[str], kept: Collection[str]) -> int:
        """See ``Intake.publish_books``."""
        return self.total(lambda feed: feed.intake.publish_books(under, kept))

    def seen(self, view: MarketView) -> None:
        """See ``Driver.seen``."""
        for name, feed in self._feeds.items():
            with _named(name):
                feed.driver.seen(view)

    def _joined(self, told: Callable[[Intake], Mapping[str, Told]]) -> dict[str, Told]:
        """What each route tells, by topic."""
        return {topic: what for feed in self for topic, what in told(feed.intake).items()}

    # ── its figures ─────────────────────────────────────────────────────────────────────────────────────

    def __iter__(self) -> Iterator[RouteFeed]:
        return iter(self._feeds.values())

    def total(self, count: Callable[[RouteFeed], int]) -> int:
        """The sum over all routes."""
        return sum(map(count, self))

    def by_label(self, counts: Callable[[RouteFeed], Mapping[Label, int]]) -> Mapping[Label, int]:
        """The sums over all routes, of each label."""
        sums: Counter[Label] = Counter()
        for feed in self:
            sums.update(counts(feed))  # adding Counters would lose the labels that stand at 0
        return sums

    @property
    def requests(self) -> Mapping[str, int]:
        """REST requests of all routes, and for what no stream brings, by outcome."""
        sums = Counter(self.by_label(lambda feed: feed.backfiller.requests))
        sums.update(self.polling.requests)
        return sums

    @property
    def rows_dropped(self) -> int:
        """Rows of the venue's REST answers that could not be read so far: all routes ask through one client."""
        return self._history.rows_dropped

    @property
    def refused(self) -> dict[str, str]:
        """The streams that the venue refuses, and its words."""
        return {name: words for feed in self for name, words in feed.driver.lines.subscriptions.refused.items()}

    @property
    def kinds_unreadable(self) -> list[str]:
        """Kinds of which nothing can be read."""
        return sorted({kind for feed in self for kind in feed.intake.dropped.readability.unreadable})

    @property
    def live(self) -> bool:
        """Whether a primary carries the feed on every route."""
        return all(feed.driver.live for feed in self)

    @property
    def fresh(self) -> bool:
        """Whether the primary of every route was heard from lately."""
        return all(feed.driver.fresh for feed in self)

    @property
    def weakest(self) -> Driver:
        """The route that is worst off; it speaks for all where only one can."""
        return min(
            (feed.driver for feed in self),
            key=lambda driver: (driver.live, driver.fresh, driver.machine.standby is None),
        )

    @property
    def data_expected(self) -> bool:
        """Whether every route brings data so often that it will be missed."""
        return all(feed.driver.data_expected for feed in self)

    @property
    def market_quiet(self) -> bool:
        """Whether no route brings anything, because the venue has nothing."""
        return all(feed.driver.market_quiet for feed in self)

    @property
    def look_wanted(self) -> LookUrgency:
        """How urgently a look at the whole market is wanted."""
        return max(feed.driver.look_wanted for feed in self)

    @property
    def lifetime_s(self) -> float:
        """How long the oldest primary has carried the feed; 0 while there is none."""
        return max(feed.driver.lifetime_s for feed in self)

    @property
    def next_rotation_s(self) -> float:
        """Time to the next planned rotation of any route; 0 when one is due or has no primary."""
        return min(feed.driver.next_rotation_s for feed in self)


def _named(route: str) -> AbstractContextManager[None]:
    """Whatever is logged inside, and by all that begins there, says of which route it is, at a venue with several."""
    return structlog.contextvars.bound_contextvars(**({"route": route} if route else {}))


def _tell_began_anew(topic: str, last_old_id: int, first_new_id: int) -> None:
    _log.warning("ids_began_anew", topic=topic, last_old_id=last_old_id, first_new_id=first_new_id)


def _tell_outlier(topic: str, event: Event, total: int) -> None:
    _log.warning("outlier_dropped", topic=topic, id=event.last_id, total=total)
