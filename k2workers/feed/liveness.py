"""Owns when silence is suspicious: of a topic (learned, so that quiet symbols raise no alarm), and of a whole line. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from k2workers.rotation.policy import SILENT, STALE

LOOK_NS = 1_000_000_000
"""How often the caller looks; silences are learned no finer than this."""

MIN_SILENCE_NS = 10_000_000_000
FACTOR = 5
"""A topic is suspicious when it is silent for this many times its longest recent silence."""

LEARNED_AFTER = 20
"""Changes seen before a topic is judged at all."""

MIN_DATA_SILENCE_NS = 5_000_000_000
"""A line without any data for less than this is never in question, unless less is allowed than from one ping to the next."""

LATE_PING_NS = 10_000_000_000
"""How much later than usual a ping may come on a line on which nothing else can be expected."""

ANSWER_NS = 15_000_000_000
"""How long the venue's answer about a line without data may take once it may be asked; without one, the line is given up. One that is under way
says nothing of a question that came after it."""

SECOND_ANSWER_NS = 15_000_000_000
"""How long a second one may take, if the first could only be the beginning of a comparison."""

ON_THE_WAY_NS = 1_000_000_000
"""What the venue has sent is there within this time."""

QUIET_NS = 70_000_000_000
"""How long no news of the venue counts, if it is not asked again meanwhile."""

CAUGHT_UP_NS = 3_000_000_000
"""After we stood still all that waited has been read when data are not older than before by more than this."""

CATCH_UP_LIMIT_NS = 60_000_000_000
"""A clock may have been set meanwhile, so nobody waits longer for that than we stood still, and than this: as long as a venue waits for a pong."""

MOST_DOUBLINGS = 6
"""If no new line brings data either, and the venue cannot be asked: replacing lines every half minute for ever would help nobody."""

FORGET = 0.999
"""The longest silence fades with every change, so that one quiet night does not blind the watch for ever."""


class SilenceWatch:
    """The silences of all topics of a route. ``silent`` are the indexes of those that are suspicious now."""

    def __init__(self, *, min_silence_ns: int = MIN_SILENCE_NS) -> None:
        self.silent: set[int] = set()
        self._min_silence_ns = min_silence_ns
        self._marks: list[int | None] = []
        self._changed_ns: list[int] = []
        self._changes: list[int] = []
        self._longest_ns: list[float] = []

    def look(self, marks: Sequence[int | None], now_ns: int) -> list[int]:
        """Compare each topic's mark (a number that changes with its data) with the last look; returns the topics that became silent."""
        while len(self._marks) < len(marks):
            self._marks.append(None)
            self._changed_ns.append(now_ns)
            self._changes.append(0)
            self._longest_ns.append(0.0)
        found = []
        for topic_index, mark in enumerate(marks):
            silence_ns = now_ns - self._changed_ns[topic_index]
            if mark != self._marks[topic_index]:
                self._marks[topic_index] = mark
                self._changed_ns[topic_index] = now_ns
                self._changes[topic_index] += 1
                self._longest_ns[topic_index] = max(float(silence_ns), self._longest_ns[topic_index] * FORGET)
                self.silent.discard(topic_index)
            elif (
                self._changes[topic_index] >= LEARNED_AFTER
                and topic_index not in self.silent
                and silence_ns > max(self._min_silence_ns, FACTOR * self._longest_ns[topic_index])
            ):
                self.silent.add(topic_index)
                found.append(topic_index)
        return found

    @property
    def learned(self) -> int:
        """Of how many topics the usual silence is known."""
        return sum(changes >= LEARNED_AFTER for changes in self._changes)

    def renewed(self, now_ns: int) -> None:
        """Another line carries the feed now: what was not heard on the one before was no silence of the topics."""
        self.silent.clear()
        self._changed_ns = [now_ns] * len(self._changed_ns)

    def stood_still(self, absent_ns: int, now_ns: int) -> None:
        """We ourselves stood still for ``absent_ns``: that was no silence of the topics."""
        self._changed_ns = [min(now_ns, changed_ns + absent_ns) for changed_ns in self._changed_ns]

    def missed(self, topic_index: int, now_ns: int) -> None:
        """The venue has newer events than the lines delivered: this silence was none of the topic."""
        self._changed_ns[topic_index] = now_ns

    def quiet(self, topic_index: int, now_ns: int) -> None:
        """The venue confirms that there was nothing to send: the silence is normal for this topic."""
        self.silent.discard(topic_index)
        self._longest_ns[topic_index] = max(
            self._longest_ns[topic_index], float(now_ns - self._changed_ns[topic_index])
        )


