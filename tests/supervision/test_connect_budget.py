"""The per-IP allowance of connection attempts and the turn of rotations."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from k2workers.network.venue_answers import Answer, Pause, Service
from k2workers.supervision.connect_budget import (
    CONNECT,
    ROTATE,
    BudgetPolicy,
    ConnectBudget,
    ConnectRequest,
    RotationTurn,
)
from k2workers.supervision.gate import Gate

PAUSES = {
    (Service.CONNECT, 429): Pause(frozenset({Service.CONNECT}), 10.0, 900.0),
    (Service.REST, 429): Pause(frozenset({Service.REST}), 10.0, 900.0),
}
POLICY = BudgetPolicy(limit=4, window_ns=1_000, spacing_ns=10, rotation_limit_ns=300)


def connect(name: str, starved_since_ns: int = 0, asked_ns: int = 0, number: int = 1) -> ConnectRequest:
    return ConnectRequest((name, number), 0, CONNECT, starved_since_ns, asked_ns)


def rotate(name: str, asked_ns: int = 0, number: int = 1) -> ConnectRequest:
    return ConnectRequest((name, number), 0, ROTATE, 0, asked_ns)


def granted(budget: ConnectBudget, now_ns: int) -> list[str]:
    return [request.key[0] for request in budget.due(now_ns)]


def test_grants_keep_their_distance() -> None:
    budget = ConnectBudget(POLICY, Gate(PAUSES))
    budget.ask(connect("a", 1))
    budget.ask(connect("b", 2))
    assert granted(budget, 100) == ["a"]
    assert granted(budget, 109) == []
    assert granted(budget, 110) == ["b"]


def test_the_shard_that_starves_longest_goes_first_and_rotations_last() -> None:
    budget = ConnectBudget(POLICY, Gate(PAUSES))
    for request in (rotate("turn", 1), connect("late", 50), connect("fed", 0, 2), connect("early", 40)):
        budget.ask(request)
    order = [granted(budget, now_ns) for now_ns in (100, 110, 120, 130)]
    assert order == [["early"], ["late"], ["turn"], ["fed"]]


def test_a_full_window_opens_again_when_its_oldest_grant_leaves_it() -> None:
    budget = ConnectBudget(POLICY, Gate(PAUSES))
    for number in range(5):
        budget.ask(connect("a", 1, number=number))
    assert [len(budget.due(now_ns)) for now_ns in (0, 10, 20, 30, 40)] == [1, 1, 1, 1, 0]
    assert budget.granted_in_window(40) == 4
    assert budget.due(999) == []
    assert len(budget.due(1_000)) == 1
    assert budget.granted_in_window(1_000) == 4


def test_budgets_that_share_a_turn_let_one_rotate_at_a_time_and_each_keeps_its_own_window() -> None:
    turn = RotationTurn()
    here, there = (ConnectBudget(POLICY, Gate(PAUSES), turn) for _ in range(2))
    here.ask(rotate("a"))
    there.ask(rotate("b"))
    assert (granted(here, 100), granted(there, 100)) == (["a"], [])
    there.ask(connect("c", 1))
    assert granted(there, 100) == ["c"], "the distance is kept for each address"
    there.release(("b", 1))
    there.ask(rotate("b"))
    assert granted(there, 120) == []
    here.release(("a", 1))
    assert granted(there, 120) == ["b"]
    here.ask(rotate("a"))
    there.release_child("b")
    assert granted(here, 140) == ["a"]


def test_whoever_has_waited_longest_rotates_next_whatever_the_venue_unless_it_may_not_connect_now() -> None:
    turn, gate = RotationTurn(), Gate(PAUSES)
    here, there = ConnectBudget(POLICY, Gate(PAUSES), turn), ConnectBudget(POLICY, gate, turn)
    for number, asked_ns in enumerate((1, 3, 5)):
        here.ask(rotate("here", asked_ns, number))
    there.ask(rotate("there", 2))
    assert (granted(here, 100), granted(there, 100)) == (["here"], [])
    here.release(("here", 0))
    assert (granted(here, 120), granted(there, 120)) == ([], ["there"])
    there.release(("there", 1))
    there.ask(rotate("there", 4, 2))
    assert granted(here, 140) == ["here"]
    here.release(("here", 1))
    gate.answered(Service.CONNECT, Answer(429), 140, 140)
    assert granted(here, 160) == ["here"], "the other one is refused, and keeps nobody waiting"


def test_one_rotation_at_a_time_until_it_is_given_back() -> None:
    budget = ConnectBudget(POLICY, Gate(PAUSES))
    budget.ask(rotate("a", 1))
    budget.ask(rotate("b", 2))
    assert granted(budget, 0) == ["a"]
    assert granted(budget, 50) == []
    budget.release(("b", 99))  # somebody else's; nothing changes
    assert granted(budget, 60) == []
    budget.release(("a", 1))
    assert granted(budget, 61) == ["b"]


def test_a_rotation_does_not_hold_up_a_starved_shard() -> None:
    budget = ConnectBudget(POLICY, Gate(PAUSES))
    budget.ask(rotate("a"))
    assert granted(budget, 0) == ["a"]
    budget.ask(rotate("b"))
    budget.ask(connect("c", 5))
    assert granted(budget, 10) == ["c"]


def test_a_turn_that_is_never_given_back_ends_by_itself() -> None:
    budget = ConnectBudget(POLICY, Gate(PAUSES))
    budget.ask(rotate("a"))
    budget.due(0)
    budget.ask(rotate("b"))
    assert granted(budget, 299) == []
    assert granted(budget, 300) == ["b"]
    budget.release(("a", 1))  # late: it must not end b's turn
    budget.ask(rotate("c"))
    assert granted(budget, 400) == []


def test_a_dead_child_wants_nothing_and_holds_nothing() -> None:
    budget = ConnectBudget(POLICY, Gate(PAUSES))
    budget.ask(rotate("dead", number=1))
    budget.due(0)
    for request in (rotate("b", 5), connect("dead", 1, number=2), connect("dead", 1, number=3)):
        budget.ask(request)
    budget.release_child("other")
    assert budget.waiting == 3
    budget.release_child("dead")
    assert budget.waiting == 1
    assert granted(budget, 20) == ["b"]


def test_a_withdrawn_request_is_not_granted() -> None:
    budget = ConnectBudget(POLICY, Gate(PAUSES))
    budget.ask(connect("a", 1))
    budget.release(("a", 1))
    assert budget.due(100) == []


def test_attempts_that_were_made_without_asking_count_in_the_window() -> None:
    budget = ConnectBudget(POLICY, Gate(PAUSES))
    for at_ns in (30, 10, 20):
        budget.went_alone(at_ns)
    budget.ask(connect("a", 1))
    budget.ask(connect("b", 2))
    assert granted(budget, 35) == [], "too close to the last"
    assert granted(budget, 40) == ["a"]
    assert granted(budget, 1_009) == [], "the window is full"
    assert granted(budget, 1_010) == ["b"]
    assert budget.alone == 3


def test_all_shards_by_themselves_keep_the_window() -> None:
    for shards in (1, 4, 256):
        each_every_ns = POLICY.share_ns(shards)
        assert shards * POLICY.window_ns <= POLICY.limit * each_every_ns


def test_nobody_connects_while_the_venue_refuses_and_then_one_alone() -> None:
    gate = Gate(PAUSES)
    budget = ConnectBudget(POLICY, gate)
    for name in "abc":
        budget.ask(connect(name, 1))
    assert granted(budget, 0) == ["a"]
    gate.answered(Service.CONNECT, Answer(429, retry_after_s=500e-9), 0, 5)
    assert granted(budget, 504) == []
    assert granted(budget, 505) == ["b"]
    assert granted(budget, 600) == [], "b has not been answered"
    gate.answered(Service.CONNECT, Answer(101), 505, 601)
    assert granted(budget, 601) == ["c"]
    assert budget.waiting_children() == set()


def test_a_full_window_says_for_how_long() -> None:
    budget = ConnectBudget(POLICY, Gate(PAUSES))
    for at_ns in range(0, 40, 10):
        assert budget.full_ns(at_ns) == 0
        budget.went_alone(at_ns)
    assert budget.full_ns(40) == 960
    assert budget.full_ns(1_000) == 0


def test_many_shards_on_lines_that_are_cut_again_and_again_share_the_venues_window() -> None:
    # 64 lines that each live for 11 s want 1,745 attempts in five minutes; the venue allows 300, and we leave 30 of them.
    policy, second_ns, shards = BudgetPolicy(), 10**9, 64
    budget = ConnectBudget(policy, Gate(PAUSES))
    cut_ns = dict.fromkeys(range(shards), 0)
    granted_ns: dict[int, list[int]] = {shard: [] for shard in cut_ns}
    for now_ns in range(0, 1_800 * second_ns, second_ns // 10):
        for shard in [shard for shard, at_ns in cut_ns.items() if at_ns == now_ns]:
            budget.ask(ConnectRequest((f"worker-{shard}", now_ns), shard, CONNECT, now_ns or 1, now_ns))
        for request in budget.due(now_ns):
            granted_ns[request.shard].append(now_ns)
            cut_ns[request.shard] = now_ns + 11 * second_ns
    all_ns = sorted(at_ns for times in granted_ns.values() for at_ns in times)
    assert all(b - a >= policy.window_ns for a, b in zip(all_ns, all_ns[policy.limit :], strict=False))
    assert len(all_ns) >= 6 * policy.limit - shards, "all of it is used"
    counts = [len(times) for times in granted_ns.values()]
    assert max(counts) - min(counts) <= 2, "nobody is left behind"


class BudgetMachine(RuleBasedStateMachine):
    """Children ask, give back and die in any order while time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = ConnectBudget(POLICY, Gate(PAUSES))
        self.now_ns = 1_000_000
        self.number = 0
        self.waiting: dict[tuple[str, int], ConnectRequest] = {}
        self.granted_ns: list[int] = []
        self.turn: tuple[tuple[str, int], int] | None = None

    @rule(child=st.sampled_from("abc"), rotation=st.booleans(), starved=st.integers(0, 500))
    def ask(self, child: str, rotation: bool, starved: int) -> None:
        self.number += 1
        since_ns = self.now_ns - starved if starved and not rotation else 0
        request = ConnectRequest((child, self.number), 0, ROTATE if rotation else CONNECT, since_ns, self.now_ns)
        self.waiting[request.key] = request
        self.budget.ask(request)

    @rule(step_ns=st.integers(0, 400))
    def time_passes(self, step_ns: int) -> None:
        self.now_ns += step_ns
        self.take()

    @precondition(lambda self: self.waiting)
    @rule()
    def wait_for_long(self) -> None:
        """Liveness: after a window and the longest turn of a rotation something is granted."""
        self.now_ns += POLICY.window_ns + POLICY.rotation_limit_ns
        assert self.take()

    @precondition(lambda self: self.turn)
    @rule()
    def give_back(self) -> None:
        assert self.turn is not None
        self.budget.release(self.turn[0])
        self.turn = None

    @rule(child=st.sampled_from("abc"))
    def child_dies(self, child: str) -> None:
        self.budget.release_child(child)
        self.waiting = {key: request for key, request in self.waiting.items() if key[0] != child}
        if self.turn is not None and self.turn[0][0] == child:
            self.turn = None

    def take(self) -> int:
        granted = self.budget.due(self.now_ns)
        for request in granted:
            del self.waiting[request.key]
            if request.purpose == ROTATE:
                assert self.turn is None or self.now_ns >= self.turn[1], "two rotations at once"
                assert not any(w.starved_since_ns for w in self.waiting.values()), "a rotation before a starved shard"
                self.turn = (request.key, self.now_ns + POLICY.rotation_limit_ns)
            elif request.starved_since_ns:
                rivals = [w.starved_since_ns for w in self.waiting.values() if w.starved_since_ns]
                assert all(request.starved_since_ns <= since_ns for since_ns in rivals), "not the most starved first"
            self.granted_ns.append(self.now_ns)
        return len(granted)

    @invariant()
    def never_more_than_the_limit_in_any_window(self) -> None:
        for first_ns, beyond_ns in zip(self.granted_ns, self.granted_ns[POLICY.limit :], strict=False):
            assert beyond_ns - first_ns >= POLICY.window_ns

    @invariant()
    def grants_keep_their_distance(self) -> None:
        for earlier_ns, later_ns in zip(self.granted_ns, self.granted_ns[1:], strict=False):
            assert later_ns - earlier_ns >= POLICY.spacing_ns

    @invariant()
    def nothing_is_forgotten_or_invented(self) -> None:
        assert self.budget.waiting == len(self.waiting)


TestBudgetMachine = BudgetMachine.TestCase
TestBudgetMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
