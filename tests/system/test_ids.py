"""Ids that begin anew, and single ids far from the truth, on the running program: no topic falls silent, and nothing is lost."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k2workers import Backfilled, BookSnapshot, BookTicker, Event, Gap, Kline, Reset, Subscriber
from tests.support.venue import Answer, Flow, Venue
from tests.system.support import Program, feed, free_port, wait_for

SYMBOL = "AAAUSDT"
NUMBERED = {"trade": "trade", "agg_trade": "aggTrade", "book_ticker": "bookTicker", "depth": "depth@100ms"}
"""Kinds whose ids are numbers, and their streams."""

FIELDS = {"trade": ("t",), "aggTrade": ("a",), "bookTicker": ("u",), "depth@100ms": ("U", "u")}
SHORT_MINUTE_US = 60_000_000


class Listener:
    """A program that subscribes all topics and remembers what it is given."""

    def __init__(self, publish: int, replay: int) -> None:
        self.events: dict[str, list[Event]] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._follow, args=(publish, replay), daemon=True)
        self._thread.start()

    def _follow(self, publish: int, replay: int) -> None:
        endpoint, snapshot = f"tcp://127.0.0.1:{publish}", f"tcp://127.0.0.1:{replay}"
        with Subscriber(["binance."], endpoint, snapshot_endpoint=snapshot, books_endpoint=None) as subscriber:
            for item in subscriber:
                if self._ending.is_set():
                    return
                self.events.setdefault(item.topic.split(".")[1], []).append(item.event)  # type: ignore[union-attr]

    def end(self) -> None:
        self._ending.set()

    def of(self, kind: str, *types: type[Event]) -> list[Event]:
        """What came of a kind, or those of these types."""
        return [event for event in list(self.events.get(kind, [])) if not types or isinstance(event, types)]

    def ids(self, kind: str) -> list[int]:
        """The last ids of the venue's events, in the order in which they came."""
        return [event.last_id for event in self.of(kind) if not isinstance(event, Reset | Gap | BookSnapshot)]

    def since_reset(self, kind: str) -> list[int]:
        """The same of those after the last ``Reset``."""
        events = self.of(kind)
        begun = max((place for place, event in enumerate(events) if isinstance(event, Reset)), default=len(events))
        return [
            event.last_id for event in events[begun:] if not isinstance(event, Reset | Gap | BookSnapshot | Backfilled)
        ]


@contextlib.contextmanager
def listened(venue: Venue, *args: str) -> Iterator[tuple[Program, Listener]]:
    publish, replay = free_port(), free_port()
    with feed(venue, *args, shards=1, publish=publish, replay=replay) as program:
        listener = Listener(publish, replay)
        yield program, listener
        listener.end()
        program.stop()


def streams(kinds: str) -> tuple[str, str]:
    return "--streams", kinds


