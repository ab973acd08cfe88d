"""The native lane of a route: what it takes, what it leaves to Python and why, and who holds a topic's place."""

from __future__ import annotations

import pytest

from k2workers import native, wire
from k2workers.events import AggTrade, BookSnapshot, BookTicker, DepthUpdate, Trade
from k2workers.feed.plain_lane import ASK, CHAIN, END, FRAME, RISING, SPAN, WHY, plain_lane
from k2workers.native.build import SOURCES
from k2workers.sequencing.coverage import PublishedPosition
from k2workers.wire import SendOutcome
from tests.native.differential import BEGAN_US, NOW_NS, Way, frame

pytestmark = pytest.mark.skipif(native.extension is None, reason=f"no native lane: {native.why_not}")


def trade(number: int, symbol: str = "AUSDT", at_us: int = BEGAN_US, more: str = "") -> bytes:
    return (
        f'{{"stream":"{symbol.lower()}@trade","data":{{"e":"trade","E":{at_us},"s":"{symbol}","t":{number},"p":"1.5","q":"2.25",'
        f'"T":{at_us},"m":true,"M":true{more}}}}}'
    ).encode()


def agg(number: int, first: int, last: int) -> bytes:
    return (
        f'{{"stream":"ausdt@aggTrade","data":{{"e":"aggTrade","E":{BEGAN_US},"s":"AUSDT","a":{number},"p":"1.5","q":"2.25","f":{first},"l":{last},'
        f'"T":{BEGAN_US},"m":true,"M":true}}}}'
    ).encode()


def ticker(number: int) -> bytes:
    return f'{{"stream":"ausdt@bookTicker","data":{{"u":{number},"s":"AUSDT","b":"1.0","B":"2.0","a":"3.0","A":"4.0"}}}}'.encode()


def depth(first: int, last: int) -> bytes:
    return (
        f'{{"stream":"ausdt@depth@100ms","data":{{"e":"depthUpdate","E":{BEGAN_US},"s":"AUSDT","U":{first},"u":{last},'
        f'"b":[["1.0","2.0"],["0.5","0.0"]],"a":[]}}}}'
    ).encode()


def way(*kinds: str) -> Way:
    return Way(native=True, kinds=kinds or ("trade",), symbols=("AUSDT", "BUSDT"))


def read(one: Way, *messages: bytes, line: int = 1) -> list[int]:
    """How the read was divided: 1 for each message that the lane took, else how many went to Python together."""
    one.read(line, b"".join(map(frame, messages)), NOW_NS)
    return one.segments


def counts(one: Way) -> dict[tuple[str, str], int]:
    assert one.intake.plain is not None
    return {key: count for key, count in one.intake.plain.counts().items() if count}


def test_what_continues_a_topic_is_taken_and_its_event_is_python_s() -> None:
    one = way()
    read(one, trade(1))
    read(one, trade(2), trade(3))
    assert counts(one) == {("trade", ""): 2, ("trade", "topic"): 1}
    assert [event for _, event in one.events()["binance.trade.AUSDT"]] == [
        Trade(number, "1.5", "2.25", True, NOW_NS, NOW_NS, NOW_NS) for number in (1, 2, 3)
    ]
    (lane, *_) = one.intake.lanes
    assert (lane.last_id, lane.passed, lane.newest) == (3, 3, Trade(3, "1.5", "2.25", True, NOW_NS, NOW_NS, NOW_NS))


def test_a_read_is_one_bundle_with_a_batch_for_each_topic() -> None:
    one = way()
    one.intake.resume({f"binance.trade.{name}": PublishedPosition(9, [], 2) for name in ("AUSDT", "BUSDT")})
    read(one, trade(10), trade(10, "BUSDT"), trade(11), trade(11, "BUSDT"))
    (data,) = one.frames
    assert data[:9] == b"B" + (1).to_bytes(8)
    found = [(batch.topic[-5:], batch.first_id, batch.last_id) for batch in wire.decode_bundle(memoryview(data)[9:])]
    assert found == [("AUSDT", 10, 11), ("BUSDT", 10, 11)]


