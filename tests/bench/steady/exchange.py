"""Owns the sending side of ``steady``: a small exchange that sends ready-made frames, one a write, on a fixed schedule.

``python -m tests.bench.steady.exchange``. Prints its port. One port serves WebSockets, by address or SUBSCRIBE, and of REST what
readers of whole books ask. Event n goes out n/rate seconds after the rate was set, whoever is late: to those that have its stream,
kind after kind over all symbols. Nothing is thought of as it is sent: a frame's ids and times are put in where they belong.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from tests.bench.frames import KINDS, symbols
from tests.bench.pump import HEAD_END
from tests.bench.steady.ready import BOOK, FIRST_ID, Ready

MICROSECOND = "MICROSECOND"


class Sending(msgspec.Struct, frozen=True):
    """What goes out from now on; nothing with a rate of 0."""

    kinds: tuple[str, ...] = tuple(KINDS)
    symbols: int = 40
    rate: float = 0.0


class Peer:
    """A connection; several threads write to it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._one = threading.Lock()
        self.unit_us = 1_000

    def send(self, data: bytes | bytearray) -> None:
        """Raises OSError."""
        with self._one:
            self._connection.sendall(data)


class Exchange:
    """What was sent, and to whom."""

    def __init__(self) -> None:
        self.sending = Sending()
        self.sent = 0
        self.longest_late_s = 0.0
        self._peers: dict[str, list[Peer]] = {}
        """By stream."""
        self._last_ids: dict[str, int] = {}
        """By stream, of those sent."""
        self._ready: dict[tuple[str, str, int], Ready] = {}
        self._changed = threading.Event()

    # ── the schedule ────────────────────────────────────────────────────────────────────────────────────

    def change(self, sending: Sending) -> None:
        """Begin a new schedule; ids go on."""
        self.sending = sending
        self._changed.set()

    def run(self) -> None:
        """Send for ever."""
        while True:
            self._changed.wait()
            self._changed.clear()
            self._follow(self.sending)

    def _follow(self, sending: Sending) -> None:
        streams = [(kind, symbol) for kind in sending.kinds for symbol in symbols(sending.symbols)]
        begun_s, number = time.perf_counter(), 0
        self.longest_late_s = 0.0
        while sending.rate and not self._changed.is_set():
            due_s = begun_s + number / sending.rate
            # A sleep takes some sixty microseconds longer than asked: at high rates a few writes then follow each other.
            if (wait_s := due_s - time.perf_counter()) > 0:
                time.sleep(wait_s)
            else:
                self.longest_late_s = max(self.longest_late_s, -wait_s)
            self._send(*streams[number % len(streams)])
            number += 1

    def _send(self, kind: str, symbol: str) -> None:
        stream = f"{symbol.lower()}@{KINDS[kind]}"
        number = self._last_ids[stream] = self.last_id(stream) + 1
        for peer in self._peers.get(stream, ())[:]:
            found = self._ready.get((kind, symbol, peer.unit_us))
            if found is None:
                found = self._ready[kind, symbol, peer.unit_us] = Ready(kind, symbol, peer.unit_us)
            try:
                peer.send(found.frame(number, time.time_ns() // 1_000))
            except OSError:
                self._peers[stream].remove(peer)
        self.sent += 1

    def last_id(self, stream: str) -> int:
        """Of the event that this stream sent last."""
        return self._last_ids.get(stream, FIRST_ID)

    # ── connections ─────────────────────────────────────────────────────────────────────────────────────

    def serve(self, connection: socket.socket) -> None:
        """One connection, until its end."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            try:
                while head := _head(connection):
                    url = urlsplit(head.split(b" ", 2)[1].decode())
                    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
                    if b"\nupgrade: websocket" in head.lower():
                        self._serve_websocket(connection, head, query)
                        return
                    body = json.dumps(self._answer(url.path, query)).encode()
                    connection.sendall(
                        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
                        + body
                    )
            except OSError:
                pass

    def _serve_websocket(self, connection: socket.socket, head: bytes, query: dict[str, str]) -> None:
        protocol, peer = ServerProtocol(max_size=None), Peer(connection)
        peer.unit_us = 1 if query.get("timeUnit", "").upper() == MICROSECOND else 1_000
        data = head
        while data:
            protocol.receive_data(data)
            for event in protocol.events_received():
                if not isinstance(event, Frame):
                    protocol.send_response(protocol.accept(event))  # type: ignore[arg-type]
                elif event.opcode is Opcode.TEXT:
                    asked = json.loads(bytes(event.data))
                    if asked["method"] == "SUBSCRIBE":
                        self._subscribe(peer, asked["params"])
                    protocol.send_text(json.dumps({"result": None, "id": asked["id"]}).encode())
            for answer in protocol.data_to_send():
                peer.send(answer)
            if data is head:
                self._subscribe(peer, [name for name in query.get("streams", "").split("/") if name])
            data = connection.recv(65_536)

    def _subscribe(self, peer: Peer, names: Sequence[str]) -> None:
        for name in names:
            peers = self._peers.setdefault(name, [])
            if peer not in peers:
                peers.append(peer)

    # ── REST ────────────────────────────────────────────────────────────────────────────────────────────

    def _answer(self, path: str, query: dict[str, str]) -> Any:
        names = symbols(self.sending.symbols)
        if path == "/sending":
            self.change(msgspec.json.decode(query["as"], type=Sending))
            return {}
        if path == "/sent":
            asked_for = sum(map(bool, self._peers.values()))
            return {"events": self.sent, "longest_late_s": self.longest_late_s, "streams": asked_for}
        if path == "/api/v3/exchangeInfo":
            return {"symbols": [_about(name) for name in names], "rateLimits": []}
        if path == "/api/v3/depth":
            return {"lastUpdateId": self.last_id(f"{query['symbol'].lower()}@{KINDS['depth']}"), **BOOK}
        if path == "/api/v3/ticker/24hr":
            return [{"symbol": name, "lastId": self.last_id(f"{name.lower()}@trade")} for name in names]
        if path == "/api/v3/ticker/bookTicker":
            return [{"symbol": name, "bidPrice": BOOK["bids"][0][0], "askPrice": BOOK["asks"][0][0]} for name in names]
        return []


def _about(symbol: str) -> dict[str, Any]:
    tick = {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"}
    base = symbol.removesuffix("USDT")
    return {"symbol": symbol, "status": "TRADING", "baseAsset": base, "quoteAsset": "USDT", "filters": [tick]}


def _head(connection: socket.socket) -> bytes:
    head = b""
    while HEAD_END not in head:
        got = connection.recv(65_536)
        if not got:
            return b""
        head += got
    return head


def main() -> None:
    """Serve until ended."""
    exchange = Exchange()
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        sys.stdout.write(f"{server.getsockname()[1]}\n")
        sys.stdout.flush()
        threading.Thread(target=exchange.run, daemon=True).start()
        while True:
            connection, _ = server.accept()
            threading.Thread(target=exchange.serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
