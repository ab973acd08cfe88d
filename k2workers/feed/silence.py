"""Owns which topics are unproven, quiet or silent, when the venue must be asked about them, and when another line is worth trying. Pure.

A topic is proven by its first event. One that brings nothing is judged by looks at the whole market (``MarketSeen``), which show each symbol's
last trade and best prices: if the venue has news that no line delivered, the topic is *silent*; if it has none, it is *quiet*, and that is
fine. Two things are news:

- the topic is *behind*: the symbol's last trade is newer than the newest that the topic has told, or its best prices are others (not of bars);
- the market *moved*: a look shows a newer last trade, or other best prices, than an earlier one, and the topic brought nothing since that.

An event may be on its way while the venue is asked, so news counts only if the topic has still brought nothing ``SETTLE_NS`` later. And the
answer may be as old as ``LATE_NS``: what it shows beyond the newest trade that was told is news all the same, but nothing else is before a look
that cannot be older than what is compared with it; other best prices, which one stale answer can show, must be shown by two looks in a row.
Where one topic of a symbol tells best prices that change (its top of the book), another one that brings nothing (its depth) is asked about at once.

A busy topic that falls silent (``SilenceWatch``) is silent until a look has cleared it. Kinds about which a look tells nothing are never silent
here.
Times are monotonic; topics are known by their index.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

import msgspec

from k2workers.feed.fetches import Fetches
from k2workers.feed.liveness import SilenceWatch
from k2workers.venues.market_evidence import Evidence, SymbolSeen

QUESTION_NS = 6_000_000_000
"""A topic that brought nothing for so long is in question."""

FIRST_LOOK_NS = 2_000_000_000
"""A topic without any event on its line is asked for so soon: where the market stands then is what later looks are compared with."""

SECOND_LOOK_NS = 3_000_000_000
"""So long after the first look the second one tells of such a topic."""

IN_FLIGHT_NS = 1_000_000_000
"""What a topic brought so shortly before a look may not be in its answer yet."""

LATE_NS = 5_000_000_000
"""So far what the venue answers may be behind what it streams."""

SETTLE_NS = 3_000_000_000
"""So long an event may be on its way; bars come every two seconds."""

NO_ANSWER_NS = 10_000_000_000
"""A busy topic that fell silent, and of which no look tells for so long, is asked for alone, and another line is tried once."""

FEW = 4
"""Up to so many busy topics that fall silent together are asked for alone at once; more would cost more than a look at everything."""

UNTOLD_NS = 90_000_000_000
"""A topic that brings nothing is no longer taken on trust when no look has told of it for so long: the longest time between two looks, and half of it more."""

NEW_LINE_NS = 12_000_000_000
"""A topic that a new line has not brought is taken on trust for so long; two looks have told of it by then, unless the venue lets us look more seldom."""

NO_TRADE = -1
"""The last trade of a symbol that did not trade for a day."""

LINE_LIVES_NS = 5_000_000_000
"""If any topic brought something within this time, the line works: what is silent on it is the topic's."""

FIRST_PAUSE_NS, LONGEST_PAUSE_NS = 10_000_000_000, 600_000_000_000
"""Between two lines that are tried because of silent topics; it doubles as long as there are any."""

FORGET_PAUSES_NS = 120_000_000_000
"""After so long without a silent topic the first pause counts again."""


class LookUrgency(enum.IntEnum):
    """Whether a look at the market is wanted."""

    NO = 0
    SOON = 1
    AT_ONCE = 2


class _State(enum.Enum):
    UNKNOWN = 0
    """It brought nothing yet, or nothing since it was last judged."""
    FLOWING = 1
    QUIET = 2
    SUSPECT = 3
    """It was busy and fell silent; no look has told of it yet."""
    SILENT = 4


class MarketView(msgspec.Struct, frozen=True):
    """One look at the market: what each symbol showed, when the venue was asked, and when it may be asked again."""

    asked_ns: int
    symbols: Mapping[str, SymbolSeen]
    next_ns: int = 0


