"""Owns the replay of recorded files as one continuous market.

Events keep their recorded ids and text; only their pace is ours: receive time × speed. REST is answered from
what has been replayed so far. The market starts when the first subscription arrives and ends quietly. What of the files is not
played is counted by name in ``left_out`` and logged once.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from functools import partial

import msgspec

from k2workers.errors import ConfigError
from k2workers.simulator.binance import first_look
from k2workers.simulator.binance.first_look import Found
from k2workers.simulator.binance.payloads import SCALE
from k2workers.simulator.binance.recordable import SPOT, Decode, Recordable
from k2workers.simulator.binance.recorded_events import (
    RecordedAggTrade,
    RecordedBlockTrade,
    RecordedBookTicker,
    RecordedDepth,
    RecordedEvent,
    RecordedLine,
    RecordedMessage,
    RecordedPartialDepth,
    RecordedTrade,
    Rows,
    decode_line,
    micros,
    parse_decimal,
    retimed,
)
from k2workers.simulator.binance.symbol_market import SymbolMarket
from k2workers.simulator.recorded_lines import Broken, read_lines
from k2workers.simulator.replay_clock import ReplayClock
from k2workers.simulator.stand_in import Emission

LINES_PER_TICK = 500
"""Bound of one tick's work, so that a fast replay never holds up the connections."""
HISTORY = 200_000
"""Trades, aggregate and block trades, of each so many, that REST still knows: of all symbols together, whatever a file holds of
them, each symbol its equal share; none of them older than a day. Full they take some 130 MB."""

EXAMPLE = '{"stream":"btcusdt@trade","data":{…}}'

_log = logging.getLogger(__name__)


class Playing:
    """A symbol of the recording, and what its book is made from: diffs if there are any, else the best prices that came last."""

    __slots__ = ("has_diffs", "late", "market", "seen_id")

    def __init__(self, market: SymbolMarket, has_diffs: bool, late: bool) -> None:
        self.market = market
        self.has_diffs = has_diffs
        self.late = late
        """Whether it was not listed when the first client asked."""
        self.seen_id = 0
        """The last update id that came, by which snapshots find their symbol."""


class Flow:
    """A stream of the recording; ``playing`` is None for those of the whole market."""

    __slots__ = ("decode", "playing")

    def __init__(self, decode: Decode, playing: Playing | None) -> None:
        self.decode = decode
        self.playing = playing


