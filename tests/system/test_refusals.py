"""The running feed, refused by a venue that shares no assumption with it: it keeps away for as long as it is told, and comes back."""

from __future__ import annotations

import signal
from itertools import pairwise

import psutil
import pytest

from tests.support.venue import Answer, Asked, Venue
from tests.system.support import Program, feed, wait_for

SYMBOLS = ["AAAUSDT", "BBBUSDT", "CCCUSDT", "DDDUSDT"]
IN_FLIGHT = 4
"""Requests that may be on their way when the first of them is refused."""


def ready(program: Program) -> bool:
    return program.http("/readyz")[0] == 200


def refused(asked: list[Asked]) -> list[Asked]:
    return [each for each in asked if each.status >= 400]


# 12 s is longer than a parent may be silent: what waits because the parent says so must not be taken for that.
@pytest.mark.parametrize(("status", "pause_s"), [(429, 12.0), (418, 4.0)])
def test_a_refused_handshake_keeps_all_shards_away_for_as_long_as_the_venue_says(status: int, pause_s: float) -> None:
    with Venue(SYMBOLS) as venue, feed(venue, shards=4) as program:
        program.wait_ready()
        before = len(venue.handshakes)
        venue.on_handshake = lambda: Answer(status, "<html>" + "-" * 2_000, {"Retry-After": f"{pause_s:g}"})
        venue.reset_all()
        wait_for("a refusal", lambda: refused(venue.handshakes))
        wait_for("the pause shown", lambda: program.status()["venue_refusals"]["connect"]["refused_with"] == status)
        wait_for("it as a metric", lambda: max(program.metrics("k2_venue_paused_seconds").values()) > 0)
        venue.on_handshake = lambda: None
        wait_for("a good answer", lambda: [each for each in venue.handshakes[before:] if each.status == 101], 120)
        wait_for("ready again", lambda: ready(program), 120)
        after = venue.handshakes[before:]
        # Whoever was on the way when the first was refused is refused with it; then one tries for all.
        together = [each for each in after if each.at_s < after[0].at_s + pause_s / 2]
        assert len(together) <= 4
        later = after[len(together) :]
        assert later[0].at_s - together[-1].at_s >= pause_s * 0.95
        assert program.logged("address_refused")[0]["pausing"] == (
            ["connect", "rest"] if status == 418 else ["connect"]
        )
        wait_for(
            "every refusal counted",
            lambda: sum(program.metrics("k2_connect_refusals_total").values()) == len(refused(after)),
        )
        assert not program.logged("grant_not_answered")
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw)


def test_refused_requests_stop_for_all_workers_while_lines_come_back() -> None:
    with Venue(SYMBOLS) as venue, feed(venue, shards=4) as program:
        program.wait_ready()
        pause_s = 3.0
        blocked = Answer(403, "<html>Request blocked</html>", {"Retry-After": f"{pause_s:g}"})
        venue.on_rest = lambda _path, _query: blocked
        before, lines = len(venue.requests), len(venue.connections)
        venue.reset_all()
        wait_for("a refusal", lambda: refused(venue.requests))
        handshakes = len(venue.handshakes)
        venue.reset_all()
        wait_for("every line back although REST is refused", lambda: len(venue.handshakes) >= handshakes + lines, 60)
        wait_for("every shard live", lambda: all(w.get("live") for w in program.status()["workers"]))
        assert program.status()["venue_refusals"]["rest"]["refused_with"] == 403

        def together() -> int:
            """How many requests came before the first pause; 0 as long as there was none."""
            times_s = [each.at_s for each in venue.requests[before:]]
            pauses = (n for n, (a, b) in enumerate(pairwise(times_s), 1) if b - a > 0.95 * pause_s)
            return next(pauses, 0)

        assert wait_for("a request after a pause", together) <= IN_FLIGHT
        venue.on_rest = lambda _path, _query: None
        wait_for("everything repaired", lambda: ready(program), 180)
        program.stop()


def test_symbols_are_asked_for_again_only_when_the_venue_allows() -> None:
    with Venue(SYMBOLS) as venue:
        venue.rate_limits[0]["limit"] = 1_200
        venue.on_rest = lambda _path, _query: Answer(429, {"code": -1003, "msg": "Too much"}, {"Retry-After": "1.5"})
        with feed(venue) as program:
            wait_for("two refusals", lambda: len(venue.requests) >= 2, 60)
            venue.on_rest = lambda _path, _query: None
            program.wait_ready()
            times_s = [each.at_s for each in refused(venue.requests)]
            assert all(later - earlier >= 1.4 for earlier, later in pairwise(times_s))
            # 80 % of what the venue itself says that it allows.
            wait_for("a lower limit", lambda: list(program.metrics("k2_rest_weight_limit").values()) == [960.0])
            program.stop()


def test_a_frozen_parent_does_not_keep_lines_down_and_hears_of_it_afterwards() -> None:
    with Venue(SYMBOLS) as venue, feed(venue, shards=2) as program:
        program.wait_ready()
        before = len(venue.handshakes)
        parent = psutil.Process(program.process.pid)
        parent.suspend()
        try:
            venue.reset_all()
            wait_for("both lines back without the parent", lambda: len(venue.handshakes) >= before + 2, 90)
        finally:
            parent.resume()
        wait_for("both counted", lambda: sum(program.metrics("k2_connects_alone_total").values()) >= 2, 60)
        program.stop(signal.SIGTERM)


def test_a_refused_stream_is_found_and_named_and_the_others_are_served() -> None:
    bad = {"bbbusdt@trade", "dddusdt@depth@100ms"}
    with Venue(SYMBOLS) as venue:
        venue.on_subscribe = lambda names: (2, "Invalid request: invalid stream") if bad & set(names) else None
        with feed(venue, shards=1) as program:
            wait_for("both named", lambda: {line["stream"] for line in program.logged("stream_refused")} == bad, 60)
            wait_for(
                "nothing else is amiss",
                lambda: [why["reason"] for why in program.status()["unready"]] == ["streams_refused"],
                60,
            )
            wait_for("both in the status", lambda: program.status()["workers"][0]["streams_refused"].keys() == bad)
            wait_for("both as a metric", lambda: sum(program.metrics("k2_streams_refused").values()) == 2)
            good = {name for names in venue.subscribed for name in names} - bad
            wait_for("events of every other stream", lambda: good <= venue.sent.keys(), 60)
            assert len(good) == 14
            # The venue takes them again: a new line brings them, and nothing is called refused any longer.
            venue.on_subscribe = lambda _names: None
            venue.reset_all()
            wait_for("nothing refused", lambda: not program.status()["workers"][0]["streams_refused"], 90)
            wait_for("events of these two", lambda: bad <= venue.sent.keys(), 60)
            program.wait_ready()
            assert not program.logged("streams_silent"), "a refusal is no riddle"
            program.stop()
            assert program.process.returncode == 0, "".join(program.raw)
