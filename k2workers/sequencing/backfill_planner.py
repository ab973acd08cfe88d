"""Owns what to fetch next: whose turn it is, what is asked for, how often, and what is given up. Pure.

One request a topic is under way at a time. Which ids it asks for, and when they count as void, is in ``missing_ids.py``. Requests that
bring nothing are repeated after growing times. What has not been had for ``give_up_ns`` is given up, so that it costs no further
requests and does not stay open for ever.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence

import msgspec

from k2workers.backoff import REFETCH, Backoff
from k2workers.sequencing.missing_ids import NOTHING, Findings, MissingIds, Question
from k2workers.sequencing.ranges import IdRanges, Range

SECOND_NS = 1_000_000_000

ALL_TIMES = 2**63
"""More ns than lie between any two times."""

NO_ID_IS_HELD = 2**63


class Urgency(enum.IntEnum):
    """Whose turn it is first; the parent's weight budget uses the same order over all workers."""

    HELD = 0
    """Events wait for the missing ids."""
    BROKEN_BOOK = 1
    """Subscribers have no valid book until a snapshot comes."""
    OPEN = 2
    """The gap is announced; its events may come late."""
    FIRST_BOOK = 3
    """A book that has just begun, or one that some lack and others have: what is open comes before it."""
    DEEPER_BOOK = 4
    """A book that all have, with more levels."""


class BackfillRequest(msgspec.Struct, frozen=True):
    """Fetch these ids of one topic, or its book (``snapshot``). ``attempt`` counts from 0 since the last progress."""

    topic_index: int
    first_id: int
    last_id: int
    urgency: Urgency
    attempt: int
    snapshot: bool = False
    deep: bool = False
    """Of a book: with all levels that are wanted, for subscribers have one already."""
    probe: bool = False
    """Only to find out whether the venue has anything newer: ids that it does not have are not void."""
    doubted: bool = False
    """A reply has denied these ids: look elsewhere, and for proof."""
    inquiry: bool = False
    """A probe that asks about ids that are not missing; it does not stand for one that asks for what is newer."""


class BackfillPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """``page`` ids fit one reply. Requests that bring nothing are repeated after ``backoff``; those that failed together with all others are
    repeated ``retry_failed_ns`` after their last try, if that is sooner, once one is answered. Ids are void when the first denial and a look
    at each of these times after it agree (``patience_ns``; ``bar_patience_ns`` for bars, of which the venue has all or none). Ids of which nothing came for
    ``give_up_ns`` are not asked for any longer, nor is a probe that is refused for the ``refusals``th time.
    """

    page: int = 1_000
    backoff: Backoff = REFETCH
    retry_failed_ns: int = 20 * SECOND_NS
    patience_ns: tuple[int, ...] = (1 * SECOND_NS, 4 * SECOND_NS, 15 * SECOND_NS, 45 * SECOND_NS, 120 * SECOND_NS)
    bar_patience_ns: tuple[int, ...] = (1 * SECOND_NS, 3 * SECOND_NS, 8 * SECOND_NS, 20 * SECOND_NS)
    give_up_ns: int = 3_600 * SECOND_NS
    refusals: int = 6


class _Probe(msgspec.Struct):
    """Ids to ask about once, and when."""

    ids: Range
    due_ns: int
    attempt: int = 0


class _Need:
    """What one topic lacks, and when to ask for it. ``asked_ns`` is when it was asked for last, or when it began to lack anything."""

    __slots__ = (
        "asked_ns", "asking", "attempt", "deep", "due_ns", "failed_ns", "held_from", "missing", "probes", "snapshot", "urgency",
    )  # fmt: skip

    def __init__(self, missing: MissingIds, now_ns: int) -> None:
        self.missing = missing
        self.probes: dict[bool, _Probe] = {}
        """By whether it is an inquiry."""
        self.snapshot = self.deep = False
        self.urgency = Urgency.OPEN
        self.held_from = 0
        self.asked_ns = self.due_ns = now_ns
        self.attempt = 0
        self.asking = False
        self.failed_ns: int | None = None
        """When the last request failed; None if it was answered."""

    @property
    def wanted(self) -> bool:
        """Whether anything of the topic is to be asked for."""
        return bool(self.missing or self.snapshot or self.probes)

    def go_on(self, now_ns: int) -> None:
        """Something came: ask on at once."""
        self.attempt, self.due_ns = 0, min(self.due_ns, now_ns)

    def probe_of(self, request: BackfillRequest) -> _Probe | None:
        """What the request asked about, unless something else is to be asked about by now."""
        probe = self.probes.get(request.inquiry)
        return probe if probe is not None and probe.ids == (request.first_id, request.last_id) else None