def test_of_ids_that_begin_anew_everything_is_delivered_after_a_reset_that_says_so() -> None:
    sent: dict[str, list[int]] = {kind: [] for kind in NUMBERED}
    begun = threading.Event()

    def note(stream: str, data: dict[str, Any]) -> None:
        if begun.is_set():
            name = stream.partition("@")[2]
            kind = next(kind for kind, suffix in NUMBERED.items() if suffix == name)
            sent[kind].append(data[FIELDS[name][-1]])

    with Venue([SYMBOL]) as venue, listened(venue, *streams(",".join(NUMBERED))) as (program, listener):
        program.wait_ready()
        wait_for("events of each kind", lambda: all(len(listener.ids(kind)) > 40 for kind in NUMBERED))
        begun.set()
        venue.on_event = note
        venue.flows[SYMBOL] = Flow(SYMBOL, 10)
        wait_for("the new ids of each kind", lambda: all(len(listener.since_reset(kind)) > 100 for kind in NUMBERED))
        for kind in NUMBERED:
            (reset,) = listener.of(kind, Reset)
            assert isinstance(reset, Reset)
            given = listener.since_reset(kind)
            assert given == [number for number in sent[kind] if number >= given[0] and number < 1_000][: len(given)]
            assert given[0] <= 10 * 10 + 3, "the first of the new ids"
            assert reset.first_new_id <= given[0] < reset.last_old_id
        told = {line["topic"].split(".")[1]: line for line in program.logged("ids_began_anew")}
        assert set(told) == set(NUMBERED)
        assert told["trade"]["first_new_id"] == 11
        wait_for("the book of the new ids", lambda: listener.of("depth", BookSnapshot)[-1].last_id < 10_000)
        assert program.metrics("k2_resets_total")


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind in {"trade", "depth"} else [pytest.mark.long]) for kind in NUMBERED]
)
def test_a_checkpoint_of_ids_that_are_dead_silences_no_topic(kind: str, tmp_path: Path) -> None:
    keep = ("--checkpoint", str(tmp_path / "checkpoint"), *streams(kind))
    with Venue([SYMBOL]) as venue:
        with listened(venue, *keep) as (program, listener):
            program.wait_ready()
            wait_for("events", lambda: len(listener.ids(kind)) > 20)
        venue.flows[SYMBOL] = Flow(SYMBOL, 10)
        with listened(venue, *keep) as (program, listener):
            wait_for("new ids", lambda: len(listener.since_reset(kind)) > 20)
            (reset,) = listener.of(kind, Reset)
            assert reset.first_id >= 1_020
            program.wait_ready()
        with listened(venue, *keep) as (program, listener):
            program.wait_ready()
            wait_for("new ids", lambda: len(listener.ids(kind)) > 20)
            assert listener.of(kind, Reset) == [], "where the new ids stood was kept"


@pytest.mark.parametrize("by", [10**12, -900])
def test_one_id_far_from_the_truth_silences_no_topic(by: int) -> None:
    seen = dict.fromkeys(NUMBERED.values(), 0)

    def bend(stream: str, data: dict[str, Any]) -> list[str] | None:
        name = stream.partition("@")[2]
        seen[name] += 1
        if seen[name] % 40:
            return None
        wrong = data | {field: data[field] + by for field in FIELDS[name]}
        later = {field: data[field] + 5_000_000 for field in ("E", "T") if field in data and by < 0}
        return [json.dumps({"stream": stream, "data": each}) for each in (wrong | later, data)]

    with Venue([SYMBOL]) as venue, listened(venue, *streams(",".join(NUMBERED))) as (program, listener):
        program.wait_ready()
        wait_for("the truth of each kind", lambda: all(listener.ids(kind) for kind in NUMBERED))
        venue.on_event = bend  # a glitch that comes before anything else is another test's
        wait_for("four glitches of each kind", lambda: min(seen.values()) > 170)
        wait_for("what came after them", lambda: all(len(listener.ids(kind)) > 130 for kind in NUMBERED))
        for kind in NUMBERED:
            assert listener.of(kind, Gap, Reset) == []
            ids = listener.ids(kind)
            step = 3 if kind in ("book_ticker", "depth") else 1
            assert ids == list(range(ids[0], ids[0] + step * len(ids), step))
        if by > 0:
            assert {line["topic"].split(".")[1] for line in program.logged("outlier_dropped")} == set(NUMBERED)
            wait_for("the count", lambda: sum(program.metrics("k2_outliers_dropped_total").values()) >= 8)


