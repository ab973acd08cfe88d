"""The venue says that it will end every connection, and refuses the next ones: the feed has another line before the old one ends."""

from __future__ import annotations

import json
import time

import pytest

from tests.support.venue import Answer, Connection, Venue
from tests.support.waiting import wait_for
from tests.system.support import Program, feed

NOTICE_S = 19.0
"""So long before the end the venue was seen to say it."""
FULL = Answer(503, "Service Unavailable")


def notice(venue: Venue) -> None:
    venue.send(json.dumps({"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": time.time_ns() // 1_000}}))


def left_in_time(venue: Venue, program: Program, lines: list[Connection]) -> None:
    """The feed leaves the lines of which the end is announced before the venue would end them, and has another one."""
    wait_for(
        "none of the announced lines", lambda: not any(line in lines for line in list(venue.connections)), NOTICE_S
    )
    assert program.logged("connection_lost") == [], "it closes them itself"
    assert len(venue.connections) == 1


@pytest.mark.parametrize("refused", [1, 2])
def test_a_standby_refused_while_the_primarys_end_is_announced_is_tried_again_at_once(refused: int) -> None:
    with Venue(["AAAUSDT"]) as venue, feed(venue, "--streams", "trade", shards=1) as program:
        program.wait_ready()
        venue.on_handshake = lambda: FULL if len(venue.handshakes) in range(1, 1 + refused) else None
        lines = list(venue.connections)
        notice(venue)
        left_in_time(venue, program, lines)


def test_a_notice_on_both_lines_of_an_overlap_is_acted_on_although_the_next_line_is_refused() -> None:
    with Venue(["AAAUSDT"]) as venue, feed(venue, "--streams", "trade", shards=1) as program:
        program.wait_ready()
        notice(venue)
        wait_for("both lines", lambda: len(venue.connections) == 2 and venue.connections[1].names)
        venue.on_handshake = lambda: FULL if len(venue.handshakes) in {2, 3} else None
        lines = list(venue.connections)
        notice(venue)
        left_in_time(venue, program, lines)


def test_an_announced_standby_on_which_a_stream_does_not_continue_is_given_up_for_another_one() -> None:
    with Venue(["AAAUSDT", "BBBUSDT"]) as venue, feed(venue, "--streams", "trade", shards=1) as program:
        program.wait_ready()
        first = venue.connections[0]
        venue.withholds = lambda line, stream: (
            line is not first and len(venue.handshakes) == 2 and stream.startswith("bbb")
        )
        notice(venue)
        wait_for("both lines", lambda: len(venue.connections) == 2 and venue.connections[1].names)
        lines = list(venue.connections)
        notice(venue)
        left_in_time(venue, program, lines)
