"""A small market with Binance's protocol that a test can bend; it shares no code and no assumption with the package.

It runs in a thread with an event loop of its own, on one port of loopback for WebSocket and REST. A test reads what it was asked
(``requests``, ``handshakes``, ``subscribed``) and sets the ``on_…`` hooks to answer otherwise; what no hook answers is answered as the
venue's documents say.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, NamedTuple, Self

from aiohttp import WSCloseCode, WSMsgType, web

from tests.support.waiting import WAIT_S

HISTORY = 5_000

MESSAGES_A_SECOND = 5
"""A client that sends more in any second loses its connection (1008)."""


class Answer(NamedTuple):
    """What a hook answers instead of the venue. ``body`` that is no text is sent as JSON."""

    status: int = 200
    body: Any = ""
    headers: dict[str, str] = {}

    def response(self) -> web.Response:
        text = self.body if isinstance(self.body, str) else json.dumps(self.body, ensure_ascii=False)
        return web.Response(status=self.status, text=text, headers=self.headers, content_type="application/json")


class Asked(NamedTuple):
    """One REST request or handshake: when (monotonic s), below ``rest_path`` (or the WebSocket path), its query, the status answered."""

    at_s: float
    path: str
    query: dict[str, str]
    status: int


def row(symbol: str, status: str = "TRADING") -> dict[str, Any]:
    """A row of exchangeInfo, as far as feed handlers read it."""
    return {"symbol": symbol, "status": status, "baseAsset": symbol[:-4], "quoteAsset": symbol[-4:], "permissions": []}


class Flow:
    """What one symbol has done so far."""

    def __init__(self, symbol: str, first_id: int) -> None:
        self.symbol = symbol
        self.trade_id = self.agg_id = first_id
        self.update_id = 10 * first_id
        self.trades: list[dict[str, Any]] = []
        self.aggs: list[dict[str, Any]] = []
        self.level = 0
        """How far its best prices have moved."""

    @property
    def top(self) -> tuple[str, str]:
        """Its best prices: they never come back to where they were."""
        return f"{99 + self.level / 100:.8f}", f"{101 + self.level / 100:.8f}"

    def step(self, us: int) -> list[tuple[str, dict[str, Any]]]:
        """One trade, its aggregate, a new top of the book and the diff that says so; times in µs."""
        self.trade_id, self.agg_id = self.trade_id + 1, self.agg_id + 1
        self.level += 1
        number, price, quantity = self.trade_id, f"{100 + self.trade_id % 7}.00000000", "1.00000000"
        first, self.update_id = self.update_id + 1, self.update_id + 3
        self.trades.append({"id": number, "price": price, "qty": quantity, "time": us, "isBuyerMaker": True})
        self.aggs.append({"a": self.agg_id, "p": price, "q": quantity, "f": number, "l": number, "T": us, "m": True})
        del self.trades[:-HISTORY], self.aggs[:-HISTORY]
        common = {"E": us, "s": self.symbol}
        amount = f"{1 + self.update_id % 5}.00000000"
        return [
            ("trade", {"e": "trade", **common, "t": number, "p": price, "q": quantity, "T": us, "m": True, "M": True}),
            ("aggTrade", {"e": "aggTrade", **common, **self.aggs[-1], "M": True}),
            ("bookTicker", {"u": self.update_id, "s": self.symbol, "b": self.top[0], "B": amount, "a": self.top[1], "A": "2.00000000"}),
            ("depth@100ms", {"e": "depthUpdate", **common, "U": first, "u": self.update_id, "b": [["99.00000000", amount]], "a": []}),
        ]  # fmt: skip

    def skip(self, trades: int = 0, aggregates: int = 0) -> None:
        """The next so many ids never exist."""
        self.trade_id += trades
        self.agg_id += aggregates

    def book(self) -> dict[str, Any]:
        """The book as it stands."""
        amount = f"{1 + self.update_id % 5}.00000000"
        return {
            "lastUpdateId": self.update_id,
            "bids": [["99.00000000", amount]],
            "asks": [["101.00000000", "2.00000000"]],
        }


class Connection:
    """One client's WebSocket."""

    def __init__(
        self, socket: web.WebSocketResponse, path: str, unit: int, transport: asyncio.Transport | None
    ) -> None:
        self.socket = socket
        self.path = path
        self.unit = unit
        self.names: set[str] = set()
        self.transport = transport
        self._sent_s: deque[float] = deque(maxlen=MESSAGES_A_SECOND)

    def within_limit(self) -> bool:
        """Count one message of the client; False if it is one too many."""
        now_s = time.monotonic()
        full = len(self._sent_s) == MESSAGES_A_SECOND and now_s - self._sent_s[0] < 1.0
        self._sent_s.append(now_s)
        return not full