def test_a_bar_and_a_ticker_of_next_year_silence_no_topic() -> None:
    made = {"kline": 0, "ticker": 0}
    base: list[int] = []

    def bend(stream: str, data: dict[str, Any]) -> list[str] | None:
        if not stream.endswith("@trade"):
            return None
        base[:] = base or [data["E"] // SHORT_MINUTE_US * SHORT_MINUTE_US]
        texts = [json.dumps({"stream": stream, "data": data})]
        for wrong in [True, False] if made["kline"] % 20 == 7 else [False]:
            off = 365 * 86_400 * 10**6 if wrong else 0
            k = {
                "t": base[0] + off, "T": base[0] + SHORT_MINUTE_US - 1 + off, "s": SYMBOL, "i": "1m", "f": 1, "L": made["kline"] + 1,
                "o": "1", "c": "1", "h": "1", "l": "1", "v": "1", "n": made["kline"] + 1, "x": False, "q": "1", "V": "1", "Q": "1", "B": "0",
            }  # fmt: skip
            kline = {"e": "kline", "E": data["E"] + off, "s": SYMBOL, "k": k}
            ticker = {
                "e": "24hrMiniTicker", "E": data["E"] + off, "s": SYMBOL, "c": "1", "o": "1", "h": "1", "l": "1", "v": "1", "q": "1",
            }  # fmt: skip
            texts.append(json.dumps({"stream": f"{SYMBOL.lower()}@kline_1m", "data": kline}))
            texts.append(json.dumps({"stream": f"{SYMBOL.lower()}@miniTicker", "data": ticker}))
            made["kline"] += not wrong
            made["ticker"] += not wrong
        return texts

    with Venue([SYMBOL]) as venue, listened(venue, *streams("trade,kline_1m,mini_ticker")) as (program, listener):
        venue.on_event = bend
        wait_for("bars and tickers", lambda: len(listener.of("kline_1m")) > 90 and len(listener.of("mini_ticker")) > 90)
        states = [bar.trade_count for bar in listener.of("kline_1m", Kline) if isinstance(bar, Kline)]
        assert states == list(range(states[0], states[0] + len(states)))
        assert [listener.of(kind, Gap, Reset) for kind in ("kline_1m", "mini_ticker")] == [[], []]
        wait_for("both named", lambda: len({line["topic"] for line in program.logged("outlier_dropped")}) == 2)


def test_a_first_event_far_from_the_truth_is_no_yardstick() -> None:
    wrong: set[str] = set()

    def bend(stream: str, data: dict[str, Any]) -> list[str] | None:
        name = stream.partition("@")[2]
        if name in wrong or not venue.connections or stream not in venue.connections[0].names:
            return None
        wrong.add(name)
        return [json.dumps({"stream": stream, "data": data | {field: data[field] + 10**12 for field in FIELDS[name]}})]

    with Venue([SYMBOL]) as venue, listened(venue, *streams(",".join(NUMBERED))) as (program, listener):
        venue.on_event = bend
        wait_for("the truth of each kind", lambda: all(len(listener.since_reset(kind)) > 30 for kind in NUMBERED))
        assert wrong == set(NUMBERED.values())
        assert all(max(listener.since_reset(kind)) < 10**6 for kind in NUMBERED)
        assert isinstance(listener.of("book_ticker", BookTicker)[-1], BookTicker)
        program.wait_ready()


def test_a_quiet_topic_whose_ids_began_anew_follows_with_its_first_event() -> None:
    with Venue([SYMBOL]) as venue, listened(venue, *streams("trade,agg_trade,depth")) as (program, listener):
        program.wait_ready()
        kinds = ("trade", "agg_trade", "depth")
        wait_for("events of each kind", lambda: all(len(listener.ids(kind)) > 20 for kind in kinds))
        venue.every_s = 4.0  # so rarely do events come from now on
        wait_for("the pause", lambda: len(set(map(len, (listener.ids(kind) for kind in kinds)))) == 1)
        venue.flows[SYMBOL] = Flow(SYMBOL, 10)
        wait_for("a new id of each kind", lambda: all(listener.since_reset(kind) for kind in kinds))
        assert [len(listener.of(kind, Reset)) for kind in kinds] == [1, 1, 1]
        # As few events as there are, REST has confirmed each.
        assert [listener.since_reset(kind)[0] for kind in kinds] == [11, 11, 103]


def test_aggregates_that_do_not_join_are_counted_and_named_and_are_no_gap() -> None:
    ready = threading.Event()
    cut: list[int] = []

    def bend(stream: str, data: dict[str, Any]) -> None:
        if stream.endswith("@aggTrade") and ready.is_set() and not cut:
            cut.append(data["a"])
            data["f"] += 1
            data["l"] += 1

    with Venue([SYMBOL]) as venue, listened(venue, *streams("agg_trade")) as (program, listener):
        venue.on_event = bend
        program.wait_ready()
        wait_for("some aggregates", lambda: len(listener.ids("agg_trade")) > 5)
        ready.set()
        named = wait_for(
            "both breaks named", lambda: told if len(told := program.logged("agg_link_broken")) == 2 else None
        )
        assert [line["earlier_id"] for line in named] == [cut[0] - 1, cut[0]]
        # REST has what the stream should have sent.
        assert {line["at_the_venue"] for line in named} == {"joined"}
        wait_for("the count", lambda: sum(program.metrics("k2_agg_links_broken_total").values()) == 2)
        assert listener.of("agg_trade", Gap) == []
        assert program.http("/readyz")[0] == 200


def test_a_symbol_without_diffs_has_a_book_and_its_first_diff_continues_it() -> None:
    silent = True

    def bend(stream: str, data: dict[str, Any]) -> list[str] | None:
        return [] if silent and "@depth" in stream else None

    with Venue([SYMBOL], every_s=0.5) as venue, listened(venue, *streams("depth,trade")) as (_, listener):
        venue.on_event = bend
        venue.on_rest = lambda path, _: (
            Answer(200, venue.flows[SYMBOL].book() | {"lastUpdateId": 900}) if path == "depth" else None
        )
        wait_for("a book without a diff", lambda: listener.of("depth", BookSnapshot))
        assert listener.of("depth")[0].last_id == 900
        venue.on_rest = lambda _path, _query: None
        silent = False
        wait_for(
            "diffs, and the book that what was missed makes necessary",
            lambda: len(listener.of("depth", BookSnapshot)) == 2,
        )
        (gap,) = listener.of("depth", Gap)
        assert gap.first_id == 901


def ended(listener: Listener) -> list[Kline]:
    """The states of bars, in time or late, once one of them is final."""
    bars = [
        event.event if isinstance(event, Backfilled) else event for event in listener.of("kline_1m", Kline, Backfilled)
    ]
    states = [bar for bar in bars if isinstance(bar, Kline)]
    return states if any(bar.final for bar in states) else []


def test_a_bar_of_a_database_that_is_behind_replaces_no_newer_state() -> None:
    base: list[int] = []
    asked: list[int] = []
    seen = threading.Event()

    def kline(minute: int, trades: int, at_us: int) -> str:
        opens = base[0] + minute * SHORT_MINUTE_US
        k = {
            "t": opens, "T": opens + SHORT_MINUTE_US - 1, "s": SYMBOL, "i": "1m", "f": 1, "L": trades, "o": "1", "c": "1", "h": "1",
            "l": "1", "v": "1", "n": trades, "x": False, "q": "1", "V": "1", "Q": "1", "B": "0",
        }  # fmt: skip
        return json.dumps(
            {"stream": f"{SYMBOL.lower()}@kline_1m", "data": {"e": "kline", "E": at_us, "s": SYMBOL, "k": k}}
        )

    def bend(stream: str, data: dict[str, Any]) -> list[str] | None:
        if not stream.endswith("@trade"):
            return None
        base[:] = base or [(data["E"] // SHORT_MINUTE_US - 5) * SHORT_MINUTE_US]
        # The first bar's final state does not come.
        return [json.dumps({"stream": stream, "data": data}), kline(int(seen.is_set()), 90, data["E"])]

    def klines(path: str, _query: dict[str, str]) -> Answer | None:
        if path != "klines":
            return None
        asked.append(1)
        trades = 50 if len(asked) < 3 else 95
        row = [base[0], "1", "1", "1", "1", "1", base[0] + SHORT_MINUTE_US - 1, "1", trades, "1", "1", "0"]
        return Answer(200, [row])

    with Venue([SYMBOL]) as venue, listened(venue, *streams("trade,kline_1m")) as (program, listener):
        venue.on_event, venue.on_rest = bend, klines
        wait_for("the first bar", lambda: listener.of("kline_1m", Kline))
        seen.set()
        bars = [bar for bar in wait_for("the bar as it ended", lambda: ended(listener)) if bar.final]
        assert [bar.trade_count for bar in bars] == [95]
        assert len(asked) >= 3
        assert program.logged("ids_void") == []
