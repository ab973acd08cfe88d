"""The life of a connection as stories: what the machine is told, and what it must answer. Each names the rows that it needs."""

from __future__ import annotations

from typing import NamedTuple
from unittest.mock import ANY

from k2workers.backoff import Backoff
from k2workers.rotation.actions import (
    AbandonLine,
    Action,
    CloseLine,
    LineLost,
    NowLive,
    OpenLine,
    Promoted,
    RequestRotation,
    RotationBegun,
    RotationGivenUp,
    RotationOver,
    WithdrawRequest,
)
from k2workers.rotation.inputs import (
    Advanced,
    Closed,
    Failed,
    Input,
    Notice,
    Opened,
    Rotate,
    Start,
    Stop,
    Tick,
    Wanted,
)
from k2workers.rotation.policy import SCHEDULED, SERVER_SHUTDOWN, RotationPolicy
from k2workers.rotation.table import BACKING_OFF, CONNECTING, LIVE, OVERLAP, STOPPED, WARMING, State
from tests.fakes import Permit

S = 1_000_000_000
LIFETIME_S = 100
POLICY = RotationPolicy(
    backoff=Backoff(S, 30 * S),
    connect_timeout_ns=20 * S,
    min_overlap_ns=S,
    overlap_limit_ns=30 * S,
    grant_patience_ns=60 * S,
    retry_rotation_ns=30 * S,
    stable_ns=10 * S,
)
GRANT = Permit("rotate")
UNPROVEN = Tick(withheld=True)
"""Time passes, and the venue withholds a stream from the standby."""


class Told(NamedTuple):
    """One input, and what must follow: a state, and actions."""

    at_s: int
    given: Input
    state: State
    actions: list[Action] = []
    next_rotation_s: int | None = None
    """When the next rotation is planned, from now; None: not looked at."""


class Scenario(NamedTuple):
    """A story; its name says what it shows."""

    name: str
    rows: tuple[str, ...]
    """Names of rows without which it goes another way."""
    story: list[Told]


STARTED = [Told(0, Start(), CONNECTING, [OpenLine(1, 0, 0)])]
UP = [*STARTED, Told(0, Opened(1), LIVE, [NowLive(1)])]
WARM = [
    *UP,
    Told(10, Rotate(SCHEDULED, GRANT), WARMING, [RotationBegun(1, SCHEDULED, 10 * S, ANY), OpenLine(2, 0, None)]),
]
BOTH = [*WARM, Told(11, Opened(2), OVERLAP)]
SECOND_UP = [
    *STARTED,
    Told(0, Failed(1), BACKING_OFF),
    Told(0, Tick(), CONNECTING, [OpenLine(2, 1, 0)]),
    Told(0, Opened(2), LIVE, [NowLive(2)]),
]
RETRIED = Told(1, Tick(), CONNECTING, [OpenLine(2, 1, 0)])
GIVEN_UP: list[Action] = [RotationGivenUp(SCHEDULED, kept=1), RotationOver(GRANT)]
URGENT = RequestRotation(SERVER_SHUTDOWN)


def cut(at_s: int) -> list[Action]:
    """The standby takes over with nothing lost."""
    replaced = CloseLine(1, 1000, "Periodic rotation", GRANT)
    return [Promoted(2, complete=True, lifetime_ns=at_s * S, rotation=ANY), replaced, RotationOver(None)]


def cut_short(at_s: int) -> list[Action]:
    """The standby takes over because the old line is gone."""
    promoted = Promoted(2, complete=False, lifetime_ns=at_s * S, rotation=ANY)
    return [LineLost(1, "x", primary=True), promoted, RotationOver(GRANT)]


def closed(*lines: int) -> list[Action]:
    """These lines are closed because the feed stops."""
    return [CloseLine(line, 1000, "Shutting down") for line in lines]


def again(at_s: int, rotate: Rotate, line: int) -> list[Told]:
    """Another standby is asked for and opened."""
    begun: list[Action] = [RotationBegun(1, SERVER_SHUTDOWN, at_s * S, ANY), OpenLine(line, 0, None)]
    return [Told(at_s, Tick(), LIVE, [URGENT]), Told(at_s, rotate, WARMING, begun)]


def given_up_urgently() -> list[Action]:
    """A rotation before the announced end of the primary failed."""
    return [RotationGivenUp(SERVER_SHUTDOWN, kept=1), RotationOver(None)]


