"""What a refusal means for all who share the address."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from k2workers.network.venue_answers import Answer, Service
from k2workers.supervision.gate import LONGEST_TOLD_S, PROBE_LIMIT_NS, Gate
from k2workers.supervision.gate import SECOND_NS as S
from k2workers.venues.binance.refusals import PAUSES

CONNECT, REST = Service.CONNECT, Service.REST
KEY = ("worker-0", 1)


def refused(gate: Gate, status: int, now_ns: int, *, service: Service = REST, told_s: float = 0.0) -> int:
    """A refusal of an attempt permitted just now; how long its own service rests."""
    gate.answered(service, Answer(status, told_s), now_ns, now_ns)
    return gate.paused_ns(service, now_ns)


@pytest.mark.parametrize(("asked", "status"), PAUSES)
def test_the_table_says_who_pauses_whom(asked: Service, status: int) -> None:
    gate = Gate(PAUSES)
    refusal = gate.answered(asked, Answer(status), 0, 0)
    assert refusal is not None
    for service in Service:
        rests = service in PAUSES[asked, status].services
        assert (gate.paused_ns(service, 0) > 0) is rests
        assert gate.open(service, 0) is not rests
        assert gate.refusals(service) == rests


def test_a_lost_line_may_come_back_while_rest_is_refused() -> None:
    gate = Gate(PAUSES)
    for status in (403, 418, 429, 451, 503):
        refused(gate, status, 0)
    assert gate.open(CONNECT, 0)


def test_a_ban_that_a_handshake_shows_stops_requests_too() -> None:
    gate = Gate(PAUSES)
    refused(gate, 418, 0, service=CONNECT)
    assert not gate.open(REST, 0)


def test_what_is_counted_together_is_refused_to_all_and_tried_again_by_one() -> None:
    counted = Gate({})
    first, second = Gate(PAUSES, rest_with=counted), Gate(PAUSES, rest_with=counted)
    refused(first, 429, 0, told_s=5.0)
    refused(first, 429, 0, service=CONNECT, told_s=5.0)
    assert [gate.open(REST, 0) for gate in (first, second, counted)] == [False, False, False]
    assert [gate.open(CONNECT, 0) for gate in (first, second)] == [False, True]
    counted.permitted(REST, KEY, 6 * S)
    assert not second.open(REST, 6 * S), "one goes alone"
    first.answered(REST, Answer(200), 6 * S, 7 * S)
    assert second.open(REST, 7 * S)


def test_the_time_that_the_venue_names_is_kept_and_an_absurd_one_is_not_believed() -> None:
    assert refused(Gate(PAUSES), 429, 7, told_s=42) == 42 * S
    assert refused(Gate(PAUSES), 429, 7, told_s=1e18) == LONGEST_TOLD_S * S


def test_pauses_double_until_a_good_answer_comes() -> None:
    gate, now_ns, lasted = Gate(PAUSES), 0, []
    for _ in range(9):
        lasted.append(refused(gate, 403, now_ns))
        now_ns += lasted[-1]
    assert lasted[:4] == [10 * S, 20 * S, 40 * S, 80 * S]
    assert lasted[-1] == 900 * S
    gate.answered(REST, Answer(200), now_ns, now_ns)
    assert refused(gate, 403, now_ns) == 10 * S


def test_a_short_time_named_again_and_again_grows_too() -> None:
    gate, now_ns, lasted = Gate(PAUSES), 0, []
    for _ in range(4):
        lasted.append(refused(gate, 429, now_ns, told_s=1))
        now_ns += lasted[-1]
    assert lasted == [S, 2 * S, 4 * S, 8 * S]


def test_several_attempts_refused_together_are_one_refusal() -> None:
    gate = Gate(PAUSES)
    assert gate.answered(REST, Answer(403), 0, 5) is not None
    assert gate.answered(REST, Answer(403), 1, 6) is None
    assert gate.paused_ns(REST, 6) == 10 * S - 1
    assert gate.answered(REST, Answer(403, retry_after_s=60), 2, 7) is None
    assert gate.paused_ns(REST, 7) == 60 * S, "the latest word counts"
    assert gate.refusals(REST) == 3


def test_after_a_pause_one_goes_alone_until_it_is_answered() -> None:
    gate = Gate(PAUSES)
    end_ns = refused(gate, 429, 0, service=CONNECT)
    for status in (0, 404, 302):  # no answer, or one that does not let us in: the next may try, still alone
        assert gate.open(CONNECT, end_ns)
        gate.permitted(CONNECT, KEY, end_ns)
        assert not gate.open(CONNECT, end_ns + 1)
        gate.answered(CONNECT, Answer(status), end_ns, end_ns + 2)
    gate.permitted(CONNECT, KEY, end_ns + 2)
    assert gate.status(CONNECT) == 429
    gate.answered(CONNECT, Answer(101), end_ns + 2, end_ns + 4)
    gate.permitted(CONNECT, KEY, end_ns + 4)
    assert gate.open(CONNECT, end_ns + 4)
    assert gate.status(CONNECT) == 0


def test_a_permission_that_is_given_back_or_whose_owner_is_gone_frees_the_next() -> None:
    gate = Gate(PAUSES)
    end_ns = refused(gate, 403, 0)
    gate.permitted(REST, KEY, end_ns)
    gate.unused(REST, ("worker-0", 2))
    gate.release_child("worker-1")
    assert not gate.open(REST, end_ns)
    gate.unused(REST, KEY)
    assert gate.open(REST, end_ns)
    gate.permitted(REST, KEY, end_ns)
    gate.release_child("worker-0")
    assert gate.open(REST, end_ns)


def test_an_attempt_that_nobody_reports_back_does_not_shut_the_gate_for_good() -> None:
    gate = Gate(PAUSES)
    end_ns = refused(gate, 403, 0)
    gate.permitted(REST, KEY, end_ns)
    assert not gate.open(REST, end_ns + PROBE_LIMIT_NS - 1)
    assert gate.open(REST, end_ns + PROBE_LIMIT_NS)


def test_a_good_answer_to_what_went_out_before_the_refusal_opens_nothing() -> None:
    gate = Gate(PAUSES)
    gate.answered(REST, Answer(403), 5, 5)
    gate.answered(REST, Answer(200), 4, 6)
    assert gate.status(REST) == 403
    assert refused(gate, 403, 11 * S) == 20 * S


def test_a_faulty_request_shows_that_the_venue_speaks_to_us() -> None:
    gate = Gate(PAUSES)
    end_ns = refused(gate, 403, 0)
    gate.answered(REST, Answer(400), end_ns, end_ns)
    assert gate.status(REST) == 0


def test_a_venue_that_was_ill_is_not_waited_for_long() -> None:
    gate, now_ns = Gate(PAUSES), 0
    for _ in range(20):
        now_ns += refused(gate, 503, now_ns)
    assert refused(gate, 503, now_ns) == 30 * S


def test_other_answers_make_nobody_pause() -> None:
    gate = Gate(PAUSES)
    for service in Service:
        for status in (101, 200, 302, 400, 404):
            assert gate.answered(service, Answer(status), 0, 0) is None
            assert gate.open(service, 0)
    assert gate.answered(CONNECT, Answer(0), 0, 0) is None, "a line that cannot be reached has a back-off of its own"


@pytest.mark.parametrize("service", Service)
def test_a_time_that_the_venue_names_is_kept_whatever_the_status(service: Service) -> None:
    gate = Gate(PAUSES)
    assert refused(gate, 408, 0, service=service, told_s=120) == 120 * S
    assert refused(gate, 503, 0, service=service, told_s=120) == 120 * S
    assert refused(Gate(PAUSES), 200 if service is REST else 101, 0, service=service, told_s=120) == 0


def test_a_rest_interface_that_cannot_be_reached_or_understood_rests_a_little() -> None:
    gate = Gate(PAUSES)
    assert refused(gate, 0, 0) == S
    assert gate.open(CONNECT, 0)


class AnyAnswers(RuleBasedStateMachine):
    """Whatever is answered: nobody goes in a pause that the venue named, and after any pause the gate opens again."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.now_ns = Gate(PAUSES), 0
        self.closed_until_ns = dict.fromkeys(Service, 0)

    @rule(passed_ns=st.integers(0, 100 * S))
    def time_passes(self, passed_ns: int) -> None:
        self.now_ns += passed_ns

    @rule(
        service=st.sampled_from(Service), status=st.sampled_from([0, 101, 200, 403, 418, 429, 451, 503]),
        before_ns=st.integers(0, 50 * S), told_s=st.integers(0, 200),
    )  # fmt: skip
    def answer(self, service: Service, status: int, before_ns: int, told_s: int) -> None:
        self.gate.answered(service, Answer(status, told_s), self.now_ns - before_ns, self.now_ns)
        for paused in PAUSES[service, status].services if (service, status) in PAUSES else ():
            self.closed_until_ns[paused] = max(self.closed_until_ns[paused], self.now_ns + told_s * S)

    @rule(service=st.sampled_from(Service))
    def go(self, service: Service) -> None:
        if self.gate.open(service, self.now_ns):
            self.gate.permitted(service, KEY, self.now_ns)

    @invariant()
    def a_named_pause_is_kept_and_every_pause_ends(self) -> None:
        for service in Service:
            if self.now_ns < self.closed_until_ns[service]:
                assert not self.gate.open(service, self.now_ns)
            later_ns = self.now_ns + self.gate.paused_ns(service, self.now_ns) + PROBE_LIMIT_NS
            assert self.gate.open(service, later_ns)


TestAnyAnswers = AnyAnswers.TestCase
TestAnyAnswers.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