@pytest.mark.parametrize(
    ("message", "kind", "why"),
    [
        (trade(5), "trade", "order"),
        (trade(3, more=',"st":1'), "trade", "shape"),
        (trade(3).replace(b'"p":"1.5"', b'"p":""'), "trade", "shape"),
        (trade(3).replace(b'"p":"1.5"', b'"p":"+1.5"'), "trade", "shape"),
        (trade(3).replace(b'"p":"1.5"', b'"p":".5"'), "trade", "shape"),
        (trade(3).replace(b'"t":3', b'"t":03'), "trade", "shape"),
        (trade(3).replace(b'"t":3', b'"t": 3'), "trade", "shape"),
        (trade(3).replace(b'"s":"AUSDT"', b'"s":"BUSDT"'), "trade", "shape"),
        (trade(3, at_us=1), "trade", "shape"),
        (trade(3)[:-1], "trade", "shape"),
        (trade(3).replace(b"ausdt", b"cusdt"), "unknown", "stream"),
        (b'{"result":null,"id":1}', "unknown", "stream"),
    ],
)
def test_what_is_not_plain_is_left_to_python_and_counted(message: bytes, kind: str, why: str) -> None:
    one = way()
    read(one, trade(1), trade(2))
    before = counts(one)
    assert read(one, message) == [1]
    assert counts(one) == before | {(kind, why): 1}


def test_what_the_lane_leaves_goes_to_python_together_in_its_place() -> None:
    one = way()
    read(one, trade(1))
    read(one, trade(2))
    blank = b" " * 126  # so that it has the long form of a length, as most messages have
    assert read(one, trade(3), b"{}" + blank, b"[]" + blank, trade(4)) == [1, 2, 1]
    assert [event.first_id for _, event in one.events()["binance.trade.AUSDT"]] == [1, 2, 3, 4]


def test_a_topic_with_a_hole_is_python_s_until_it_is_whole() -> None:
    one = way()
    read(one, trade(1))
    read(one, trade(2))
    assert read(one, trade(4), trade(5)) == [2]
    assert read(one, trade(3)) == [1], "what waits goes on with it"
    assert read(one, trade(6)) == [1]
    assert counts(one) == {("trade", ""): 2, ("trade", "topic"): 2, ("trade", "order"): 2}
    assert [event.first_id for _, event in one.events()["binance.trade.AUSDT"]] == [1, 2, 3, 4, 5, 6]


def test_copies_of_an_overlap_are_dropped_where_their_time_tells() -> None:
    one = way("trade", "book_ticker")
    for number in (1, 2, 3):
        read(one, trade(number, at_us=BEGAN_US + number))
    assert read(one, trade(2, at_us=BEGAN_US + 2), trade(3, at_us=BEGAN_US + 3), line=2) == [1, 1]
    assert counts(one) == {("trade", ""): 4, ("trade", "topic"): 1}
    assert one.intake.duplicates == 2
    # Made later than what we had: perhaps ids that begin anew. Python judges.
    read(one, trade(2, at_us=BEGAN_US + 9), line=2)
    assert counts(one)["trade", "order"] == 1


def test_while_two_lines_bring_a_topic_exactly_what_was_taken_is_known_for_a_copy() -> None:
    one = way("book_ticker")
    for number in (1, 2):
        read(one, ticker(number))
    read(one, ticker(2), line=2)
    assert counts(one)["book_ticker", "order"] == 1, "no time tells, and nothing was remembered"
    one.intake.several_lines(True)
    read(one, ticker(3))
    assert one.intake.lanes[0].last_id == 3, "the copy before it is in doubt no longer"
    read(one, ticker(5), ticker(6))
    other = ticker(5).replace(b"4.0", b"4.1")
    assert read(one, ticker(3), ticker(5), ticker(6), other, line=2) == [1, 1, 1, 1]
    assert counts(one) == {("book_ticker", ""): 7, ("book_ticker", "topic"): 1, ("book_ticker", "order"): 2}
    one.intake.several_lines(False)
    read(one, ticker(6), line=2)
    assert counts(one)["book_ticker", "order"] == 3
    assert one.intake.duplicates == 6


def test_while_ids_behind_a_topic_are_in_doubt_python_sees_every_copy() -> None:
    one = way("book_ticker")
    read(one, ticker(1))
    one.intake.several_lines(True)
    read(one, ticker(2), ticker(900))  # a glitch, as what follows shows
    assert read(one, ticker(2), line=2) == [1]
    assert ("book_ticker", "order") not in counts(one)
    read(one, ticker(3))
    read(one, ticker(2), line=2)
    assert counts(one)["book_ticker", "order"] == 2


