"""However a line wants to send, no second holds more messages than its rate."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from k2workers.feed.message_rate import MessageRate

S = 1_000_000_000


def test_the_first_message_goes_at_once_and_the_next_ones_evenly_after_it() -> None:
    rate = MessageRate(4)
    assert rate.wait_ns(10 * S) == 0
    rate.sent(10 * S)
    assert rate.wait_ns(10 * S) == S // 4
    assert rate.wait_ns(10 * S + S // 4 - 1) == 1
    assert rate.wait_ns(10 * S + S // 4) == 0
    assert rate.wait_ns(20 * S) == 0


@given(st.lists(st.integers(0, S), max_size=60), st.sampled_from([1.0, 3.0, 4.5]))
def test_no_second_holds_more_than_the_rate_whenever_messages_come(pauses_ns: list[int], per_second: float) -> None:
    rate, now_ns, sent_ns = MessageRate(per_second), S, []
    for pause_ns in pauses_ns:
        now_ns += pause_ns
        now_ns += rate.wait_ns(now_ns)
        rate.sent(now_ns)
        sent_ns.append(now_ns)
    for first_ns in sent_ns:
        assert sum(first_ns <= at_ns < first_ns + S for at_ns in sent_ns) <= -(-per_second // 1)