class ReplayMarket:
    """Recorded files as a market source, see ``stand_in.MarketSource``. ``speed`` 0: as fast as the caller calls ``advance``.

    Raises ConfigError for files whose first lines are no recording; what is broken further on is left out.
    """

    recorded, halted = True, False
    pushes_on_s = 0.0

    def __init__(
        self, files: tuple[str, ...], speed: float, wanted: set[str], settle_s: float, recordable: Recordable = SPOT
    ) -> None:
        self._wanted = wanted
        self._recordable = recordable
        self.finished = False
        self.left_out: Counter[str] = Counter()
        """What is not played → how many messages."""
        self._symbols: dict[str, SymbolMarket] = {}
        self._playing: dict[str, Playing] = {}
        self._flows: dict[str, Flow | None] = {}
        found, snapshots = first_look.look(files, recordable)
        if not found:
            raise ConfigError(
                f"replay = {files!r}: no message of a {recordable.market} stream ('<ns> {EXAMPLE}') found in these files"
            )
        for symbol in found.values():
            self._open(symbol, late=False)
        self._share()
        for name, snapshot in snapshots.items():
            _replace_book(self._symbols[name], snapshot.lastUpdateId, snapshot.bids, snapshot.asks)
        self._lines = read_lines(files, decode_line, self._broken)
        self._next = next(self._lines, None)
        self._clock = ReplayClock(speed, settle_s, self._next.stamp_ns if self._next else 0)
        self.unpaced = self._clock.unpaced

    @property
    def symbols(self) -> Mapping[str, SymbolMarket]:
        """All that were found so far: those of the first lines, then others as they come."""
        return self._symbols

    def _open(self, found: Found, *, late: bool) -> Playing:
        name = found.symbol
        price = found.price or SCALE  # none has come yet, and REST divides by it
        at_us = found.at_us or found.received_us
        market = self._recordable.open_symbol(name, found.tick, found.step, price, at_us, self._wanted)
        self._symbols[name] = market
        playing = self._playing[name] = Playing(market, found.has_diffs, late)
        return playing

    def _share(self) -> None:
        """Divides what may be remembered among the symbols found so far."""
        for market in self._symbols.values():
            market.keep(max(1, HISTORY // len(self._symbols)))

    def subscribed(self, now_ns: int) -> None:
        """A client subscribed; the market starts a moment after the first one, so that it misses nothing."""
        self._clock.subscribed(now_ns)

    @property
    def running(self) -> bool:
        """Whether recorded time passes."""
        return self._clock.running

    @running.setter
    def running(self, running: bool) -> None:
        self._clock.running = running

    def advance(self, now_ns: int) -> list[Emission]:
        """The recorded events that are due, at most a bounded number of them."""
        out: list[Emission] = []
        if not self._clock.advance(now_ns):
            return out
        for _ in range(LINES_PER_TICK):
            recorded = self._next
            if recorded is None:
                self.finished = True
                break
            if not self._clock.due(recorded.stamp_ns):
                break
            self._play(recorded, out)
            self._next = next(self._lines, None)
        return out

    def _play(self, recorded: RecordedMessage, out: list[Emission]) -> None:
        line = recorded.line
        stream = line.stream
        if not stream:
            self._play_snapshot(recorded)
            return
        try:
            flow = self._flows[stream]
        except KeyError:
            flow = self._flows[stream] = self._flow(recorded)
        if flow is None:
            self._leave_out(stream, recorded, "no stream of this venue")
            return
        playing = flow.playing
        try:
            event = flow.decode(line.data)
            if isinstance(event, list):
                first, last = event[0].ids if event else (0, 0)
            else:
                first, last = event.ids
                if playing is not None:
                    _apply(playing, event)
        except (ValueError, msgspec.MsgspecError) as error:
            self._leave_out(f"unreadable messages of {stream}", recorded, str(error))
            return
        if stream in self._wanted:
            text = bytes(line.data).decode()
            out.append(Emission(stream, first, last, partial(retimed, text, stream)))
        elif playing is not None and playing.late:
            self._leave_out(stream, recorded, "its symbol came too late to be listed, and nobody has subscribed to it")

    def _flow(self, recorded: RecordedMessage) -> Flow | None:
        """A stream that comes for the first time, and perhaps its symbol."""
        stream = recorded.line.stream
        decode = self._recordable.decoder_of(stream)
        if decode is None or not self._recordable.is_valid(stream):
            return None
        if stream.startswith("!"):
            return Flow(decode, None)
        name = self._recordable.symbol_of(stream)
        playing = self._playing.get(name)
        if playing is None:
            found = Found(name, self._recordable)
            found.tick = found.step = 1  # too little is known of it to say more
            found.learn(recorded)
            _log.warning(
                "replay: %s comes for the first time in line %d of %s; it was not listed before",
                name, recorded.number, recorded.path,
            )  # fmt: skip
            playing = self._open(found, late=True)
            self._share()
        return Flow(decode, playing)

    def _play_snapshot(self, recorded: RecordedMessage) -> None:
        """A book that was asked for while it was recorded: it holds where the diffs before it do not reach."""
        line = recorded.line
        if not line.lastUpdateId:
            self._leave_out("messages of no stream", recorded, "neither a stream's nor a depth snapshot")
            return
        known = [playing for playing in self._playing.values() if playing.seen_id]
        if known:
            market = min(known, key=partial(self._distance, line)).market
            if line.lastUpdateId > market.update_id:
                _replace_book(market, line.lastUpdateId, line.bids, line.asks)

    def _distance(self, snapshot: RecordedLine, playing: Playing) -> float:
        """How far a symbol is from one that the book could be of."""
        if self._recordable.shared_ids:
            return first_look.price_distance(snapshot.bids, playing.market.last_price)
        return abs(playing.seen_id - snapshot.lastUpdateId)

    def _broken(self, broken: Broken) -> None:
        name = "rest of a file" if broken.ends else "lines that are no messages"
        self._note(f"{name}: {broken.path}", str(broken))

    def _leave_out(self, name: str, recorded: RecordedMessage, reason: str) -> None:
        self._note(name, f"replay file {recorded.path!r}, line {recorded.number}: {reason}")

    def _note(self, name: str, reason: str) -> None:
        if name not in self.left_out:
            _log.warning("replay: left out: %s (first: %s)", name, reason)
        self.left_out[name] += 1


def _apply(playing: Playing, event: RecordedEvent) -> None:
    """What an event changes for REST."""
    market = playing.market
    if isinstance(event, RecordedTrade):
        at_us = micros(event.T)
        market.skip_to(at_us)
        market.trade_id = event.t
        market.keep_trade((event.t, parse_decimal(event.p), parse_decimal(event.q), at_us, event.m))
    elif isinstance(event, RecordedAggTrade):
        price, qty, at_us = parse_decimal(event.p), parse_decimal(event.q), micros(event.T)
        market.add_agg((event.a, price, qty, event.f, event.l, at_us, event.m), 0, [])
        if not market.trade_id:  # no trades were recorded: these stand for them in whatever REST sums up
            market.skip_to(at_us)
            market.stand_for_trades((event.a, price, qty, event.f, event.l, at_us, event.m))
    elif isinstance(event, RecordedBlockTrade):
        market.keep_block((event.t, parse_decimal(event.p), parse_decimal(event.q), micros(event.T), event.m))
    elif isinstance(event, RecordedDepth):
        _apply_diff(playing, event)
    elif isinstance(event, RecordedBookTicker):
        _take_best(playing, event.u, [(event.b, event.B)], [(event.a, event.A)])
    elif isinstance(event, RecordedPartialDepth):
        _take_best(playing, event.lastUpdateId, event.bids, event.asks)


def _apply_diff(playing: Playing, event: RecordedDepth) -> None:
    """One diff on the book; those that the snapshot already holds are dropped (the venue's step 4)."""
    market = playing.market
    playing.seen_id = event.u
    if not playing.has_diffs:
        playing.has_diffs = True  # no more than the best levels of before are known, and they are old
        _replace_book(market, market.update_id, [], [])
    if event.u > market.update_id:
        _set_levels(market, event.b, event.a)
        market.update_id = event.u


def _take_best(playing: Playing, update_id: int, bids: Rows, asks: Rows) -> None:
    """The best levels are the book where no diffs were recorded."""
    playing.seen_id = max(playing.seen_id, update_id)
    if not playing.has_diffs and update_id > playing.market.update_id:
        _replace_book(playing.market, update_id, bids, asks)


def _replace_book(market: SymbolMarket, update_id: int, bids: Rows, asks: Rows) -> None:
    for side in (market.bids, market.asks):
        side.keys.clear()
        side.quantity.clear()
    _set_levels(market, bids, asks)
    market.update_id = update_id


def _set_levels(market: SymbolMarket, bids: Rows, asks: Rows) -> None:
    for side, rows in ((market.bids, bids), (market.asks, asks)):
        for price, qty in rows:
            side.set(parse_decimal(price), parse_decimal(qty))