class DataWatch:
    """Whether a whole line is alive but brings no data (pings come, events do not)."""

    def __init__(self, *, min_silence_ns: int, max_silence_ns: int) -> None:
        self._min_silence_ns = min_silence_ns
        self._max_silence_ns = max_silence_ns
        self._count = 0
        self._count_at_renewal = -1
        self._fruitless = 0
        """How many lines in a row brought no data."""
        self.changed_ns = 0
        """When data came last, or another line took over; time for which we stood still since then does not count."""
        self.came = True
        """Whether data came since we stood still last that had not waited meanwhile."""
        self._latency_ns = 0
        self._catch_up_ns = 0
        """When data count as such however old they are."""
        self._changes = 0
        self._longest_ns = 0.0

    def renewed(self, now_ns: int) -> None:
        """Another line carries the feed now: its silence counts from here. If the last line delivered nothing, the limit doubles."""
        if self._count == self._count_at_renewal:
            self._fruitless = min(MOST_DOUBLINGS, self._fruitless + 1)
        self._count_at_renewal = self._count
        self.changed_ns = now_ns

    def stood_still(self, absent_ns: int, now_ns: int) -> None:
        """We ourselves stood still for ``absent_ns``: that was no silence of the line, and what came before it is old."""
        self.changed_ns = min(now_ns, self.changed_ns + absent_ns)
        self.came, self._catch_up_ns = False, now_ns + min(absent_ns, CATCH_UP_LIMIT_NS)

    def look(self, count: int, now_ns: int, latency_ns: int | None = 0) -> bool:
        """``count`` data messages were received so far; True if the line should have delivered another by now.

        ``latency_ns`` is from the venue's time of the last ones to when they were read, by two clocks; None if none has told it since we stood still.
        """
        silence_ns = now_ns - self.changed_ns
        if count != self._count:
            if self._changes:
                # More would only take longer to forget: the limit is the longest already.
                learned_ns = min(float(silence_ns), self._max_silence_ns / FACTOR)
                self._longest_ns = max(learned_ns, self._longest_ns * FORGET)
            self._count, self.changed_ns = count, now_ns
            self._note_latency(latency_ns, now_ns)
            self._fruitless = 0
            self._changes += 1
            return False
        limit_ns = min(self._usual_ns, self._max_silence_ns) * 2**self._fruitless
        return self._changes >= LEARNED_AFTER and silence_ns > limit_ns

    def _note_latency(self, latency_ns: int | None, now_ns: int) -> None:
        caught_up = latency_ns is not None and latency_ns <= self._latency_ns + CAUGHT_UP_NS
        self.came = self.came or caught_up or now_ns >= self._catch_up_ns
        if self.came and latency_ns is not None:
            self._latency_ns = latency_ns

    @property
    def expected(self) -> bool:
        """Whether the line used to bring data so often that a silence as long as the longest limit is none of the market."""
        return self._changes >= LEARNED_AFTER and self._usual_ns <= self._max_silence_ns

    @property
    def _usual_ns(self) -> float:
        return max(self._min_silence_ns, 2 * FACTOR * self._longest_ns)


