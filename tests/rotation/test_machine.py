"""The machine that runs the table: what it tells of itself, and what holds under any sequence of inputs."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from k2workers.rotation.actions import (
    AbandonLine,
    CloseLine,
    OpenLine,
    Promoted,
    RequestRotation,
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
from k2workers.rotation.machine import RotationMachine
from k2workers.rotation.policy import SCHEDULED, SERVER_SHUTDOWN
from k2workers.rotation.table import CARRYING, State
from tests.fakes import Permit
from tests.rotation.scenarios import POLICY, S

LIFETIME = 100 * S


def machine() -> RotationMachine:
    return RotationMachine(POLICY, lambda now_ns: now_ns + LIFETIME, lambda: 0.5)


def live() -> RotationMachine:
    made = machine()
    made.handle(Start(), 0)
    made.handle(Opened(1), 0)
    assert made.state is State.LIVE
    return made


def overlapping() -> RotationMachine:
    made = live()
    made.handle(Rotate(SCHEDULED), S)
    made.handle(Opened(2), 2 * S)
    assert made.state is State.OVERLAP
    return made


def test_retries_come_ever_later_when_lines_close_right_after_they_opened() -> None:
    made, now_ns = machine(), 0
    made.handle(Start(), now_ns)
    delays = []
    for line in range(1, 9):
        made.handle(Opened(line), now_ns)
        made.handle(Closed(line, "x"), now_ns)
        assert made.memory.deadline_ns is not None
        delays.append(made.memory.deadline_ns - now_ns)
        now_ns = made.memory.deadline_ns
        made.handle(Tick(), now_ns)
    assert delays[0] == 0
    assert delays[1:] == sorted(delays[1:])
    assert delays[-1] > 10 * S


def test_no_line_carries_the_feed_before_one_is_open_and_after_it_is_lost() -> None:
    made = machine()
    made.handle(Start(), 0)
    assert (made.carries_feed, made.carrier, made.primary) == (False, None, 1)
    made.handle(Opened(1), S)
    assert (made.carries_feed, made.carrier) == (True, 1)
    assert (made.lifetime_ns(3 * S), made.next_rotation_ns(3 * S)) == (2 * S, 98 * S)
    assert made.next_rotation_ns(200 * S) == 0
    made.handle(Closed(1, "x"), 4 * S)
    assert (made.carries_feed, made.carrier, made.primary) == (False, None, None)
    assert (made.lifetime_ns(5 * S), made.next_rotation_ns(5 * S)) == (0, 0)


def test_two_lines_are_known_while_they_overlap_and_the_old_one_carries_the_feed() -> None:
    made = overlapping()
    assert (made.carrier, made.primary, made.standby) == (1, 1, 2)
    made.handle(Tick(), 3 * S)
    assert (made.carrier, made.primary, made.standby) == (2, 2, None)


def test_what_the_venue_said_of_a_line_is_forgotten_with_it() -> None:
    made = overlapping()
    made.handle(Notice(1), 2 * S)
    made.handle(Notice(2), 2 * S)
    assert made.memory.noticed == {1, 2}
    made.handle(Closed(2, "x"), 2 * S)
    assert made.memory.noticed == {1}
    made.handle(Closed(1, "x"), 2 * S)
    assert made.memory.noticed == set()


def test_an_input_that_no_row_takes_changes_nothing() -> None:
    for made in (live(), overlapping()):
        before = (made.state, made.primary, made.standby, made.memory.deadline_ns)
        assert made.handle(Start(), 3 * S) == []
        assert (made.state, made.primary, made.standby, made.memory.deadline_ns) == before


class AnyInputs(RuleBasedStateMachine):
    """The invariants of the machine under any inputs at any times."""

    @initialize()
    def begin(self) -> None:
        self.now_ns = 0
        self.machine = machine()
        self.open: set[int] = set()
        self.opened: set[int] = set()
        self.numbers: list[int] = []
        self.asked = False
        self.grants: list[Permit] = []
        self.give(Start())

    def give(self, given: Input) -> None:
        primary_before = self.machine.primary
        was_live = self.machine.state in CARRYING
        promoted = False
        for action in self.machine.handle(given, self.now_ns):
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
                self.give_back(action.grant if isinstance(action, CloseLine) else None)
            elif isinstance(action, RotationOver):
                self.give_back(action.grant)
            elif isinstance(action, RequestRotation | WithdrawRequest):
                self.asked = isinstance(action, RequestRotation)
        if isinstance(given, Closed | Failed):
            self.open.discard(given.line)

    def give_back(self, grant: object) -> None:
        if grant is not None:
            assert isinstance(grant, Permit)
            assert not grant.given_back, "once"
            grant.done()

    def opening(self) -> list[int]:
        return sorted(self.open - self.opened)

    @precondition(lambda self: bool(self.opening()))
    @rule()
    def line_opens(self) -> None:
        line = self.opening()[0]
        self.opened.add(line)
        self.give(Opened(line))

    @precondition(lambda self: bool(self.opening()))
    @rule()
    def line_advances(self) -> None:
        self.give(Advanced(self.opening()[0]))
        assert self.machine.memory.deadline_ns is not None

    @precondition(lambda self: bool(self.opening()))
    @rule()
    def line_fails(self) -> None:
        self.give(Failed(self.opening()[0]))

    @precondition(lambda self: self.open)
    @rule(which=st.sampled_from([0, -1]))
    def line_closes(self, which: int) -> None:
        self.give(Closed(sorted(self.open)[which], "closed_1006"))

    @rule(line=st.integers(1, 40))
    def notice(self, line: int) -> None:
        self.give(Notice(line))

    @rule()
    def wanted(self) -> None:
        self.give(Wanted("operator"))

    @precondition(lambda self: self.asked)
    @rule(reason=st.sampled_from([SCHEDULED, SERVER_SHUTDOWN]))
    def rotate(self, reason: str) -> None:
        self.asked = False
        self.grants.append(Permit("rotate"))
        self.give(Rotate(reason, self.grants[-1]))
        assert self.machine.state is State.WARMING, "what is asked for can always begin"

    @rule(passed_ns=st.integers(0, 3 * LIFETIME), withheld=st.booleans())
    def time_passes(self, passed_ns: int, withheld: bool) -> None:
        self.now_ns += passed_ns
        self.give(Tick(withheld))

    @rule(chance=st.integers(0, 20))
    def stop(self, chance: int) -> None:
        if chance == 20:  # seldom: it ends the story
            self.give(Stop())

    @rule()
    def to_the_deadline(self) -> None:
        if self.machine.memory.deadline_ns is not None:
            self.now_ns = max(self.now_ns, self.machine.memory.deadline_ns)
            self.give(Tick())

    @invariant()
    def never_more_than_two_lines(self) -> None:
        assert len(getattr(self, "open", ())) <= 2

    @invariant()
    def every_open_line_is_primary_or_standby(self) -> None:
        if hasattr(self, "open"):
            assert self.open <= {self.machine.primary, self.machine.standby}

    @invariant()
    def a_rotation_is_asked_for_only_while_one_could_begin(self) -> None:
        if getattr(self, "asked", False):
            assert self.machine.state is State.LIVE

    @invariant()
    def a_permission_is_held_only_by_the_rotation_under_way(self) -> None:
        if hasattr(self, "machine"):
            held = [grant for grant in self.grants if not grant.given_back]
            under_way = self.machine.memory.rotation
            assert held == ([under_way.grant] if under_way is not None else [])
            assert (under_way is None) == (self.machine.state not in {State.WARMING, State.OVERLAP})

    @invariant()
    def every_state_has_a_deadline_but_the_last_and_one_that_waits_for_permission(self) -> None:
        if hasattr(self, "machine") and self.machine.state not in {State.STOPPED, State.CONNECTING}:
            assert self.machine.memory.deadline_ns is not None

    @invariant()
    def line_numbers_only_rise(self) -> None:
        assert getattr(self, "numbers", []) == sorted(set(getattr(self, "numbers", [])))


TestAnyInputs = AnyInputs.TestCase
TestAnyInputs.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