SCENARIOS = [
    Scenario(
        "the first line is opened and carries the feed",
        ("idle Start", "connecting Opened of_primary"),
        UP,
    ),
    Scenario(
        "a feed stopped before it began never begins",
        ("idle Stop",),
        [Told(0, Stop(), STOPPED), Told(0, Start(), STOPPED)],
    ),
    Scenario(
        "each step of an attempt has its whole time, then the line is abandoned",
        ("connecting Advanced of_primary", "connecting Tick expired"),
        [
            *STARTED,
            Told(10**9, Tick(), CONNECTING),  # it waits for permission, however long
            Told(10**9, Advanced(1), CONNECTING),
            Told(10**9 + 15, Advanced(1), CONNECTING),
            Told(10**9 + 34, Tick(), CONNECTING),
            Told(10**9 + 35, Tick(), BACKING_OFF, [AbandonLine(1)]),
        ],
    ),
    Scenario(
        "the first retry is at once, later ones wait",
        ("connecting Failed of_primary", "backing_off Tick expired"),
        [
            *STARTED,
            Told(0, Failed(1), BACKING_OFF),
            Told(0, Tick(), CONNECTING, [OpenLine(2, 1, 0)]),
            Told(0, Failed(2), BACKING_OFF),
            Told(0, Tick(), BACKING_OFF),
            Told(1, Tick(), CONNECTING, [OpenLine(3, 2, 0)]),
        ],
    ),
    Scenario(
        "a line that ends while it is being subscribed counts as lost",
        ("connecting Closed of_primary",),
        [*STARTED, Told(1, Closed(1, "x"), BACKING_OFF, [LineLost(1, "x", primary=True)]), RETRIED],
    ),
    Scenario(
        "a notice while connecting outlives it",
        ("connecting Notice of_primary", "connecting Opened of_primary primary_noticed"),
        [
            *STARTED,
            Told(0, Notice(1), CONNECTING),
            Told(0, Opened(9), CONNECTING),
            Told(1, Opened(1), LIVE, [NowLive(1), URGENT], LIFETIME_S),
        ],
    ),
    Scenario(
        "stop while connecting closes the line",
        ("connecting Stop",),
        [*STARTED, Told(1, Stop(), STOPPED, closed(1))],
    ),
    Scenario(
        "stop while backing off ends the attempts",
        ("backing_off Stop",),
        [*STARTED, Told(0, Failed(1), BACKING_OFF), Told(0, Stop(), STOPPED), Told(0, Tick(), STOPPED)],
    ),
    Scenario(
        "a rotation that is due is asked for, and again if nobody answers",
        ("live Tick expired",),
        [
            *UP,
            Told(LIFETIME_S - 1, Tick(), LIVE),
            Told(LIFETIME_S, Tick(), LIVE, [RequestRotation(SCHEDULED)]),
            Told(LIFETIME_S + 59, Tick(), LIVE),
            Told(LIFETIME_S + 60, Tick(), LIVE, [RequestRotation(SCHEDULED)]),
        ],
    ),
    Scenario(
        "a notice asks for a rotation once, and again if nobody answers",
        ("live Notice of_primary first_notice", "live Tick expired primary_noticed"),
        [
            *UP,
            Told(1, Notice(1), LIVE, [URGENT]),
            Told(1, Notice(1), LIVE),
            Told(60, Tick(), LIVE),
            Told(61, Tick(), LIVE, [URGENT]),
        ],
    ),
    Scenario(
        "a rotation that somebody wants is asked for, and the schedule stays",
        ("live Wanted",),
        [
            *UP,
            Told(1, Wanted("operator"), LIVE, [RequestRotation("operator")]),
            Told(LIFETIME_S, Tick(), LIVE, [RequestRotation(SCHEDULED)]),
        ],
    ),
    Scenario(
        "the standby is promoted before the old line closes, and the next rotation planned",
        ("live Rotate", "warming Opened of_standby", "overlap Tick proven"),
        [
            *BOTH,
            Told(11, Tick(), OVERLAP),  # the overlap is too short yet
            Told(12, Tick(), LIVE, cut(12)),
            Told(111, Tick(), LIVE),
            Told(112, Tick(), LIVE, [RequestRotation(SCHEDULED)]),
        ],
    ),
    Scenario(
        "a line that lived long enough is replaced at once, whatever failed before it",
        ("live Closed of_primary stable",),
        [
            *SECOND_UP,
            Told(10, Closed(2, "x"), BACKING_OFF, [WithdrawRequest(), LineLost(2, "x", primary=True)]),
            Told(10, Tick(), CONNECTING, [OpenLine(3, 1, 10 * S)]),
        ],
    ),
    Scenario(
        "a line that ends soon after it opened is a failed attempt",
        ("live Closed of_primary",),
        [
            *SECOND_UP,
            Told(9, Closed(2, "x"), BACKING_OFF, [WithdrawRequest(), LineLost(2, "x", primary=True)]),
            Told(9, Tick(), BACKING_OFF),
            Told(10, Tick(), CONNECTING, [OpenLine(3, 2, 9 * S)]),
        ],
    ),
    Scenario(
        "a line that was given up for its silence is replaced at once, whatever failed before it",
        ("live Closed of_primary for_silence",),
        [
            *SECOND_UP,
            Told(9, Closed(2, "silent"), BACKING_OFF, [WithdrawRequest(), LineLost(2, "silent", primary=True)]),
            Told(9, Tick(), CONNECTING, [OpenLine(3, 1, 9 * S)]),
            Told(9, Opened(3), LIVE, [NowLive(3)]),
            Told(9, Closed(9, "stale"), LIVE),
            Told(18, Closed(3, "stale"), BACKING_OFF, [WithdrawRequest(), LineLost(3, "stale", primary=True)]),
            Told(18, Tick(), CONNECTING, [OpenLine(4, 1, 18 * S)]),
        ],
    ),
    Scenario(
        "stop withdraws the request and closes the line",
        ("live Stop",),
        [*UP, Told(1, Stop(), STOPPED, [WithdrawRequest(), *closed(1)])],
    ),
    Scenario(
        "a standby that does not get on is abandoned, and the primary kept",
        ("warming Advanced of_standby", "warming Tick expired"),
        [
            *WARM,
            Told(20, Advanced(2), WARMING),
            Told(25, Advanced(1), WARMING),  # not the line that is being opened
            Told(39, Tick(), WARMING),
            Told(40, Tick(), LIVE, [AbandonLine(2), *GIVEN_UP]),
            Told(69, Tick(), LIVE),
        ],
    ),
    Scenario(
        "a standby that cannot be opened is tried again later",
        ("warming Failed of_standby",),
        [
            *WARM,
            Told(15, Failed(2), LIVE, GIVEN_UP),
            Told(44, Tick(), LIVE),
            Told(45, Tick(), LIVE, [RequestRotation(SCHEDULED)]),
        ],
    ),
    Scenario(
        "a standby lost while it warms leaves the primary alone",
        ("warming Closed of_standby",),
        [
            *WARM,
            Told(15, Closed(2, "x"), LIVE, [LineLost(2, "x", primary=False), *GIVEN_UP]),
            Told(44, Tick(), LIVE),
        ],
    ),
    Scenario(
        "a primary lost while the standby warms leaves it as the line being connected, with its deadline",
        ("warming Closed of_primary",),
        [
            *WARM,
            Told(15, Closed(1, "x"), CONNECTING, [LineLost(1, "x", primary=True), RotationOver(GRANT)]),
            Told(29, Tick(), CONNECTING),
            Told(30, Tick(), BACKING_OFF, [AbandonLine(2)]),
            Told(30, Tick(), CONNECTING, [OpenLine(3, 1, 15 * S)]),
        ],
    ),
    Scenario(
        "a notice on a standby that warms outlives its promotion",
        ("warming Notice of_either", "overlap Tick proven standby_noticed"),
        [
            *WARM,
            Told(10, Notice(2), WARMING),
            Told(11, Opened(2), OVERLAP),
            Told(11, Tick(), OVERLAP),
            Told(12, Tick(), LIVE, [*cut(12), URGENT], LIFETIME_S),
        ],
    ),
    Scenario(
        "stop while a standby warms closes both lines and gives the permission back",
        ("warming Stop",),
        [*WARM, Told(11, Stop(), STOPPED, [*closed(2, 1), RotationOver(GRANT)])],
    ),
    Scenario(
        "a standby that never proves itself is closed, and the primary kept",
        ("overlap Tick expired",),
        [
            *BOTH,
            Told(40, UNPROVEN, OVERLAP),
            Told(41, UNPROVEN, LIVE, [CloseLine(2, 1000, "Not proven"), *GIVEN_UP]),
        ],
    ),
    Scenario(
        "a proof that is there at the last moment counts",
        ("overlap Tick proven",),
        [
            *BOTH,
            Told(40, UNPROVEN, OVERLAP),
            Told(41, Tick(), LIVE, cut(41)),
        ],
    ),
    Scenario(
        "a standby lost in the overlap leaves the primary alone",
        ("overlap Closed of_standby",),
        [
            *BOTH,
            Told(12, Closed(2, "x"), LIVE, [LineLost(2, "x", primary=False), *GIVEN_UP]),
            Told(41, Tick(), LIVE),
        ],
    ),
    Scenario(
        "a primary lost in the overlap is succeeded by the standby, and the feed is not starved",
        ("overlap Closed of_primary",),
        [
            *BOTH,
            Told(12, Closed(1, "x"), LIVE, cut_short(12), LIFETIME_S),
            Told(50, Closed(2, "x"), BACKING_OFF, [WithdrawRequest(), LineLost(2, "x", primary=True)]),
            Told(50, Tick(), CONNECTING, [OpenLine(3, 1, 50 * S)]),
        ],
    ),
    Scenario(
        "a standby refused while the primary's end is announced is tried again at once, then after a pause that grows",
        ("warming Failed of_standby primary_noticed", "warming Notice of_either"),
        [
            *WARM,
            Told(11, Notice(1), WARMING),
            Told(12, Failed(2), LIVE, GIVEN_UP, 0),
            *again(12, Rotate(SERVER_SHUTDOWN), 3),
            Told(12, Failed(3), LIVE, given_up_urgently(), 0),  # in 0.75 s
            Told(12, Tick(), LIVE),
            *again(13, Rotate(SERVER_SHUTDOWN), 4),
            Told(13, Failed(4), LIVE, given_up_urgently(), 1),  # in 1.5 s
            Told(14, Tick(), LIVE),
            *again(15, Rotate(SERVER_SHUTDOWN), 5),
            # One that works ends the hurry, and with it the pauses.
            Told(16, Opened(5), OVERLAP),
            Told(17, Tick(), LIVE, [ANY, CloseLine(1, 1000, "Periodic rotation"), RotationOver(None)]),
            Told(18, Notice(5), LIVE, [URGENT]),
            Told(18, Rotate(SERVER_SHUTDOWN), WARMING, [ANY, OpenLine(6, 0, None)]),
            Told(18, Failed(6), LIVE, [RotationGivenUp(SERVER_SHUTDOWN, kept=5), RotationOver(None)]),
            Told(18, Tick(), LIVE, [URGENT]),
        ],
    ),
    Scenario(
        "a standby that ends while it warms is tried again at once if the primary's end is announced",
        ("warming Closed of_standby primary_noticed",),
        [
            *WARM,
            Told(11, Notice(1), WARMING),
            Told(12, Closed(2, "x"), LIVE, [LineLost(2, "x", primary=False), *GIVEN_UP]),
            Told(12, Tick(), LIVE, [URGENT]),
        ],
    ),
    Scenario(
        "a standby that does not get on is tried again at once if the primary's end is announced",
        ("warming Tick expired primary_noticed",),
        [
            *WARM,
            Told(11, Notice(1), WARMING),
            Told(30, Tick(), LIVE, [AbandonLine(2), *GIVEN_UP]),
            Told(30, Tick(), LIVE, [URGENT]),
        ],
    ),
    Scenario(
        "a standby lost in the overlap is tried again at once if the primary's end is announced",
        ("overlap Closed of_standby primary_noticed", "overlap Notice of_primary"),
        [
            *BOTH,
            Told(11, Notice(1), OVERLAP),
            Told(12, Closed(2, "x"), LIVE, [LineLost(2, "x", primary=False), *GIVEN_UP]),
            Told(12, Tick(), LIVE, [URGENT]),
        ],
    ),
    Scenario(
        "a standby whose own end is announced proves itself soon, or another one is tried at once",
        (
            "overlap Notice of_standby",
            "overlap Tick expired primary_noticed",
            "overlap Notice of_primary",
        ),
        [
            *BOTH,
            Told(11, Notice(1), OVERLAP),
            Told(12, Notice(2), OVERLAP),
            Told(14, Notice(2), OVERLAP),  # said again, it gets no longer
            Told(16, UNPROVEN, OVERLAP),
            Told(17, UNPROVEN, LIVE, [CloseLine(2, 1000, "Not proven"), *GIVEN_UP]),
            Told(17, Tick(), LIVE, [URGENT]),
        ],
    ),
    Scenario(
        "an announced standby has no longer than the limit of the overlap",
        ("overlap Tick expired",),
        [
            *BOTH,
            Told(40, Notice(2), OVERLAP),
            Told(41, UNPROVEN, LIVE, [CloseLine(2, 1000, "Not proven"), *GIVEN_UP]),
            Told(70, Tick(), LIVE),  # the primary is well: there is no hurry
            Told(71, Tick(), LIVE, [RequestRotation(SCHEDULED)]),
        ],
    ),
    Scenario(
        "a standby whose end was announced while it warmed has as little time to prove itself",
        ("warming Opened of_standby standby_noticed",),
        [
            *WARM,
            Told(10, Notice(2), WARMING),
            Told(11, Opened(2), OVERLAP),
            Told(15, UNPROVEN, OVERLAP),
            Told(16, UNPROVEN, LIVE, [CloseLine(2, 1000, "Not proven"), *GIVEN_UP]),
        ],
    ),
    Scenario(
        "a notice on the standby is not forgotten when it succeeds a lost primary",
        ("overlap Notice of_standby", "overlap Closed of_primary standby_noticed"),
        [*BOTH, Told(11, Notice(2), OVERLAP), Told(12, Closed(1, "x"), LIVE, [*cut_short(12), URGENT], LIFETIME_S)],
    ),
    Scenario(
        "stop in the overlap closes both lines and gives the permission back",
        ("overlap Stop",),
        [*BOTH, Told(12, Stop(), STOPPED, [*closed(2, 1), RotationOver(GRANT)])],
    ),
    Scenario(
        "news of other lines changes nothing while connecting",
        (),
        [
            *STARTED,
            *(Told(0, given, CONNECTING) for given in (Advanced(9), Opened(9), Failed(9), Closed(9, "x"), Notice(2))),
            Told(20, Tick(), CONNECTING),
            Told(20, Failed(1), BACKING_OFF),
            Told(20, Tick(), CONNECTING, [OpenLine(2, 1, 0)]),
            Told(20, Opened(2), LIVE, [NowLive(2)]),  # the notice was of no line of ours
        ],
    ),
    Scenario(
        "news of other lines changes nothing while live",
        (),
        [*UP, *(Told(at_s, given, LIVE) for at_s in (1, 10) for given in (Opened(9), Closed(9, "x"), Notice(9)))],
    ),
    Scenario(
        "news of other lines changes nothing while a standby warms or overlaps",
        (),
        [
            *WARM,
            *(Told(10, given, WARMING) for given in (Opened(9), Failed(9), Closed(9, "x"), Notice(3))),
            Told(11, Opened(2), OVERLAP),
            *(Told(11, given, OVERLAP) for given in (Opened(9), Failed(9), Closed(9, "x"), Notice(3))),
            Told(12, Tick(), LIVE, cut(12)),
            Told(13, Rotate(SCHEDULED, GRANT), WARMING, [RotationBegun(2, SCHEDULED, S, ANY), OpenLine(3, 0, None)]),
            Told(14, Opened(3), OVERLAP),
            Told(14, Notice(9), OVERLAP),
            Told(14, Closed(2, "x"), LIVE, [LineLost(2, "x", primary=True), ANY, RotationOver(GRANT)]),
        ],
    ),
    Scenario(
        "news of other lines, and time, change nothing while ends are announced",
        (),
        [
            *WARM,
            Told(10, Notice(1), WARMING),
            Told(10, Notice(2), WARMING),
            *(Told(10, given, WARMING) for given in (Opened(9), Failed(9), Closed(9, "x"), Tick())),
            Told(10, Opened(2), OVERLAP),
            *(Told(10, given, OVERLAP) for given in (Closed(9, "x"), UNPROVEN)),
        ],
    ),
    Scenario(
        "a notice on the primary leaves an overlap its whole time",
        ("overlap Tick expired primary_noticed",),
        [
            *BOTH,
            Told(12, Notice(1), OVERLAP),
            Told(40, UNPROVEN, OVERLAP),
            Told(41, UNPROVEN, LIVE, [CloseLine(2, 1000, "Not proven"), *GIVEN_UP]),
            Told(41, Tick(), LIVE, [URGENT]),
        ],
    ),
    Scenario(
        "news of other lines changes nothing in the overlap with a standby that the venue will end",
        (),
        [*BOTH, Told(11, Notice(2), OVERLAP), Told(11, Closed(9, "x"), OVERLAP)],
    ),
]
