"""Owns whether the feed is ready, and the fixed words that say why not. Pure: from what the parent knows of its children to a list of reasons.

Ready implies flowing: every stream that is asked for brings its events, or the venue was asked and has none. A gap that the venue's
REST has denied once is shown and is no reason; neither are the books that are kept for joiners.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from k2workers.processes.child_status import WorkerStatus
from k2workers.supervision.child import ChildState
from k2workers.supervision.control_messages import BEAT_FRESH_S
from k2workers.supervision.permissions import RestWeight


class Word(enum.Enum):
    """Why the feed is not ready. The first word of each reason of /readyz, and the label of ``k2_unready``."""

    STARTING = "starting"
    STOPPING = "stopping"
    PROCESS_DOWN = "process_down"
    NO_CONNECTION = "no_connection"
    STALE_CONNECTION = "stale_connection"
    STREAMS_REFUSED = "streams_refused"
    STREAMS_UNPROVEN = "streams_unproven"
    STREAMS_SILENT = "streams_silent"
    KIND_UNREADABLE = "kind_unreadable"
    GAPS_OPEN = "gaps_open"
    BOOKS_MISSING = "books_missing"
    WAITING_FOR_WEIGHT = "waiting_for_weight"


MEANING = {
    Word.STARTING: "a process does not serve yet, or the program waits for something before it starts the next process",
    Word.STOPPING: "the run was told to end: its processes end one after the other",
    Word.PROCESS_DOWN: "a process is not running, or its last report is older than 3 s",
    Word.NO_CONNECTION: "a shard lacks a connection that carries the feed (it needs one for each route of the venue)",
    Word.STALE_CONNECTION: "nothing at all has arrived lately on a connection of a shard; or data could be expected, but the process was suspended and has not yet read what arrived meanwhile",
    Word.STREAMS_REFUSED: "the venue refuses subscriptions to these streams; all others are served, and these are tried again",
    Word.STREAMS_UNPROVEN: "no event of these streams has arrived: none ever, none for 90 s, or on a new connection none in 12 s or while the market moved; and the venue has not confirmed since that there was none",
    Word.STREAMS_SILENT: "the venue has events of these streams that no connection delivered; or they fell silent, and the venue has not been asked yet",
    Word.KIND_UNREADABLE: "messages of this kind arrive, and none of them can be read",
    Word.GAPS_OPEN: "missing ids of trading symbols were announced, and the venue has neither delivered nor denied them (those of a book count as `books_missing`)",
    Word.BOOKS_MISSING: "depth streams whose book the venue has not delivered yet",
    Word.WAITING_FOR_WEIGHT: "what would end another reason waits for the venue's REST weight: for about this many seconds",
}
"""What each word tells an operator."""

ENDED_BY_REST = frozenset({Word.STREAMS_UNPROVEN, Word.STREAMS_SILENT, Word.GAPS_OPEN, Word.BOOKS_MISSING})
"""What only an answer of the venue over REST ends."""


class Reason(msgspec.Struct, frozen=True):
    """Why, where, how much of it (streams, gaps, books, seconds, …), and the same for a reader."""

    word: Word = msgspec.field(name="reason")
    where: str
    count: int
    text: str

    def line(self) -> str:
        """As /readyz shows it."""
        return f"{self.word.value}: {self.text}"


class VenueFlow(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one venue: what its workers told, None of those that have told nothing, and how its REST weight stands."""

    apart: str = ""
    """Its name, where there are others that it is to be told from."""
    workers: Mapping[str, WorkerStatus | None]
    rest_weight: RestWeight


def unready(waiting_for: str, children: Mapping[str, ChildState], flows: Sequence[VenueFlow]) -> list[Reason]:
    """Every reason why the feed is not ready; none if it is.

    ``waiting_for`` is what the start waits for, or nothing. ``children`` are the processes that the feed needs, ``flows`` the venues.
    """
    found = [Reason(Word.STARTING, "", 1, f"waiting for {waiting_for}")] if waiting_for else []
    called = {name: f"{name} ({flow.apart})" for flow in flows if flow.apart for name in flow.workers}
    for name, state in children.items():
        found += _of_child(name, called.get(name, name), state)
    named = {reason.where for reason in found}
    for flow in flows:
        found += _of_venue(flow, called, named)
    return found


def _of_venue(flow: VenueFlow, called: Mapping[str, str], named: Collection[str]) -> list[Reason]:
    found: list[Reason] = []
    for name, status in flow.workers.items():
        if name not in named:
            found += _of_worker(name, called.get(name, name), status)
    wait_s = flow.rest_weight.wait_s
    if wait_s and any(reason.word in ENDED_BY_REST for reason in found):
        whose = flow.apart or "the venue"
        text = f"about {wait_s:.0f} s until {whose}'s limit allows the {flow.rest_weight.wanted} that are wanted"
        found.append(Reason(Word.WAITING_FOR_WEIGHT, flow.apart, max(1, round(wait_s)), text))
    return found


ENDING = Reason(Word.STOPPING, "", 1, "the run was told to end, and publishes what it has received")
"""The one reason from then on."""


def counts(reasons: list[Reason]) -> dict[str, int]:
    """How much of each word, 0 of those that do not hold: what ``k2_unready`` shows."""
    found = {word.value: 0 for word in Word}
    for reason in reasons:
        found[reason.word.value] += reason.count
    return found


def _of_child(name: str, called: str, state: ChildState) -> Iterator[Reason]:
    heard_s = state.last_beat_s
    if not state.alive:
        yield Reason(Word.PROCESS_DOWN, name, 1, f"{called} is not running")
    elif not state.ready or heard_s is None:
        yield Reason(Word.STARTING, name, 1, f"{called} does not serve yet")
    elif heard_s > BEAT_FRESH_S:
        yield Reason(Word.PROCESS_DOWN, name, 1, f"{called} has not reported for {heard_s:.0f} s")


def _of_worker(name: str, called: str, status: WorkerStatus | None) -> Iterator[Reason]:
    if status is None:
        yield Reason(Word.STARTING, name, 1, f"{called} has not reported yet")
        return
    if not status.live:
        yield Reason(Word.NO_CONNECTION, name, 1, f"{called} lacks a connection")
    elif not status.fresh:
        yield Reason(Word.STALE_CONNECTION, name, 1, f"{called} has received nothing on its connection lately")
    for word, count, text in (
        (Word.STREAMS_REFUSED, status.streams_refused_count, "the venue refuses {count} streams of {name}"),
        (
            Word.STREAMS_UNPROVEN,
            status.streams_unproven,
            "{name} has {count} without an event, and the venue was not asked yet",
        ),
        (Word.STREAMS_SILENT, status.streams_silent, "{name} has {count}"),
        (Word.GAPS_OPEN, status.gaps_open, "{name} has {count}"),
    ):
        if count:
            yield Reason(word, name, count, text.format(name=called, count=count))
    kinds = status.kinds_unreadable
    if kinds:
        yield Reason(
            Word.KIND_UNREADABLE, name, len(kinds), f"{called} cannot read messages of {', '.join(sorted(kinds))}"
        )
    if missing := status.books_missing:
        yield Reason(Word.BOOKS_MISSING, name, missing, f"{called} lacks {missing} of {status.books} books")
