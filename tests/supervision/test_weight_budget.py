"""The REST allowance: never above the limit in any window, urgent first, silent for as long as the venue says."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from k2workers.network.venue_answers import Answer, Pause, Service
from k2workers.supervision.gate import Gate
from k2workers.supervision.weight_budget import WeightBudget, WeightPolicy, WeightRequest

S = 1_000_000_000
PAUSES = {
    (Service.CONNECT, 429): Pause(frozenset({Service.CONNECT}), 10.0, 900.0),
    (Service.REST, 429): Pause(frozenset({Service.REST}), 10.0, 900.0),
}
POLICY = WeightPolicy(limit=100, share=1.0, window_ns=60 * S, in_flight=2, patient_from=3, lease_ns=30 * S)


def request(number: int, weight: int = 10, urgency: int = 0, child: str = "w") -> WeightRequest:
    return WeightRequest((child, number), weight, urgency, number)


def granted(budget: WeightBudget, now_ns: int) -> list[int]:
    return [each.key[1] for each in budget.due(now_ns)]


def done(budget: WeightBudget, number: int, now_ns: int, used: int = 0) -> int:
    """The request of this worker is over; when it was granted."""
    granted_ns = budget.done((f"worker-{number}", number), now_ns, used=used)
    assert granted_ns is not None
    return granted_ns


def test_urgent_requests_go_first_and_only_so_many_at_once() -> None:
    budget = WeightBudget(POLICY, Gate(PAUSES))
    for number, urgency in ((1, 2), (2, 0), (3, 0)):
        budget.ask(request(number, urgency=urgency))
    assert granted(budget, 0) == [2, 3]
    assert granted(budget, 0) == []
    budget.done(("w", 2), 1)
    budget.done(("w", 3), 1)
    assert granted(budget, 1) == [1]


def test_the_most_urgent_always_find_a_place_among_those_under_way() -> None:
    budget = WeightBudget(WeightPolicy(limit=6_000, in_flight=6), Gate(PAUSES))
    for number, urgency in enumerate([4] * 6 + [3] * 6 + [2] * 6 + [0] * 6):
        budget.ask(request(number, urgency=urgency, child=f"{urgency}"))
    went: list[int] = []
    for urgency in (0, 2, 3, 4):
        went.append(len(budget.due(0)))
        budget.release_child(f"{urgency}")
    assert went == [6, 5, 4, 2]
    budget = WeightBudget(WeightPolicy(limit=6_000, in_flight=6), Gate(PAUSES))
    for urgency, more in ((4, 2), (3, 2), (2, 1), (0, 1)):
        for number in range(9):
            budget.ask(request(number, urgency=urgency, child=f"{urgency}"))
        assert len(budget.due(0)) == more, "slow books of which there are many leave room for everything above them"


def test_the_window_is_never_overdrawn_and_refills_as_it_slides() -> None:
    budget = WeightBudget(POLICY, Gate(PAUSES))
    for number in range(12):
        budget.ask(request(number))
        budget.due(number)
        budget.done(("w", number), number)
    assert budget.used(12) == 100
    assert budget.waiting == 0 or granted(budget, 12) == []
    budget.ask(request(99))
    assert granted(budget, 60 * S) == [99]


def test_the_more_patient_a_request_is_the_more_it_leaves_to_the_urgent_ones() -> None:
    budget = WeightBudget(POLICY, Gate(PAUSES))
    for number in range(100):
        budget.ask(request(number, weight=5, urgency=4))
    spent = []
    for urgency in (4, 3, 0):
        for number in range(100):
            budget.ask(request(number, weight=5, urgency=urgency, child=f"{urgency}"))
        while went := budget.due(0):
            for each in went:
                budget.done(each.key, 0)
        spent.append(budget.used(0))
        budget.release_child(f"{urgency}")
    assert spent == [50, 85, 100]


def test_how_long_it_will_take_until_all_that_is_wanted_can_be_granted() -> None:
    gate = Gate(PAUSES)
    budget = WeightBudget(POLICY, gate)
    assert [budget.wait_s(weight, 5 * S) for weight in (0, 1, 100)] == [0, 0, 0]
    assert [budget.wait_s(weight, 5 * S) for weight in (101, 200, 201, 1_500)] == [60, 60, 120, 840]
    for number, at_s in ((1, 10), (2, 20), (3, 30)):
        budget.ask(request(number, weight=30))
        assert granted(budget, at_s * S) == [number]
        budget.done(("w", number), at_s * S)
    now_ns = 40 * S
    assert [budget.wait_s(weight, now_ns) for weight in (10, 11, 40, 41, 71, 100)] == [0, 30, 30, 40, 50, 50]
    assert [budget.wait_s(weight, now_ns) for weight in (101, 111, 341)] == [60, 90, 220]
    budget.done(("w", 3), now_ns, used=95)
    assert [budget.wait_s(weight, now_ns) for weight in (5, 6, 96)] == [0, 30, 60], "others use some of it"
    assert budget.used(now_ns) == 95, "asking changes nothing"
    gate.answered(Service.REST, Answer(429, retry_after_s=45), now_ns, now_ns)
    assert [budget.wait_s(weight, now_ns) for weight in (5, 66, 100)] == [45, 50, 60]


def test_what_a_child_waits_for_is_known() -> None:
    budget = WeightBudget(POLICY, Gate(PAUSES))
    budget.ask(request(1, weight=7, child="parent"))
    budget.ask(request(2, weight=8, child="parent"))
    budget.ask(request(3, weight=9))
    assert (budget.waiting_weight("parent"), budget.waiting_weight("w")) == (15, 9)


def test_what_other_programs_on_this_address_use_counts() -> None:
    budget = WeightBudget(POLICY, Gate(PAUSES))
    budget.ask(request(1))
    budget.due(0)
    budget.done(("w", 1), 1, used=95)
    assert budget.used(1) == 95
    budget.ask(request(2))
    assert granted(budget, 1) == []
    assert granted(budget, 61 * S) == [2]


def test_after_a_refusal_nobody_asks_until_the_named_time_and_then_one_at_a_time() -> None:
    gate = Gate(PAUSES)
    budget = WeightBudget(POLICY, gate)
    for number in range(4):
        budget.ask(request(number, child=f"worker-{number}"))
    assert len(budget.due(0)) == 2
    gate.answered(Service.REST, Answer(429, retry_after_s=5), done(budget, 0, 1), 1)
    assert budget.due(5 * S) == []
    gate.answered(Service.REST, Answer(200), done(budget, 1, 2), 2)
    assert len(budget.due(5 * S + 1)) == 1, "an answer to what went out before the refusal opens nothing"
    assert budget.due(5 * S + 2) == []
    gate.answered(Service.REST, Answer(200), done(budget, 2, 6 * S, used=30), 6 * S)
    assert len(budget.due(6 * S)) == 1


def test_a_limit_that_the_venue_names_takes_the_place_of_a_higher_one() -> None:
    budget = WeightBudget(WeightPolicy(limit=6_000, share=0.8), Gate(PAUSES))
    assert budget.limit == 4_800
    budget.learn_limit(10**9, 0)
    assert budget.limit == 4_800, "never above what is documented"
    budget.learn_limit(1_200, 0)
    assert budget.limit == 960
    budget.learn_limit(6_000, 3_599 * S)
    assert budget.limit == 960, "the lowest of the last hour"
    budget.learn_limit(6_000, 3_600 * S)
    assert budget.limit == 4_800
    budget.learn_limit(1, 3_601 * S)
    assert budget.limit == 1


def test_a_dead_child_and_a_forgotten_request_free_their_places() -> None:
    budget = WeightBudget(POLICY, Gate(PAUSES))
    for number in range(4):
        budget.ask(request(number, child="dead"))
    budget.due(0)
    budget.release_child("dead")
    assert budget.waiting == 0
    budget.ask(request(1))
    assert granted(budget, 1) == [1]
    budget.ask(request(2))
    budget.ask(request(3))
    assert granted(budget, 2) == [2]
    assert granted(budget, 40 * S) == [3], "nobody reported back: the lease is over"


def test_a_request_above_the_whole_limit_still_goes_when_nothing_else_was_spent() -> None:
    budget = WeightBudget(POLICY, Gate(PAUSES))
    budget.ask(request(1, weight=250))
    assert granted(budget, 0) == [1]


class ManyWorkers(RuleBasedStateMachine):
    """Any asking and answering. Invariants: no window holds more than the limit; nothing goes while the venue refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate(PAUSES)
        self.budget = WeightBudget(POLICY, self.gate)
        self.now_ns = 0
        self.number = 0
        self.spent: list[tuple[int, int]] = []
        self.flying: list[tuple[str, int]] = []
        self.refused_until_ns = 0

    @rule(weight=st.integers(1, 60), urgency=st.integers(0, 3))
    def ask(self, weight: int, urgency: int) -> None:
        self.number += 1
        self.budget.ask(request(self.number, weight, urgency))

    @rule(passed=st.integers(0, 30 * S))
    def time_passes(self, passed: int) -> None:
        self.now_ns += passed
        self.flying.clear()

    @rule(refused=st.booleans())
    def report(self, refused: bool) -> None:
        if self.flying:
            permitted_ns = self.budget.done(self.flying.pop(), self.now_ns, used=1)
            answer = Answer(429, retry_after_s=10) if refused else Answer(200)
            self.gate.answered(Service.REST, answer, permitted_ns or self.now_ns, self.now_ns)
            if refused:
                self.refused_until_ns = max(self.refused_until_ns, self.now_ns + 10 * S)

    @invariant()
    def the_window_holds(self) -> None:
        for each in self.budget.due(self.now_ns):
            assert self.now_ns >= self.refused_until_ns
            self.spent.append((self.now_ns, each.weight))
            self.flying.append(each.key)
        assert sum(w for at, w in self.spent if at > self.now_ns - POLICY.window_ns) <= POLICY.limit * POLICY.share


TestManyWorkers = ManyWorkers.TestCase
TestManyWorkers.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
