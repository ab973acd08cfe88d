"""Which endpoints a host is taken not to have."""

from __future__ import annotations

import pytest

from k2workers.venues.binance.endpoints import REMEMBER_NS, SURE_AFTER_NS, Endpoints

PATH, OTHER = "historicalTrades", "trades"


def test_an_endpoint_that_is_not_found_twice_is_missing_and_one_that_is_not_found_once_only_left_alone() -> None:
    host = Endpoints()
    assert not host.left_alone(PATH, 0)
    host.answered(PATH, 404, 0)
    assert (host.left_alone(PATH, 1), host.missing(PATH, 1)) == (True, False)
    host.answered(PATH, 404, SURE_AFTER_NS - 1)
    assert not host.missing(PATH, SURE_AFTER_NS), "both may have the same passing cause"
    assert not host.left_alone(PATH, SURE_AFTER_NS), "time to see whether it is still so"
    host.answered(PATH, 404, SURE_AFTER_NS)
    assert (host.left_alone(PATH, SURE_AFTER_NS), host.missing(PATH, SURE_AFTER_NS)) == (True, True)
    assert not host.missing(OTHER, SURE_AFTER_NS)


def test_hosts_change() -> None:
    host = Endpoints()
    for at_ns in (0, SURE_AFTER_NS):
        host.answered(PATH, 404, at_ns)
    assert host.missing(PATH, REMEMBER_NS - 1)
    assert (host.missing(PATH, REMEMBER_NS), host.left_alone(PATH, REMEMBER_NS)) == (False, False)
    host.answered(PATH, 404, REMEMBER_NS)
    assert not host.missing(PATH, REMEMBER_NS + 1), "the first of the next two"
    host.answered(PATH, 200, REMEMBER_NS + 2)
    assert not host.left_alone(PATH, REMEMBER_NS + 3)


@pytest.mark.parametrize("status", [403, 451])
@pytest.mark.parametrize("others", [True, False])
def test_a_refusal_of_one_endpoint_is_no_refusal_of_our_address_if_others_answer(status: int, others: bool) -> None:
    host = Endpoints()
    host.answered(OTHER, 200, 0)
    host.answered(PATH, status, 0)
    assert not host.left_alone(PATH, 1), "that is what everybody waits for"
    assert (host.in_doubt(PATH, 1), host.in_doubt(OTHER, 1)) == (True, False)
    if others:
        host.answered(OTHER, 200, 1)
    host.answered(PATH, status, 10 * SURE_AFTER_NS)
    assert host.missing(PATH, 10 * SURE_AFTER_NS) is others
    assert host.in_doubt(PATH, 10 * SURE_AFTER_NS) is not others
    assert not host.in_doubt(PATH, REMEMBER_NS)


def test_other_answers_say_nothing_of_what_a_host_has() -> None:
    host = Endpoints()
    for status in (500, 404, 429, 451, 404, 400):
        host.answered(PATH, status, SURE_AFTER_NS * status)
    assert not host.missing(PATH, SURE_AFTER_NS * 500)


def test_what_a_venue_is_known_to_lack_is_never_asked_for() -> None:
    host = Endpoints(lacks=frozenset({PATH}))
    assert (host.missing(PATH, 0), host.left_alone(PATH, 0)) == (True, True)
    assert (host.missing(OTHER, 0), host.left_alone(OTHER, 0)) == (False, False)
