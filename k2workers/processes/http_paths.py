"""Owns what the parent answers over HTTP: who answers at which path, and what those need to be told of the run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from k2workers.config import Settings
from k2workers.metrics.exporter import MetricsServer, alike
from k2workers.page.page_files import PageFiles
from k2workers.page.viewers import Viewers
from k2workers.processes import run_plan
from k2workers.processes.book_page import BookPage
from k2workers.processes.market_feed import MarketFeed
from k2workers.processes.page_view import PageView
from k2workers.processes.resource_meter import ResourceMeter
from k2workers.processes.status import RunView
from k2workers.processes.topic_page import TopicPage
from k2workers.rotation.record import RotationRecord
from k2workers.supervision.control_messages import Record
from k2workers.supervision.supervisor import Supervisor


class HttpPaths:
    """The HTTP port of one run, from ``start`` to ``stop``. ``heard`` is told every record of the children, ``look`` is called about once a second."""

    def __init__(
        self,
        settings: Settings,
        supervisor: Supervisor,
        feeds: Sequence[MarketFeed],
        view: RunView,
        meter: ResourceMeter,
    ) -> None:
        self._feeds = feeds
        prefixes = {feed.plan.name: feed.plan.book_prefixes[0] for feed in feeds if feed.plan.book_prefixes}
        self._books = BookPage(prefixes, self._symbols_of)
        self._view = PageView(view, supervisor, feeds, meter)
        self._viewers = Viewers(self._view.parts)
        self._topics = TopicPage(
            [*(f"{feed.plan.name}." for feed in feeds), run_plan.STATUS_PREFIX],
            lambda: self._server.ask(self._view.knows),
        )
        files = PageFiles()
        self._server = MetricsServer(
            settings.http_host,
            settings.http_port,
            get_status=lambda: view.status().as_data(),
            unhealthy=view.unhealthy,
            unready=view.reasons,
            only_here=lambda: meter.only_here,
            others={
                "/": files.page,
                "/page/": files.answer,
                "/events": self._viewers.answer,
                "/trail": alike(lambda: self._view.trail(self._server.ask)),
                "/topics": self._topics.answer,
                "/book/": self._books.answer,
            },
        )
        self.look = self._view.look

    @property
    def url(self) -> str:
        """Where it is found."""
        return self._server.url

    async def start(self) -> None:
        """Begin to answer. Raises ConfigError if that cannot be."""
        await self._server.start()
        self._viewers.start(asyncio.get_running_loop().call_soon_threadsafe)

    async def stop(self) -> None:
        """Answer no longer. Requests under way are not waited for."""
        self._viewers.stop()
        await self._server.stop()
        self._books.close()
        self._topics.close()

    def heard(self, record: Record) -> None:
        """A child told this."""
        if record.kind == "rotation":
            self._view.rotated(record.name, msgspec.convert(record.data, RotationRecord))
        elif (record.name, record.kind) == (run_plan.BOOKS, "listening"):
            self._books.listening(record.data["books"])
        elif (record.name, record.kind) == (run_plan.AGGREGATOR, "listening"):
            self._topics.listening(record.data["snapshot"])

    def _symbols_of(self, venue: str) -> list[str]:
        return next(feed.symbols.symbols for feed in self._feeds if feed.plan.name == venue)
