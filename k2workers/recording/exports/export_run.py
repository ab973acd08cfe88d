"""Owns an export as a whole: which files are made of a recording, and what they lack. Nothing that the recording does not have goes by without a word."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Iterable
from operator import attrgetter
from pathlib import Path

import msgspec

from k2workers import venues
from k2workers.errors import ConfigError
from k2workers.recording import catalog, layout
from k2workers.recording.exports import sources
from k2workers.recording.exports.book_steps import DAY_NS, Step, book_steps, plain_steps
from k2workers.recording.exports.day_file import HftbacktestFile, TardisFile
from k2workers.recording.exports.exported import Exported, FileMade
from k2workers.recording.exports.recorded_topic import ALL, RecordedTopic, Window
from k2workers.recording.exports.sources import HFTBACKTEST, FileSource
from k2workers.recording.exports.tardis import TardisLines, is_off_book
from k2workers.recording.layout import FilePlace
from k2workers.recording.verification import waiting_bytes
from k2workers.wanted import wants

SUFFIXES = {HFTBACKTEST: ".npz", sources.TARDIS_CSV: ".csv.gz"}

OFF_BOOK, WITHOUT_BOOK = "beside the order book", "changes without a book"


class ExportSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What to export, where to and how; ``replace`` allows that files which are there are written anew."""

    directory: Path
    to: Path
    form: str
    topics: tuple[str, ...] = ()
    window: Window = ALL
    replace: bool = False


def export(settings: ExportSettings, tell: Callable[[str], None]) -> Exported:
    """Make the files, and tell of holes and damages when they are met. Raises ConfigError for what cannot be: nothing to export, files that are there, a place that cannot be written."""
    return _Export(settings, tell).run()


class _Export:
    """One run."""

    def __init__(self, settings: ExportSettings, tell: Callable[[str], None]) -> None:
        self._settings, self._tell = settings, tell
        self._damaged: dict[Path, str] = {}
        there = catalog.look(settings.directory)
        self._told = there.told
        for path, reason in there.unreadable.items():
            self._damaged[path] = reason
            tell(f"damaged: {path}: {reason}")
        matches = wants(settings.topics)
        self._places: dict[str, list[FilePlace]] = {
            topic: list(files)
            for topic, files in itertools.groupby(there.files, attrgetter("topic"))
            if not settings.topics or matches(topic)
        }

    def run(self) -> Exported:
        """All of it."""
        directory, to, form = self._settings.directory, self._settings.to, self._settings.form
        chosen, left_out = sources.sources(form, self._places)
        if not chosen:
            raise ConfigError(f"'{directory}': of the topics asked for it has none that {form} has a place for")
        self._refuse_what_is_there(chosen)
        files: list[FileMade] = []
        try:
            to.mkdir(parents=True, exist_ok=True)
            for source in chosen:
                files += self._of_source(source)
        except OSError as error:
            raise ConfigError(f"'{error.filename or to}': cannot be written ({error.strerror or error})") from None
        damaged = {layout.name_of(directory, path): reason for path, reason in self._damaged.items()}
        whole = not damaged and not any(file.missing or file.twice for file in files)
        return Exported(whole, files, damaged, left_out, waiting_bytes(directory))

    # ── one source ──────────────────────────────────────────────────────────────────────────────────────

    def _of_source(self, source: FileSource) -> list[FileMade]:
        """Its files, one a day, and what they lack."""
        window = self._settings.window
        topics = [RecordedTopic(topic, self._places[topic], self._told, self._tell, window) for topic in source.topics]
        without: Counter[int] = Counter()
        streams = [
            book_steps(topic.rows(), window.from_ns, without)
            if sources.is_of_book(topic.topic)
            else plain_steps(topic.rows(), window.from_ns)
            for topic in topics
        ]
        found: dict[str, FileMade] = {}

        def of_day(day: str) -> FileMade:
            return found.setdefault(day, FileMade(self._path(source, day).name, source.topics))

        begin = self._way_to_begin(source)
        steps = heapq.merge(*streams, key=attrgetter("at_ns"))
        for number, steps_of_day in itertools.groupby(steps, lambda step: step.at_ns // DAY_NS):
            day = layout.day_of(number * DAY_NS)
            self._make(begin, self._path(source, day), steps_of_day, of_day(day))
        for number in +without:
            of_day(layout.day_of(number * DAY_NS)).unused[WITHOUT_BOOK] = without[number]
        for topic in topics:
            self._damaged |= topic.damaged
            for day, figures in topic.audit.days():
                of_day(day).add(figures)
        return [found[day] for day in sorted(found)]

    def _way_to_begin(self, source: FileSource) -> Callable[[Path], HftbacktestFile | TardisFile]:
        if self._settings.form == HFTBACKTEST:
            return HftbacktestFile
        lines = TardisLines(_tardis_name(source.venue), source.symbol, source.holds)
        return lambda path: TardisFile(path, source.holds, lines)

    def _make(
        self,
        begin: Callable[[Path], HftbacktestFile | TardisFile],
        path: Path,
        steps: Iterable[Step],
        told: FileMade,
    ) -> None:
        """One file. Raises OSError; then nothing of it is there."""
        self._refuse(path)
        file = begin(path)
        try:
            for step in steps:
                if is_off_book(step.event):
                    told.unused[OFF_BOOK] = told.unused.get(OFF_BOOK, 0) + 1
                else:
                    file.take(step)
            if file.entries:
                file.finish()
                told.entries, told.bytes = file.entries, path.stat().st_size
                told.local_times_later_ns = file.ahead_ns
        finally:
            file.discard()

    # ── what there is ───────────────────────────────────────────────────────────────────────────────────

    def _refuse_what_is_there(self, chosen: list[FileSource]) -> None:
        """Before anything is written. Raises ConfigError."""
        for source in chosen:
            for day in {place.day for topic in source.topics for place in self._places[topic]}:
                self._refuse(self._path(source, day))

    def _refuse(self, path: Path) -> None:
        if path.exists() and not self._settings.replace:
            raise ConfigError(f"'{path}': it is there already; allowed: another directory, or --replace")

    def _path(self, source: FileSource, day: str) -> Path:
        to, suffix = self._settings.to, SUFFIXES[self._settings.form]
        symbol = layout.manifest_of(to, source.topics[0], day).name.removesuffix(layout.MANIFEST_SUFFIX)
        if self._settings.form == HFTBACKTEST:
            return to / f"{source.venue}_{symbol}_{day}{suffix}"
        return to / f"{_tardis_name(source.venue)}_{source.holds}_{day}_{symbol}{suffix}"


def _tardis_name(venue: str) -> str:
    """What the venue is called there; our own name where it is not known."""
    return (venues.settings_struct(venue).tardis_name if venue in venues.NAMES else "") or venue