class Finding(msgspec.Struct):
    """What is to be done: topics that have become silent, topics of which what is missing should be fetched, and whether to try another line."""

    silent: list[int] = []
    fetch: list[int] = []
    rotate: bool = False


class _Topic:
    """What is known of one topic's silence."""

    __slots__ = (
        "apart_ns", "base", "before_id", "behind_id", "by_id", "compare_ns", "doubted_ns", "evidence", "heard_ns", "hurry_ns", "mute", "news_due_ns", "ripe", "served_ns", "silent_ns",
        "state", "symbol", "told_ns", "trading", "tried", "witnessed",
    )  # fmt: skip

    def __init__(self, symbol: str, evidence: Evidence, *, by_id: bool, now_ns: int) -> None:
        self.symbol = symbol
        self.evidence = evidence
        self.by_id = by_id
        """Whether what is missing can be fetched by id: then it stays missing until it is, whichever line comes."""
        self.state = _State.UNKNOWN
        self.served_ns = now_ns
        self.heard_ns = 0
        self.base: int | str | None = None
        """What the market showed when the topic had brought its last event, or another line had taken over."""
        self.ripe = False
        """Whether that cannot be older; until it is, the next look takes its place."""
        self.before_id: int | None = None
        """The symbol's last trade when it was looked at first, of a topic that has brought nothing since."""
        self.compare_ns = 0
        """When the next look is due that is compared with it, if the line has brought nothing yet."""
        self.doubted_ns = 0
        """When the first of the looks in a row was asked for that showed something else than was told; 0 if the last one did not."""
        self.hurry_ns = 0
        """When that look was asked for which only another one can confirm; 0 if there is none."""
        self.news_due_ns: int | None = None
        """When news of the venue that a look showed must have come."""
        self.behind_id: int | None = None
        """The trade that must have come by then, or have been fetched."""
        self.witnessed: int | str | None = None
        """The best prices that another topic of the symbol told when this one had brought its last event."""
        self.apart_ns = 0
        """Since when that one tells others; 0 if it does not."""
        self.mute = False
        """Whether the present line has withheld something."""
        self.silent_ns = 0
        self.told_ns = 0
        """When the last look was asked for that told of it."""
        self.trading = True
        """Whether its symbol did when it was looked at last, or brought something since."""
        self.tried = False
        """Whether what can be done without any look has been done."""