class BackfillPlanner:
    """The needs of all topics of one shard.

    Call ``update`` whenever a topic's wanted ranges may have changed, ``next`` for something to do, and exactly one of
    ``answered``, ``failed`` and ``withdrawn`` for everything that ``next`` gave. Whoever wants what is in ``given_up`` and
    ``unavailable`` is to be told; the caller clears them.
    """

    def __init__(self, policy: BackfillPolicy) -> None:
        self.policy = policy
        self.given_up: list[tuple[int, Range]] = []
        """Topics, by index, and the ids of each that are not asked for any longer: they did not come for too long."""
        self.unavailable: list[tuple[int, Range]] = []
        """The same for ids that this venue cannot give."""
        self._needs: dict[int, _Need] = {}

    def update(
        self,
        topic_index: int,
        ranges: Sequence[Range],
        urgency: Urgency,
        now_ns: int,
        *,
        snapshot: bool = False,
        deep: bool = False,
        held_from: int = 0,
        times: bool = False,
    ) -> None:
        """The ranges that the topic wants now, or a book; it wants nothing if ``ranges`` is empty and no ``snapshot`` is wanted.

        ``held_from``: the holes for which events wait are those that reach this id. ``times``: ranges are times, of which any number fits
        one request.
        """
        need = self._needs.get(topic_index)
        if need is None:
            if not ranges and not snapshot:
                return
            need = self._needs[topic_index] = self._need(now_ns, times=times)
        new, came = need.missing.want(ranges, now_ns)
        # A new hole is asked for at once, however long an older one has to wait for its turn.
        if new or came or urgency < need.urgency or (snapshot and not need.snapshot):
            need.go_on(now_ns)
        need.urgency, need.snapshot, need.deep, need.held_from = urgency, snapshot, deep, held_from
        self._forget_if_content(topic_index, need)

    def _need(self, now_ns: int, *, times: bool) -> _Need:
        policy = self.policy
        missing = (
            MissingIds(ALL_TIMES, policy.bar_patience_ns) if times else MissingIds(policy.page, policy.patience_ns)
        )
        return _Need(missing, now_ns)

    def _forget_if_content(self, topic_index: int, need: _Need) -> None:
        if not need.asking and not need.wanted:
            del self._needs[topic_index]

    def probe(self, topic_index: int, first_id: int, last_id: int, now_ns: int, *, inquiry: bool = False) -> None:
        """Ask once whether the venue has these ids, which may be beyond its newest. It takes the place of an earlier one of its sort."""
        need = self._needs.get(topic_index)
        if need is None:
            need = self._needs[topic_index] = self._need(now_ns, times=False)
        need.probes[inquiry] = _Probe((first_id, last_id), now_ns)

    def begin_anew(self, topic_index: int) -> bool:
        """The topic's ids begin anew: nothing of the old ones is asked for, and what replies said of them does not count.

        Returns whether there was a probe for what is newer that has not been answered: whoever wants to know must probe again, from the new
        ids on.
        """
        need = self._needs.get(topic_index)
        if need is None:
            return False
        probed = False in need.probes
        need.missing.clear()
        need.probes.clear()
        need.attempt = 0
        self._forget_if_content(topic_index, need)
        return probed

    def next(self, now_ns: int, before: int = len(Urgency)) -> BackfillRequest | None:
        """The most urgent request that may go now; its topic is asked for nothing else until it is over. ``before``: only a more urgent one."""
        best: tuple[tuple[int, int], int, _Need, BackfillRequest, Question | None] | None = None
        for topic_index, need in list(self._needs.items()):
            if need.asking or (best is not None and best[0] <= (need.urgency, need.asked_ns)):
                continue
            self._give_up(topic_index, need, now_ns)
            found = self._request(topic_index, need, now_ns)
            if found is not None and found[0].urgency < before:
                rank = int(found[0].urgency), need.asked_ns
                if best is None or rank < best[0]:
                    best = (rank, topic_index, need, *found)
        if best is None:
            return None
        _, _, need, request, question = best
        need.asking, need.asked_ns = True, now_ns
        if question is not None:
            need.missing.asked(question)
        return request

    def _request(self, topic_index: int, need: _Need, now_ns: int) -> tuple[BackfillRequest, Question | None] | None:
        """What this topic is asked for now, if anything."""
        due = now_ns >= need.due_ns
        if need.snapshot:
            request = BackfillRequest(topic_index, 0, 0, need.urgency, need.attempt, snapshot=True, deep=need.deep)
            return (request, None) if due else None
        held_from = need.held_from if need.urgency is Urgency.HELD else NO_ID_IS_HELD
        question = need.missing.question(now_ns, held_from, due=due)
        if question is not None:
            ids = question.first_id, question.last_id
            urgency = Urgency.HELD if question.held else Urgency.OPEN
            return BackfillRequest(topic_index, *ids, urgency, need.attempt, doubted=question.doubted), question
        for inquiry, probe in need.probes.items():
            if now_ns >= probe.due_ns:
                request = BackfillRequest(
                    topic_index, *probe.ids, Urgency.OPEN, probe.attempt, probe=True, inquiry=inquiry
                )
                return request, None
        return None

    def _give_up(self, topic_index: int, need: _Need, now_ns: int) -> None:
        for ids in need.missing.give_up(now_ns - self.policy.give_up_ns):
            self.given_up.append((topic_index, ids))
        self._forget_if_content(topic_index, need)

    def answered(self, request: BackfillRequest, findings: Findings, now_ns: int) -> list[Range]:
        """A reply came. Returns the ids that are void now. Call ``update`` after the lane took what was found."""
        self._service_answers(now_ns)
        need = self._needs.get(request.topic_index)
        if need is None:
            return []
        need.asking, need.failed_ns = False, None
        void: list[Range] = []
        if request.probe:
            if need.probe_of(request) is not None:
                del need.probes[request.inquiry]
        elif request.snapshot:
            self._put_off(need, now_ns)
        else:
            learned = need.missing.learn(request.first_id, request.last_id, findings, now_ns)
            void = learned.void
            self.unavailable += [(request.topic_index, ids) for ids in learned.unavailable]
            self._put_off(need, now_ns)
            if learned.news:
                need.go_on(now_ns)
        self._forget_if_content(request.topic_index, need)
        return void

    def failed(self, request: BackfillRequest, now_ns: int, *, retryable: bool = True) -> None:
        """No reply, or a refusal. ``retryable``: the same request may succeed once the venue answers anything again.

        An inquiry that is refused ends: whoever made it asks again when it is time.
        """
        need = self._needs.get(request.topic_index)
        if need is None:
            return
        need.asking = False
        if request.probe:
            if (probe := need.probe_of(request)) is not None:
                probe.due_ns = now_ns + self.policy.backoff.delay_ns(probe.attempt, 0.5)
                probe.attempt += 1
                if not retryable and (request.inquiry or probe.attempt >= self.policy.refusals):
                    del need.probes[request.inquiry]
        else:
            if not request.snapshot:
                need.missing.learn(request.first_id, request.last_id, NOTHING, now_ns)
            self._put_off(need, now_ns)
        need.failed_ns = now_ns if retryable else None
        self._forget_if_content(request.topic_index, need)

    def withdrawn(self, request: BackfillRequest) -> None:
        """It was not sent, for something more urgent went before it: its turn comes again."""
        need = self._needs.get(request.topic_index)
        if need is not None:
            need.asking = False
            self._forget_if_content(request.topic_index, need)

    def _put_off(self, need: _Need, now_ns: int) -> None:
        need.due_ns = now_ns + self.policy.backoff.delay_ns(need.attempt, 0.5)
        need.attempt += 1

    def _service_answers(self, now_ns: int) -> None:
        """One request was answered: what failed before need not wait as long as it would if all failed."""
        for need in self._needs.values():
            if need.failed_ns is not None:
                soon_ns = max(now_ns, need.failed_ns + self.policy.retry_failed_ns)
                need.due_ns = min(need.due_ns, soon_ns)
                for probe in need.probes.values():
                    probe.due_ns = min(probe.due_ns, soon_ns)

    def doubted(self) -> list[tuple[int, IdRanges]]:
        """By topic, the ids that a reply has denied and that are still looked for."""
        return [
            (topic_index, doubted) for topic_index, need in self._needs.items() if (doubted := need.missing.doubted)
        ]

    def wanted(self, weight_of: Callable[[BackfillRequest], int]) -> int:
        """What it will take to ask for all that subscribers lack and that has not been denied."""
        total = 0
        for topic_index, need in self._needs.items():
            count = need.missing.requests + (need.snapshot and need.urgency is not Urgency.DEEPER_BOOK)
            if count:
                request = BackfillRequest(topic_index, 0, 0, need.urgency, 0, snapshot=need.snapshot, deep=need.deep)
                total += count * weight_of(request)
        return total

    @property
    def waiting(self) -> int:
        """How many topics lack something."""
        return len(self._needs)
