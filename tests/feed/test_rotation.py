"""The rotation machine: each row as a sentence, and the invariants under any sequence of inputs."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from k2workers.backoff import Backoff
from k2workers.feed.rotation import (
    SCHEDULED,
    SERVER_SHUTDOWN,
    AbandonLine,
    Advanced,
    Closed,
    CloseLine,
    Notice,
    Opened,
    OpenLine,
    Promoted,
    Proven,
    RequestRotation,
    Rotate,
    RotationMachine,
    RotationPolicy,
    Start,
    State,
    Stop,
    Tick,
)

S = 1_000_000_000
LIFETIME = 100 * S
POLICY = RotationPolicy(backoff=Backoff(S, 30 * S))


def machine() -> RotationMachine:
    return RotationMachine(POLICY, lambda now_ns: now_ns + LIFETIME, lambda: 0.5)


def live(now_ns: int = 0) -> RotationMachine:
    made = machine()
    made.handle(Start(), now_ns)
    made.handle(Opened(1), now_ns)
    assert made.state is State.LIVE
    return made


def overlapping() -> RotationMachine:
    made = live()
    made.handle(Rotate(SCHEDULED), S)
    made.handle(Opened(2), 2 * S)
    assert made.state is State.OVERLAP
    return made


def test_start_opens_a_starved_line() -> None:
    assert machine().handle(Start(), 0) == [OpenLine(1, starved=True)]


def test_the_first_retry_is_at_once_and_later_ones_wait() -> None:
    made = machine()
    made.handle(Start(), 0)
    made.handle(Closed(1, "x"), 0)
    assert made.handle(Tick(), 0) == [OpenLine(2, starved=True)]
    made.handle(Closed(2, "x"), 0)
    assert made.state is State.BACKING_OFF
    assert made.handle(Tick(), 0) == []
    assert made.handle(Tick(), S) == [OpenLine(3, starved=True)]


def test_a_line_that_closes_right_after_it_opened_still_backs_off() -> None:
    made, now_ns = machine(), 0
    made.handle(Start(), now_ns)
    delays = []
    for line in range(1, 9):
        made.handle(Opened(line), now_ns)
        made.handle(Closed(line, "x"), now_ns)
        assert made.deadline_ns is not None
        delays.append(made.deadline_ns - now_ns)
        now_ns = made.deadline_ns
        made.handle(Tick(), now_ns)
    assert delays[0] == 0
    assert delays[1:] == sorted(delays[1:])
    assert delays[-1] > 10 * S


def test_a_line_that_lived_long_enough_is_replaced_at_once() -> None:
    made = live()
    made.attempt = 5
    made.handle(Closed(1, "x"), 60 * S)
    assert made.handle(Tick(), 60 * S) == [OpenLine(2, starved=True)]


def test_a_connection_attempt_that_takes_too_long_is_abandoned() -> None:
    made = machine()
    made.handle(Start(), 0)
    made.handle(Advanced(1), S)
    assert made.handle(Tick(), S + POLICY.connect_timeout_ns - 1) == []
    assert made.handle(Tick(), S + POLICY.connect_timeout_ns) == [AbandonLine(1)]
    assert made.state is State.BACKING_OFF


def test_an_attempt_that_waits_for_permission_is_never_abandoned() -> None:
    made = machine()
    made.handle(Start(), 0)
    assert made.handle(Tick(), 10**18) == []
    assert made.state is State.CONNECTING


def test_each_step_of_an_attempt_has_its_time_anew() -> None:
    made = live()
    made.handle(Rotate(SCHEDULED), S)
    made.handle(Advanced(2), 15 * S)
    made.handle(Advanced(1), 30 * S)  # not the line that is being opened
    assert made.deadline_ns == 15 * S + POLICY.connect_timeout_ns


def test_due_asks_for_a_rotation_and_asks_again_if_nobody_answers() -> None:
    made = live()
    assert made.handle(Tick(), LIFETIME - 1) == []
    assert made.handle(Tick(), LIFETIME) == [RequestRotation(SCHEDULED)]
    assert made.handle(Tick(), LIFETIME + 1) == []
    assert made.handle(Tick(), LIFETIME + POLICY.grant_patience_ns) == [RequestRotation(SCHEDULED)]


def test_rotation_promotes_the_standby_before_the_old_line_closes() -> None:
    made = live()
    assert made.handle(Rotate(SCHEDULED), S) == [OpenLine(2, starved=False)]
    assert made.handle(Opened(2), 2 * S) == []
    assert made.handle(Proven(), 3 * S) == [
        Promoted(2, 1, SCHEDULED, complete=True),
        CloseLine(1, 1000, "Periodic rotation"),
    ]
    assert (made.state, made.primary, made.standby) == (State.LIVE, 2, None)
    assert made.deadline_ns == 3 * S + LIFETIME


def test_a_standby_that_fails_or_times_out_leaves_the_primary_alone() -> None:
    made = live()
    made.handle(Rotate(SCHEDULED), S)
    assert made.handle(Closed(2, "x"), 2 * S) == []
    assert (made.state, made.primary) == (State.LIVE, 1)
    assert made.deadline_ns == 2 * S + POLICY.retry_rotation_ns
    made.handle(Rotate(SCHEDULED), 40 * S)
    assert made.handle(Tick(), 40 * S + POLICY.connect_timeout_ns) == [AbandonLine(3)]
    assert (made.state, made.primary) == (State.LIVE, 1)


def test_a_standby_that_never_proves_itself_is_closed_and_the_primary_kept() -> None:
    made = overlapping()
    assert made.handle(Tick(), 2 * S + POLICY.overlap_limit_ns) == [CloseLine(2, 1000, "Not proven")]
    assert (made.state, made.primary, made.standby) == (State.LIVE, 1, None)


def test_a_primary_lost_while_warming_leaves_the_standby_as_the_line_being_connected() -> None:
    made = live()
    made.handle(Rotate(SCHEDULED), S)
    assert made.handle(Closed(1, "x"), 2 * S) == []
    assert (made.state, made.primary, made.standby) == (State.CONNECTING, 2, None)
    made.handle(Opened(2), 3 * S)
    assert made.state is State.LIVE


def test_a_primary_lost_in_the_overlap_is_succeeded_by_the_standby() -> None:
    made = overlapping()
    assert made.handle(Closed(1, "x"), 3 * S) == [Promoted(2, 1, SCHEDULED, complete=False)]
    assert (made.state, made.primary) == (State.LIVE, 2)


def test_a_standby_lost_in_the_overlap_is_given_up() -> None:
    made = overlapping()
    assert made.handle(Closed(2, "x"), 3 * S) == []
    assert (made.state, made.primary) == (State.LIVE, 1)


def test_a_shutdown_notice_asks_for_a_rotation_once() -> None:
    made = live()
    assert made.handle(Notice(1), S) == [RequestRotation(SERVER_SHUTDOWN)]
    assert made.handle(Notice(1), S) == []
    assert made.handle(Tick(), S + POLICY.grant_patience_ns) == [RequestRotation(SERVER_SHUTDOWN)]


def test_a_notice_on_the_standby_outlives_its_promotion() -> None:
    made = overlapping()
    assert made.handle(Notice(2), 3 * S) == []
    assert made.handle(Proven(), 4 * S)[-1] == RequestRotation(SERVER_SHUTDOWN)


def test_a_notice_while_connecting_is_remembered() -> None:
    made = machine()
    made.handle(Start(), 0)
    made.handle(Notice(1), 0)
    assert made.handle(Opened(1), S) == [RequestRotation(SERVER_SHUTDOWN)]


def test_news_of_other_lines_change_nothing() -> None:
    for made in (live(), overlapping()):
        before = (made.state, made.primary, made.standby)
        for given in (Opened(99), Closed(99, "x"), Start()):
            assert made.handle(given, 3 * S) == []
        assert (made.state, made.primary, made.standby) == before
    warming = live()
    warming.handle(Rotate(SCHEDULED), S)
    assert warming.handle(Opened(99), S) == []
    assert warming.handle(Closed(99, "x"), S) == []
    connecting = machine()
    connecting.handle(Start(), 0)
    assert connecting.handle(Opened(99), 0) == []
    assert connecting.handle(Closed(99, "x"), 0) == []
    assert connecting.handle(Tick(), 1) == []
    assert live().handle(Notice(99), 0) == []
    assert warming.handle(Tick(), S + 1) == []
    assert overlapping().handle(Tick(), 3 * S) == []


def test_stop_closes_every_line_and_is_final() -> None:
    made = overlapping()
    assert made.handle(Stop(), 3 * S) == [CloseLine(2, 1000, "Shutting down"), CloseLine(1, 1000, "Shutting down")]
    assert made.state is State.STOPPED
    assert made.handle(Start(), 4 * S) == []
    idle = machine()
    assert idle.handle(Stop(), 0) == []


class AnyInputs(RuleBasedStateMachine):
    """The invariants of the machine under any inputs at any times."""

    @initialize()
    def begin(self) -> None:
        self.now_ns = 0
        self.machine = machine()
        self.open: set[int] = set()
        self.opened: set[int] = set()
        self.numbers: list[int] = []
        self.give(Start())

    def give(self, given: object) -> None:
        primary_before = self.machine.primary
        was_live = self.machine.state in {State.LIVE, State.WARMING, State.OVERLAP}
        promoted = False
        for action in self.machine.handle(given, self.now_ns):  # type: ignore[arg-type]
            if isinstance(action, OpenLine):
                self.open.add(action.line)
                self.numbers.append(action.line)
            elif isinstance(action, Promoted):
                assert action.line in self.opened, "only an opened standby is promoted"
                promoted = True
            elif isinstance(action, CloseLine | AbandonLine):
                if was_live and action.line == primary_before and not isinstance(given, Stop):
                    assert promoted, "never dark by our own act"
                self.open.discard(action.line)
        if isinstance(given, Closed):
            self.open.discard(given.line)

    @rule(line=st.integers(1, 40))
    def line_opens(self, line: int) -> None:
        if line in self.open:
            self.opened.add(line)
            self.give(Opened(line))

    @rule(line=st.integers(1, 40))
    def line_advances(self, line: int) -> None:
        if line in self.open - self.opened:
            self.give(Advanced(line))
            assert self.machine.deadline_ns is not None

    @rule(line=st.integers(1, 40))
    def line_closes(self, line: int) -> None:
        if line in self.open:
            self.give(Closed(line, "closed_1006"))

    @rule(line=st.integers(1, 40))
    def notice(self, line: int) -> None:
        self.give(Notice(line))

    @precondition(lambda self: self.machine.state is State.LIVE)
    @rule(reason=st.sampled_from([SCHEDULED, SERVER_SHUTDOWN]))
    def rotate(self, reason: str) -> None:
        self.give(Rotate(reason))

    @rule()
    def proven(self) -> None:
        self.give(Proven())

    @rule(passed_ns=st.integers(0, 3 * LIFETIME))
    def time_passes(self, passed_ns: int) -> None:
        self.now_ns += passed_ns
        self.give(Tick())

    @rule()
    def to_the_deadline(self) -> None:
        if self.machine.deadline_ns is not None:
            self.now_ns = max(self.now_ns, self.machine.deadline_ns)
            self.give(Tick())

    @invariant()
    def never_more_than_two_lines(self) -> None:
        assert len(getattr(self, "open", ())) <= 2

    @invariant()
    def every_open_line_is_primary_or_standby(self) -> None:
        if hasattr(self, "open"):
            assert self.open <= {self.machine.primary, self.machine.standby}

    @invariant()
    def every_state_has_a_deadline_but_the_last_and_one_that_waits_for_permission(self) -> None:
        if hasattr(self, "machine") and self.machine.state not in {State.STOPPED, State.CONNECTING}:
            assert self.machine.deadline_ns is not None

    @invariant()
    def line_numbers_only_rise(self) -> None:
        assert getattr(self, "numbers", []) == sorted(set(getattr(self, "numbers", [])))


TestAnyInputs = AnyInputs.TestCase
TestAnyInputs.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