class Silence:
    """The silences of the topics on one connection, of so many that share what may be fetched. Call ``look`` about every second, ``seen`` for each look at the market."""

    def __init__(self, connections: int = 1) -> None:
        self._topics: list[_Topic] = []
        self._of_tops: dict[str, list[int]] = {}
        """The topics of best prices, by symbol."""
        self._learned = SilenceWatch()
        self._renewed_ns = 0
        self._asked_ns = 0
        """When the venue was asked last, of looks that have come."""
        self._fetches = Fetches(connections)
        self._unsure: set[int] = set()
        """The topics that no longer count as flowing or quiet, and are not known to be silent."""
        self.refused: frozenset[int] = frozenset()
        """The topics whose stream the venue refuses, set by the caller: they are no riddle, and another line does not help."""
        self._rotate_once = False
        self._rotate_ns = 0
        self._pause_ns = FIRST_PAUSE_NS
        self._heard_ns = 0

    def serve(self, symbol: str, evidence: Evidence, *, by_id: bool, now_ns: int) -> None:
        """Watch one more topic; its index is the next one."""
        if evidence is Evidence.TOPS:
            self._of_tops.setdefault(symbol, []).append(len(self._topics))
        self._topics.append(_Topic(symbol, evidence, by_id=by_id, now_ns=now_ns))

    @property
    def served(self) -> int:
        """How many topics are watched."""
        return len(self._topics)

    @property
    def learned(self) -> int:
        """How many topics have brought so much that their falling silent will be noticed without any look."""
        return self._learned.learned

    @property
    def silent(self) -> set[int]:
        """The topics of which the venue has news that no line delivered, and busy ones that fell silent and are not cleared yet."""
        return self._in(_State.SILENT, _State.SUSPECT) - self.refused

    @property
    def unproven(self) -> set[int]:
        """The topics of which no event has come, and no look has cleared them: none at all, none for long (``UNTOLD_NS``), or on this line none
        in its first ``NEW_LINE_NS`` or while the market moved. The look that clears one of a new line is asked for ``SECOND_LOOK_NS`` after it, or later.
        """
        unheard = {index for index in self._in(_State.UNKNOWN) if not self._topics[index].heard_ns}
        return (unheard | self._unsure) - self.refused

    @property
    def quiet(self) -> set[int]:
        """The topics of which the venue has no news."""
        return self._in(_State.QUIET)

    @property
    def at_rest(self) -> set[int]:
        """The topics whose symbol does not trade."""
        return {index for index, topic in enumerate(self._topics) if not topic.trading}

    def before_first(self, index: int) -> int | None:
        """The id after which a topic begins that has brought no event yet, if the market showed it at first."""
        topic = self._topics[index]
        known = topic.evidence is Evidence.OWN_TRADES and topic.by_id and not topic.heard_ns
        # A symbol that shows no trade had none for a day: how many it had before, nobody says.
        return topic.before_id if known and topic.before_id != NO_TRADE else None

    def _in(self, *states: _State) -> set[int]:
        judged = ((index, topic) for index, topic in enumerate(self._topics) if topic.evidence is not Evidence.NONE)
        return {index for index, topic in judged if topic.state in states}

    def look(self, heard_ns: Sequence[int], told: Sequence[int | str | None], now_ns: int) -> Finding:
        """``heard_ns`` is when a line last brought anything of each topic, 0 for never; ``told`` as for ``seen``."""
        found = Finding()
        for index, topic in enumerate(self._topics):
            if heard_ns[index] != topic.heard_ns:
                self._heard(index, topic, heard_ns[index])
            elif topic.news_due_ns is not None and now_ns >= topic.news_due_ns:
                found.silent += self._overdue(index, topic, told[index], now_ns)
        self._compare_topics(told, now_ns)
        suspects = self._learned.look(heard_ns, now_ns)
        found.silent += self._suspect(suspects, now_ns)
        self._without_answer(now_ns)
        unsure = {index for index, topic in enumerate(self._topics) if self._is_unsure(topic, now_ns)}
        self._unsure = unsure - self.silent
        found.silent = [index for index in found.silent if index not in self.refused]
        found.rotate = self._wants_line(now_ns)
        found.fetch = self._fetches.take(now_ns)
        return found

    def _is_unsure(self, topic: _Topic, now_ns: int) -> bool:
        if topic.evidence is Evidence.NONE:
            return False
        if topic.heard_ns < self._renewed_ns:
            compared = topic.told_ns >= self._renewed_ns + SECOND_LOOK_NS
            if topic.doubted_ns or not (compared or now_ns - self._renewed_ns <= NEW_LINE_NS):
                return True
        return now_ns - max(self._since_ns(topic), topic.told_ns) > UNTOLD_NS

    def _overdue(self, index: int, topic: _Topic, told: int | str | None, now_ns: int) -> list[int]:
        """The news that a look showed has not come on a line."""
        topic.news_due_ns = None
        if not topic.mute and isinstance(told, int) and topic.behind_id is not None and told >= topic.behind_id:
            # Made while there was no line, and fetched by now.
            self._nothing_withheld(index, topic, now_ns, compared=False)
            return []
        self._fetches.want(index)
        self._learned.missed(index, now_ns)
        known = topic.state is _State.SUSPECT
        topic.state, topic.silent_ns = _State.SILENT, now_ns
        return [] if known else [index]

    def _heard(self, index: int, topic: _Topic, heard_ns: int) -> None:
        if topic.state is not _State.FLOWING:
            self._fetches.settled(index)
        topic.heard_ns = heard_ns
        topic.state = _State.FLOWING
        topic.trading = True
        topic.witnessed, topic.apart_ns = None, 0
        topic.news_due_ns = None
        topic.mute = topic.tried = False
        self._forget_looks(topic)
        self._heard_ns = max(self._heard_ns, heard_ns)

    def _compare_topics(self, told: Sequence[int | str | None], now_ns: int) -> None:
        """Of a topic that does not tell best prices, another one of its symbol does: where those change, it must bring something too."""
        for indexes in self._of_tops.values():
            witnessed = next((told[index] for index in indexes if told[index] is not None), None)
            for index in indexes if witnessed is not None else ():
                topic = self._topics[index]
                if told[index] is None and topic.heard_ns and topic.heard_ns >= self._renewed_ns:
                    self._compare_with(topic, witnessed, now_ns)

    @staticmethod
    def _compare_with(topic: _Topic, witnessed: int | str | None, now_ns: int) -> None:
        if topic.witnessed is None:
            topic.witnessed = witnessed
        elif topic.witnessed == witnessed:
            topic.apart_ns = 0
        elif not topic.apart_ns:
            topic.apart_ns = now_ns
        elif now_ns - topic.apart_ns >= SETTLE_NS and not topic.doubted_ns:
            # As good as two looks, of which the first showed what the topic told, and the second something else: one more is to confirm it.
            topic.base, topic.ripe = topic.witnessed, True
            topic.doubted_ns, topic.hurry_ns, topic.apart_ns = topic.apart_ns, now_ns, 0

    def _suspect(self, suspects: Sequence[int], now_ns: int) -> list[int]:
        asked_for = [index for index in suspects if self._topics[index].evidence is not Evidence.NONE]
        newly = []
        for index in asked_for:
            topic = self._topics[index]
            if topic.state not in (_State.SILENT, _State.SUSPECT):
                topic.state, topic.silent_ns = _State.SUSPECT, now_ns
                newly.append(index)
        if len(newly) <= FEW:
            for index in newly:
                if self._topics[index].by_id:
                    self._fetches.want(index)
        # Nobody can be asked about these: while the line brings other topics, another line is tried once.
        for index in suspects:
            topic = self._topics[index]
            if topic.evidence is Evidence.NONE and topic.tried:
                self._learned.quiet(index, now_ns)  # another line did not bring it either
            elif topic.evidence is Evidence.NONE and self._line_lives(now_ns):
                topic.tried = self._rotate_once = True
        return newly

    def _without_answer(self, now_ns: int) -> None:
        """Suspects of which no look has told in time."""
        for index, topic in enumerate(self._topics):
            untold = topic.state is _State.SUSPECT and self._asked_ns < topic.silent_ns <= now_ns - NO_ANSWER_NS
            if untold and not topic.tried:
                topic.tried = True
                self._fetches.want(index)
                self._rotate_once = self._rotate_once or self._line_lives(now_ns)

    def _line_lives(self, now_ns: int) -> bool:
        return now_ns - self._heard_ns < LINE_LIVES_NS

    def _wants_line(self, now_ns: int) -> bool:
        mute = any(self._topics[index].mute for index in self._in(_State.SILENT) - self.refused)
        if not mute and not self._rotate_once:
            if now_ns - self._rotate_ns > FORGET_PAUSES_NS and not self.silent:
                self._pause_ns = FIRST_PAUSE_NS
            return False
        if now_ns < self._rotate_ns:
            return False
        self._rotate_once = False
        self._rotate_ns = now_ns + self._pause_ns
        self._pause_ns = min(LONGEST_PAUSE_NS, 2 * self._pause_ns)
        return True

    def renewed(self, now_ns: int) -> None:
        """Another line carries the feed now: what was not heard on the one before says nothing of it."""
        self._renewed_ns = now_ns
        self._rotate_once = False
        self._learned.renewed(now_ns)
        for topic in self._topics:
            topic.mute = False
            self._forget_looks(topic)

    def stood_still(self, absent_ns: int, now_ns: int) -> None:
        """We ourselves stood still for ``absent_ns``, until now: that was no silence of a busy topic."""
        self._learned.stood_still(absent_ns, now_ns)

    @staticmethod
    def _forget_looks(topic: _Topic) -> None:
        topic.base, topic.ripe = None, False
        topic.doubted_ns = topic.hurry_ns = 0

    def _since_ns(self, topic: _Topic) -> int:
        """Since when the topic brings nothing, or could have brought something."""
        return max(topic.heard_ns, topic.served_ns, self._renewed_ns)

    def look_wanted(self, now_ns: int) -> LookUrgency:
        """Whether a look at the market is wanted."""
        asking = LookUrgency.NO
        for topic in self._topics:
            if topic.evidence is Evidence.NONE:
                continue
            if topic.state is _State.SUSPECT and self._asked_ns < topic.silent_ns:
                return LookUrgency.AT_ONCE
            if topic.hurry_ns and self._asked_ns <= topic.hurry_ns:
                return LookUrgency.AT_ONCE
            since_ns = self._since_ns(topic)
            if topic.heard_ns < self._renewed_ns or not topic.heard_ns:
                look_ns = since_ns + FIRST_LOOK_NS if topic.base is None else topic.compare_ns
                if self._asked_ns < look_ns <= now_ns:
                    return LookUrgency.AT_ONCE
            if now_ns - since_ns >= QUESTION_NS:
                asking = LookUrgency.SOON
        return asking

    def seen(self, view: MarketView, told: Sequence[int | str | None], now_ns: int) -> bool | None:
        """Judge all topics by a look. Whether the venue has news that no line delivered; None if that cannot be told yet.

        ``told`` is of each topic the newest trade, or the best prices, that its events told; None where that is not known.
        """
        self._asked_ns = max(self._asked_ns, view.asked_ns)
        for topic in self._topics:
            if topic.symbol not in view.symbols:
                continue
            topic.told_ns = max(topic.told_ns, view.asked_ns)
            # Lists of symbols are minutes old: who brings something trades.
            if topic.heard_ns <= view.asked_ns - QUESTION_NS:
                topic.trading = view.symbols[topic.symbol].trading
        verdicts = {
            self._judge(index, topic, view, told[index], now_ns)
            for index, topic in enumerate(self._topics)
            if topic.evidence is not Evidence.NONE and topic.symbol in view.symbols
        }
        return True if True in verdicts else False if False in verdicts else None

    def fetched(self, index: int, newer: bool, now_ns: int) -> None:
        """What this topic may lack was asked for alone; ``newer`` is whether there was anything."""
        if index >= self.served:
            return  # probed because of what a late welcome told, before any line came
        topic = self._topics[index]
        if topic.state is _State.SUSPECT and not newer:
            self._nothing_withheld(index, topic, now_ns, compared=False)
        elif topic.state is _State.SUSPECT:
            self._withheld(index, topic, None, now_ns + SETTLE_NS, now_ns, by_this_line=True)

    def _judge(self, index: int, topic: _Topic, view: MarketView, told: int | str | None, now_ns: int) -> bool | None:
        if topic.heard_ns > view.asked_ns - IN_FLIGHT_NS or max(topic.served_ns, self._renewed_ns) > view.asked_ns:
            self._forget_looks(topic)
            return None
        seen = view.symbols[topic.symbol]
        if topic.evidence in (Evidence.TRADES, Evidence.OWN_TRADES):
            news = self._judge_trades(index, topic, seen.last_trade_id, told, view.asked_ns, now_ns)
            shown: int | str | None = seen.last_trade_id
        else:
            shown = seen.top if seen.trading else None
            news = self._judge_tops(index, topic, shown, told, view.asked_ns, now_ns)
        moved = topic.base is not None and shown != topic.base
        if not topic.ripe:
            if topic.base is None or moved:
                topic.compare_ns = view.asked_ns + SECOND_LOOK_NS
            topic.base, topic.ripe = shown, view.asked_ns >= self._since_ns(topic) + LATE_NS
        return news

    def _judge_trades(
        self, index: int, topic: _Topic, shown: int | None, told: int | str | None, asked_ns: int, now_ns: int
    ) -> bool | None:
        if shown is None:
            self._owes_nothing(index, topic, now_ns)
            return False
        if topic.before_id is None and not topic.heard_ns:
            topic.before_id = shown
        compared, this_line = topic.base is not None, topic.heard_ns >= self._renewed_ns
        ahead = not isinstance(told, int) or shown > told
        moved = ahead and isinstance(topic.base, int) and shown > topic.base
        moved_since = moved and topic.ripe
        # A bar comes at the venue's leisure, and its next state says all that counts: only two looks tell of it.
        known = topic.by_id and isinstance(told, int)
        behind_id = shown if known and ahead else None
        if behind_id is not None or moved_since:
            due_ns = max(now_ns, (topic.doubted_ns or now_ns) + SETTLE_NS)
            self._withheld(index, topic, behind_id, due_ns, now_ns, by_this_line=moved_since or this_line)
            return True
        if moved:
            topic.doubted_ns = topic.doubted_ns or asked_ns
        if moved or not (compared or known):
            return None
        topic.doubted_ns = 0
        self._nothing_withheld(index, topic, now_ns, compared=compared)
        return False

    def _judge_tops(
        self, index: int, topic: _Topic, shown: str | None, told: int | str | None, asked_ns: int, now_ns: int
    ) -> bool | None:
        if shown is None:
            self._owes_nothing(index, topic, now_ns)
            return False
        compared, this_line = topic.base is not None, topic.heard_ns >= self._renewed_ns
        # A change that was made while there was no line never comes either, and the next one makes it good.
        by_told = told is not None and (this_line or not compared)
        differs = shown != told and (by_told or (compared and shown != topic.base))
        if not differs:
            topic.doubted_ns = topic.hurry_ns = 0
            if not compared and not by_told:
                return None
            self._nothing_withheld(index, topic, now_ns, compared=compared)
            return False
        enough = this_line and asked_ns >= self._since_ns(topic) + LATE_NS if by_told else topic.ripe
        if topic.doubted_ns and enough:
            due_ns = max(now_ns, topic.doubted_ns + SETTLE_NS)
            self._withheld(index, topic, None, due_ns, now_ns, by_this_line=True)
            return True
        topic.doubted_ns = topic.doubted_ns or asked_ns
        topic.hurry_ns = asked_ns if enough else 0
        return None

    def _withheld(
        self, index: int, topic: _Topic, behind_id: int | None, due_ns: int, now_ns: int, *, by_this_line: bool
    ) -> None:
        """The venue has news, which must have come until ``due_ns``."""
        topic.mute = topic.mute or by_this_line
        if topic.state is _State.SILENT:
            self._fetches.want(index)
            self._learned.missed(index, now_ns)
        elif topic.news_due_ns is None:
            topic.news_due_ns, topic.behind_id = due_ns, behind_id

    def _nothing_withheld(self, index: int, topic: _Topic, now_ns: int, *, compared: bool) -> None:
        if topic.state is _State.SILENT and (not compared or topic.mute):
            return  # what was withheld may have been fetched since, and the line is the same
        self._owes_nothing(index, topic, now_ns)

    def _owes_nothing(self, index: int, topic: _Topic, now_ns: int) -> None:
        if topic.state is _State.SUSPECT:
            self._learned.quiet(index, now_ns)
        topic.state = _State.QUIET
        self._unsure.discard(index)
        self._fetches.settled(index)