def test_as_much_as_a_lagging_line_brings_is_remembered_and_no_more() -> None:
    one = way("book_ticker")
    read(one, ticker(1))
    one.intake.several_lines(True)
    for number in range(2, 302):
        read(one, ticker(number))
    read(one, ticker(301 - 127), line=2)
    assert ("book_ticker", "order") not in counts(one)
    read(one, ticker(301 - 128), line=2)
    assert counts(one)["book_ticker", "order"] == 1


def test_an_overlap_is_proven_by_what_the_lane_took() -> None:
    one = way()
    proof = one.intake.proof = _Proof()  # type: ignore[assignment]
    one.intake.primary = 1
    first, second, third, fourth = (trade(number, at_us=BEGAN_US + number) for number in (1, 2, 3, 4))
    read(one, first)
    read(one, second, third)
    read(one, second, third, fourth, line=2)
    assert proof.told == [("primary", 0, 1), ("primary", 0, 3), ("standby", 0, 2)]


class _Proof:
    def __init__(self) -> None:
        self.told: list[tuple[str, int, int]] = []

    def primary_delivered(self, topic_index: int, last_id: int) -> None:
        self.told.append(("primary", topic_index, last_id))

    def standby_delivered(self, topic_index: int, first_id: int) -> None:
        self.told.append(("standby", topic_index, first_id))


def test_aggregates_must_join_and_stand_for_trades() -> None:
    one = way("agg_trade")
    read(one, agg(1, 10, 12))
    assert read(one, agg(2, 13, 13), agg(3, 15, 15)) == [1, 1]
    assert counts(one) == {("agg_trade", ""): 1, ("agg_trade", "topic"): 1, ("agg_trade", "order"): 1}
    assert one.intake.links_broken == 1
    read(one, agg(4, 17, 17))
    assert one.intake.links_broken == 2, "the first after Python's too"
    read(one, agg(5, -1, -1), agg(5, 20, 19))
    assert counts(one)["agg_trade", "shape"] == 1
    assert counts(one)["agg_trade", "order"] == 3
    assert isinstance(one.intake.lanes[0].newest, AggTrade)


def test_what_rises_may_skip_but_not_go_back_nor_far() -> None:
    one = way("book_ticker")
    read(one, ticker(1))
    assert read(one, ticker(5), ticker(1_000)) == [1, 1]
    assert counts(one) == {("book_ticker", ""): 2, ("book_ticker", "topic"): 1}
    read(one, ticker(1_000 + 10**9), ticker(999))
    assert counts(one)["book_ticker", "order"] == 2
    assert isinstance(one.intake.lanes[0].newest, BookTicker)


def test_a_book_is_python_s_until_subscribers_have_one() -> None:
    one = way("depth")
    read(one, depth(1, 4))
    read(one, depth(5, 5))
    one.intake.take_book(0, BookSnapshot(5, [("1.0", "1.0")], [], 1))
    assert read(one, depth(6, 9), depth(10, 10)) == [1, 1]
    assert counts(one) == {("depth", ""): 2, ("depth", "topic"): 2}
    assert one.intake.lanes[0].newest == DepthUpdate(10, 10, [("1.0", "2.0"), ("0.5", "0.0")], [], NOW_NS, NOW_NS)


def test_the_latency_of_a_read_is_known_natively_too() -> None:
    one = way("trade", "book_ticker")
    read(one, trade(1))
    one.intake.latency_ns = -1
    read(one, ticker(1))
    assert one.intake.latency_ns == -1, "it has no time of the venue"
    read(one, trade(2, at_us=BEGAN_US - 7), ticker(2))
    assert one.intake.latency_ns == 7_000


def test_a_refused_bundle_is_missing_and_wanted_again() -> None:
    one = way()
    read(one, trade(1), trade(2))
    pushed = one.outbox.push_frame
    one.intake._frames = _Refusing(one.outbox.next_head)  # type: ignore[assignment]
    read(one, trade(3), trade(4))
    assert one.intake.refused
    assert one.intake.gaps == 1
    assert list(one.intake.lanes[0].open) == [(3, 4)]
    one.intake._frames = one.outbox
    read(one, trade(5))
    assert pushed == one.outbox.push_frame
    assert [type(event).__name__ for _, event in one.events()["binance.trade.AUSDT"]] == [
        "Trade",
        "Trade",
        "Gap",
        "Trade",
    ]