class Venue:
    """The market. Use it as ``with``; set hooks before or while it runs. All hooks run in the venue's own loop."""

    def __init__(
        self,
        symbols: Sequence[str] = ("AAAUSDT", "BBBUSDT"),
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        every_s: float = 0.05,
        rest_path: str = "/api/v3/",
    ) -> None:
        self.rows: list[Any] = [row(symbol) for symbol in symbols]
        """exchangeInfo's symbols; any JSON."""
        self.rate_limits: list[dict[str, Any]] = [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}
        ]
        self.flows = {symbol: Flow(symbol, 1_000 * (n + 1)) for n, symbol in enumerate(symbols)}
        """The symbols that trade; those without a flow are acknowledged and stay silent."""
        self.halted: dict[str, Flow] = {}
        """What became of symbols that do not trade any longer."""
        self.units = True
        """Whether it knows timeUnit and the header of the same meaning; without, its times are in milliseconds."""
        self.clock_ahead_us = 0
        """How far its clock is ahead of ours where it is asked for the time."""
        self.every_s = every_s
        self.pings_every_s: float | None = None
        """How often every connection gets a ping; None: only when a test says so."""
        self.on_rest: Callable[[str, dict[str, str]], Answer | None] = lambda _path, _query: None
        """(path below ``rest_path``, query) → another answer."""
        self.on_rest_stream: Callable[[web.Request, str], Awaitable[web.StreamResponse | None]] | None = None
        """The same for answers that take their time: (aiohttp's request, path) → a response it has sent itself."""
        self.on_handshake: Callable[[], Answer | None] = lambda: None
        """A refusal of this handshake."""
        self.closed: set[str] = set()
        """The paths on which no handshake succeeds (503)."""
        self.on_subscribe: Callable[[list[str]], tuple[int, str] | None] = lambda _names: None
        """(code, message) that refuses this SUBSCRIBE as a whole."""
        self.on_event: Callable[[str, dict[str, Any]], list[str] | None] = lambda _stream, _data: None
        """(stream, payload) → the raw messages to send in its place."""
        self.withholds: Callable[[Connection, str], bool] = lambda _connection, _stream: False
        """Whether this connection is not sent what happens on this stream."""
        self.requests: list[Asked] = []
        self.handshakes: list[Asked] = []
        self.subscribed: list[list[str]] = []
        """The params of every SUBSCRIBE, in order."""
        self.closes: list[int | None] = []
        """The close code of every connection that ended."""
        self.close_reasons: list[str] = []
        """What clients said when they closed."""
        self.connections: list[Connection] = []
        self.sent: dict[str, int] = {}
        """How many events of each stream were given to at least one connection."""
        self._rest_path = rest_path
        self._host, self._port, self._tls = host, port, tls
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    # ── for the test ────────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(WAIT_S), "the venue did not begin to listen"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(WAIT_S)

    @property
    def port(self) -> int:
        return self._port

    @property
    def authority(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self._port}"

    @property
    def ws_url(self) -> str:
        return f"{'wss' if self._tls else 'ws'}://{self.authority}"

    @property
    def rest_url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.authority}"

    def asked(self, path: str) -> list[Asked]:
        """The REST requests of this path so far."""
        return [asked for asked in list(self.requests) if asked.path == path]

    def list(self, symbol: str, status: str = "TRADING", *, trades: bool = True) -> None:
        """A new symbol, from now on."""
        self.rows.append(row(symbol, status))
        if trades:
            self.start(symbol)

    def start(self, symbol: str) -> None:
        """It trades from now on, whatever its row says."""
        self.flows[symbol] = Flow(symbol, 1_000 * (len(self.flows) + len(self.rows) + 1))

    def halt(self) -> dict[str, Flow]:
        """Nothing happens any longer, whatever the rows say; what did, to go on with: ``flows.update(halted)``."""
        halted, self.flows = self.flows, {}
        self.halted |= halted
        return halted

    def reset_all(self) -> None:
        """Cut every connection without a word."""
        self._loop.call_soon_threadsafe(self._reset_all)

    def reset(self, path: str) -> None:
        """Cut the connections of this path without a word."""
        self._loop.call_soon_threadsafe(self._reset, [c for c in self.connections if c.path == path])

    def send(self, text: str) -> None:
        """One raw message to every connection."""
        self._to_all(lambda socket: socket.send_str(text))

    def ping(self) -> None:
        """A ping to every connection."""
        self._to_all(lambda socket: socket.ping())

    # ── the venue ───────────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_get(f"{self._rest_path}{{path:.*}}", self._on_rest)
        app.router.add_get("/{path:.*}", self._on_websocket)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.2)
        await runner.setup()
        await web.TCPSite(runner, self._host, self._port, ssl_context=self._tls, backlog=1024).start()
        self._port = int(runner.addresses[0][1])
        self._ready.set()
        market = [asyncio.create_task(self._trade()), asyncio.create_task(self._ping())]
        await self._stopping.wait()
        for task in market:
            task.cancel()
        self._reset_all()
        await runner.cleanup()

    def _to_all(self, act: Callable[[web.WebSocketResponse], Coroutine[Any, Any, None]]) -> None:
        def act_now() -> None:
            for connection in self.connections:
                self._later(act(connection.socket))

        self._loop.call_soon_threadsafe(act_now)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        self._loop.create_task(work).add_done_callback(lambda done: done.cancelled() or done.exception())

    def _reset_all(self) -> None:
        self._reset(self.connections)

    @staticmethod
    def _reset(connections: Sequence[Connection]) -> None:
        for connection in connections:
            if connection.transport is not None:
                connection.transport.abort()

    async def _trade(self) -> None:
        while True:
            await asyncio.sleep(self.every_s)
            us = time.time_ns() // 1_000
            for flow in list(self.flows.values()):
                for suffix, data in flow.step(us):
                    self._emit(f"{flow.symbol.lower()}@{suffix}", data)

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(self.pings_every_s or 0.1)
            for connection in self.connections if self.pings_every_s else ():
                self._later(connection.socket.ping())

    def _emit(self, stream: str, data: dict[str, Any]) -> None:
        bent = self.on_event(stream, data)
        heard = False
        for connection in list(self.connections):
            if stream not in connection.names or connection.socket.closed:
                continue
            heard = True
            if self.withholds(connection, stream):
                continue
            payload = (
                data if connection.unit == 1 else {k: v // 1000 if k in ("E", "T") else v for k, v in data.items()}
            )
            for text in (
                [json.dumps({"stream": stream, "data": payload}, separators=(",", ":"))] if bent is None else bent
            ):
                self._later(connection.socket.send_str(text))
        if heard:
            self.sent[stream] = self.sent.get(stream, 0) + 1

    async def _on_websocket(self, request: web.Request) -> web.StreamResponse:
        refusal = Answer(503) if request.path in self.closed else self.on_handshake()
        status = 101 if refusal is None else refusal.status
        self.handshakes.append(Asked(time.monotonic(), request.path, dict(request.query), status))
        if refusal is not None:
            return refusal.response()
        socket = web.WebSocketResponse(autoping=True)
        await socket.prepare(request)
        unit = 1 if self.units and request.query.get("timeUnit", "").upper() == "MICROSECOND" else 1000
        connection = Connection(socket, request.path, unit, request.transport)
        connection.names.update(filter(None, request.query.get("streams", "").split("/")))
        self.connections.append(connection)
        try:
            while not socket.closed:
                message = await socket.receive()
                if message.type is WSMsgType.CLOSE:
                    self.close_reasons.append(message.extra or "")
                elif message.type is WSMsgType.TEXT:
                    if not connection.within_limit():
                        await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Too many requests")
                        break
                    with contextlib.suppress(ConnectionError):
                        await socket.send_str(self._control(connection, json.loads(message.data)))
        finally:
            self.connections.remove(connection)
            self.closes.append(socket.close_code)
        return socket

    def _control(self, connection: Connection, asked: dict[str, Any]) -> str:
        names = list(asked.get("params") or [])
        if asked["method"] == "LIST_SUBSCRIPTIONS":
            return json.dumps({"result": sorted(connection.names), "id": asked["id"]})
        if asked["method"] == "SUBSCRIBE":
            self.subscribed.append(names)
            refusal = self.on_subscribe(names)
            if refusal is not None:
                return json.dumps({"error": {"code": refusal[0], "msg": refusal[1]}, "id": asked["id"]})
            connection.names.update(names)
        else:
            connection.names.difference_update(names)
        return json.dumps({"result": None, "id": asked["id"]})

    async def _on_rest(self, request: web.Request) -> web.StreamResponse:
        path, query = request.match_info["path"], dict(request.query)
        response: web.StreamResponse | None = None
        if self.on_rest_stream is not None:
            response = await self.on_rest_stream(request, path)
        if response is None:
            response = (self.on_rest(path, query) or self._rest(path, query, request)).response()
        self.requests.append(Asked(time.monotonic(), path, query, response.status))
        return response

    def _rest(self, path: str, query: dict[str, str], request: web.Request) -> Answer:
        unit = 1 if self.units and request.headers.get("X-MBX-TIME-UNIT", "").upper() == "MICROSECOND" else 1000
        if path == "exchangeInfo":
            return self._exchange_info(query)
        if path == "time":
            return Answer(200, {"serverTime": (time.time_ns() // 1000 + self.clock_ahead_us) // unit})
        if path in ("ticker/24hr", "ticker/bookTicker"):
            return self._of_the_market(path, query)
        flow = self._flow(query.get("symbol", ""))
        if flow is None:
            return Answer(400, {"code": -1121, "msg": "Invalid symbol."})
        limit = int(query.get("limit", "500"))
        if path == "depth":
            return Answer(200, flow.book())
        key = {"trades": "id", "historicalTrades": "id", "aggTrades": "a"}.get(path)
        if key is None:
            return Answer(404, {"code": 0, "msg": "Not here."})
        rows = flow.aggs if path == "aggTrades" else flow.trades
        times = {"startTime": 0, "endTime": 2**63} | {key: int(value) for key, value in query.items() if "Time" in key}
        if path == "aggTrades":
            rows = [entry for entry in rows if times["startTime"] <= entry["T"] // unit <= times["endTime"]]
        if "fromId" in query:
            rows = [entry for entry in rows if entry[key] >= int(query["fromId"])][:limit]
        time_key = "T" if path == "aggTrades" else "time"
        return Answer(200, [{**entry, time_key: entry[time_key] // unit} for entry in rows[-limit:]])

    def _flow(self, symbol: str) -> Flow | None:
        return self.flows.get(symbol) or self.halted.get(symbol)

    def _of_the_market(self, path: str, query: dict[str, str]) -> Answer:
        """One row of one symbol, or a list: of those named, or of all."""
        listed = [entry["symbol"] for entry in self.rows if isinstance(entry, dict) and "symbol" in entry]
        names = [query["symbol"]] if "symbol" in query else json.loads(query.get("symbols", "[]")) or listed
        if not set(names) <= set(listed):
            return Answer(400, {"code": -1121, "msg": "Invalid symbol."})
        rows: list[dict[str, Any]] = []
        for name in names:
            flow = self._flow(name)
            bid, ask = flow.top if flow is not None else ("0.00000000", "0.00000000")
            last = flow.trade_id if flow is not None and flow.trades else -1
            if path == "ticker/bookTicker":
                rows.append({"symbol": name, "bidPrice": bid, "bidQty": "1.0", "askPrice": ask, "askQty": "2.0"})
            else:
                rows.append({"symbol": name, "lastPrice": "100.0", "firstId": min(last, 0), "lastId": last, "count": 1})
        return Answer(200, rows[0] if "symbol" in query else rows)

    def _exchange_info(self, query: dict[str, str]) -> Answer:
        rows = self.rows
        if "symbols" in query or "symbol" in query:
            names = json.loads(query["symbols"]) if "symbols" in query else [query["symbol"]]
            known = {entry["symbol"]: entry for entry in rows if isinstance(entry, dict) and "symbol" in entry}
            if not all(name in known for name in names):
                return Answer(400, {"code": -1121, "msg": "Invalid symbol."})
            rows = [known[name] for name in names]
        return Answer(200, {"timezone": "UTC", "rateLimits": self.rate_limits, "symbols": rows})