class LineWatch:
    """Whether the line that carries the feed must be given up. Times are monotonic.

    A line on which only pings come may be out of order, or the whole market may be silent: before it is given up, the venue is asked. While
    ``asking``, tell it of each look at the market (``answered``); without an answer within a few seconds of the time when a look may go, the line
    is given up.
    """

    def __init__(self, stale_after_ns: int, ping_interval_ns: int) -> None:
        self._stale_after_ns = stale_after_ns
        self._pings_within_ns = max(stale_after_ns, ping_interval_ns + LATE_PING_NS)
        # If pings may be further apart than is allowed, the venue must have been asked before that time is over.
        most_ns = stale_after_ns if stale_after_ns >= self._pings_within_ns else stale_after_ns // 2
        self._data = DataWatch(min_silence_ns=min(MIN_DATA_SILENCE_NS, most_ns), max_silence_ns=most_ns)
        self._give_up_ns: int | None = None
        """When the line is given up unless the venue has no news; None while it is not in question."""
        self._asked_ns = 0
        """When the venue was asked last, of answers that have come."""
        self._question_ns = 0
        self._next_ns = 0
        """When the venue may be asked again: until then no answer can be expected."""
        self.quiet = False
        """Whether the line brings no data because the venue has none."""

    def renewed(self, now_ns: int) -> None:
        """Another line carries the feed now."""
        self._data.renewed(now_ns)
        self._settled()

    def stood_still(self, absent_ns: int, now_ns: int) -> None:
        """We ourselves stood still for ``absent_ns``, until now: neither line nor venue could have answered meanwhile."""
        self._data.stood_still(absent_ns, now_ns)
        if self._give_up_ns is not None:
            self._give_up_ns += absent_ns

    def look(self, last_read_ns: int, data_messages: int, now_ns: int, latency_ns: int | None = 0) -> str | None:
        """Why the line must be given up, if it must. ``last_read_ns`` is when anything came, pings too; the others as for ``DataWatch``."""
        overdue = self._data.look(data_messages, now_ns, latency_ns)
        if self._data.changed_ns == now_ns:
            self._settled()
        if now_ns - last_read_ns >= self._stale_limit_ns:
            return STALE
        # Pings come, so the connection lives; the venue acknowledged our subscriptions and sends nothing.
        if overdue and self._give_up_ns is None and not (self.quiet and now_ns - self._asked_ns < QUIET_NS):
            self._question_ns, self._give_up_ns = now_ns, max(now_ns, self._next_ns) + ANSWER_NS
        return SILENT if self._give_up_ns is not None and now_ns >= self._give_up_ns else None

    @property
    def learned(self) -> bool:
        """Whether it is known how often the line brings data, and often enough to be missed."""
        return self._data.expected

    @property
    def asking(self) -> bool:
        """Whether the line is in question, and no answer has come."""
        return self._give_up_ns is not None and self._asked_ns < self._question_ns

    def answered(self, asked_ns: int, news: bool | None, now_ns: int, next_ns: int = 0) -> None:
        """The venue was asked: whether it has news that no line delivered; None if only a second look can tell. ``next_ns`` is when it may be again."""
        self._next_ns = next_ns
        if asked_ns < self._data.changed_ns + ON_THE_WAY_NS:
            return
        first, self._asked_ns = self._asked_ns < self._question_ns, asked_ns
        if news is None:
            if self._give_up_ns is not None and first:
                self._give_up_ns = max(now_ns, next_ns) + SECOND_ANSWER_NS
        elif not news:
            self.quiet = self.quiet or self._give_up_ns is not None
            self._give_up_ns = None
        elif self.quiet or self._give_up_ns is not None:
            self.quiet, self._give_up_ns = False, now_ns + ON_THE_WAY_NS

    def fresh(self, last_read_ns: int, now_ns: int) -> bool:
        """Whether anything came within three quarters of the stale limit: longer than from one ping to the next.

        Since we stood still last, it must have been data that did not wait meanwhile, where data can be expected.
        """
        proven = self._data.came or self.quiet or not self._data.expected
        return proven and now_ns - last_read_ns < self._stale_limit_ns * 3 // 4

    @property
    def _stale_limit_ns(self) -> int:
        """Where nothing but pings can be expected, silence between two of them says nothing, whatever the limit is set to."""
        return self._stale_after_ns if self._data.expected and not self.quiet else self._pings_within_ns

    def _settled(self) -> None:
        self.quiet, self._give_up_ns = False, None