class _Refusing:
    def __init__(self, next_head: object) -> None:
        self.next_head = next_head

    def push_frame(self, _frame: bytes) -> SendOutcome:
        return SendOutcome.REFUSED


def test_frames_of_every_length_are_taken_or_left_in_order() -> None:
    one = way("trade", "book_ticker")
    read(one, trade(1), ticker(1))
    long_one = ticker(3).replace(b'"1.0"', b'"' + b"1" * 39 + b'.0"')
    assert read(one, ticker(2), long_one, trade(2)) == [1, 1, 1]
    assert [event.first_id for _, event in one.events()["binance.book_ticker.AUSDT"]] == [1, 2]
    one.read(1, b"\x89\x00" + frame(trade(3)), NOW_NS)  # a ping in front of it
    assert one.intake.lanes[0].last_id == 3


def test_streams_that_are_added_are_taken_too_and_counts_go_on() -> None:
    one = way()
    read(one, trade(1))
    read(one, trade(2))
    one.intake.add_streams(one.venue.stream_specs(["book_ticker"], ["AUSDT"]))
    read(one, ticker(1))
    read(one, ticker(2), trade(3))
    assert counts(one) == {("trade", ""): 2, ("trade", "topic"): 1, ("book_ticker", ""): 1, ("book_ticker", "topic"): 1}


def test_another_unit_of_time_is_followed() -> None:
    one = way()
    read(one, trade(1))
    read(one, trade(2))
    read(one, trade(3, at_us=BEGAN_US // 1_000), trade(4, at_us=BEGAN_US // 1_000))
    read(one, trade(5, at_us=BEGAN_US // 1_000))
    assert counts(one) == {("trade", ""): 2, ("trade", "topic"): 1, ("trade", "shape"): 2}


def test_the_numbers_are_those_of_the_header() -> None:
    header = (SOURCES / "lane.h").read_text(encoding="utf-8")
    for name, number in {
        "STOP_END": END, "STOP_FRAME": FRAME, "STOP_ASK": ASK, "STOP_SPAN": SPAN, "RULE_CHAIN": CHAIN, "RULE_RISING": RISING,
        **{f"WHY_{why.upper()}": place for place, why in enumerate(WHY)},
    }.items():  # fmt: skip
        assert f"{name} = {number}," in header
    assert f"WHY_COUNT = {len(WHY)}," in header


def test_without_the_extension_there_is_no_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "extension", None)
    assert plain_lane() is None
    assert way().intake.plain is None


def test_what_fills_an_announced_gap_is_no_copy() -> None:
    one = way()
    first, second, third, _, fifth, sixth = (trade(number, at_us=BEGAN_US + number) for number in range(1, 7))
    for message in (first, second, fifth):
        read(one, message)
    one.intake.expire(2**62)
    assert list(one.intake.lanes[0].open) == [(3, 4)]
    assert read(one, sixth) == [1]
    read(one, third, line=2)
    assert list(one.intake.lanes[0].open) == [(4, 4)]
    assert one.intake.repaired == 1
    read(one, second, line=2)
    assert one.intake.duplicates == 1


@pytest.mark.parametrize("lost", ["before the aggregator", "behind it"])
def test_what_was_taken_and_lost_is_no_copy_when_another_line_brings_it(lost: str) -> None:
    one = way()
    first, second, third, fourth, fifth, sixth = (trade(number, at_us=BEGAN_US + number) for number in range(1, 7))
    read(one, first)
    one.intake.several_lines(True)
    read(one, second)
    if lost == "before the aggregator":
        one.intake._frames = _Refusing(one.outbox.next_head)  # type: ignore[assignment]
        read(one, third, fourth)
        one.intake._frames = one.outbox
    else:
        read(one, third, fourth)
        number = one.venue.stream_specs(["trade"], ["AUSDT"])[0].continuity.number
        one.intake.reopen({"binance.trade.AUSDT": (number, [(3, 4)])})
    read(one, fifth)
    read(one, sixth)
    assert list(one.intake.lanes[0].open) == [(3, 4)]
    read(one, third, fourth, line=2)
    assert list(one.intake.lanes[0].open) == []
    assert (one.intake.repaired, one.intake.duplicates) == (2, 0)
