"""Owns one WebSocket connection of the exchange: its subscriptions, its limits, its pings and its end.

aiohttp does the handshake, parses incoming frames and closes; market data are written straight to the
transport as frames that all connections share, one write per tick.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from aiohttp import WSCloseCode, WSMsgType, web

from k2workers.every import Every
from k2workers.simulator.address_limits import NS, SlidingWindow
from k2workers.simulator.damage import PING_BETWEEN, frame
from k2workers.simulator.hub import Hub
from k2workers.simulator.simulator_settings import StandInSettings
from k2workers.simulator.stand_in import Form, Talk

_ENDED = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)


class Connection:
    """One client. ``open`` turns False with the first close frame in either direction; nothing is sent after it."""

    def __init__(
        self,
        settings: StandInSettings,
        hub: Hub,
        talk: Talk,
        *,
        on_subscribed: Callable[[], None],
        muted: str | None = None,
    ) -> None:
        self.pending: list[bytes] = []
        self.delayed: list[bytes] = []
        self.muted = muted
        self._silent = False
        self._settings = settings
        self._hub = hub
        self._talk = talk
        self._on_subscribed = on_subscribed
        self._names: dict[str, None] = {}
        self._ws = web.WebSocketResponse(timeout=settings.close_wait_s, autoping=False, autoclose=False, compress=False)
        self._transport: asyncio.Transport | None = None
        self._open = False
        self._recent = SlidingWindow(settings.messages_per_second, NS)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._pinging = Every(settings.ping_interval_s, self._ping, "ping")
        self._unanswered: dict[bytes, None] = {}
        self._closer: asyncio.Task[None] | None = None

    @property
    def open(self) -> bool:
        transport = self._transport
        return self._open and transport is not None and not (transport.is_closing() or self._ws.closed)

    @property
    def form(self) -> Form:
        """How it wants its messages."""
        return self._talk.form

    @property
    def names(self) -> list[str]:
        """Subscribed streams, in the order of subscription."""
        return list(self._names)

    def subscribe(self, names: list[str]) -> None:
        self._names.update(dict.fromkeys(names))
        self._hub.subscribe(self, names)
        self._on_subscribed()

    def unsubscribe(self, names: list[str]) -> None:
        for name in names:
            self._names.pop(name, None)
        self._hub.unsubscribe(self, names)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Shakes hands, serves until the connection ends, and cleans up."""
        await self._ws.prepare(request)
        if request.transport is None:
            return self._ws
        self._transport = request.transport
        self._open = True
        self._start_timers()
        if self._talk.names:
            self.subscribe(list(self._talk.names))
        try:
            await self._receive()
        finally:
            self._stop()
            if self._closer is not None:
                await self._closer
        return self._ws

    async def _receive(self) -> None:
        while True:
            message = await self._ws.receive()
            if message.type in _ENDED:
                self._stop()
                if message.type is WSMsgType.CLOSE and self._closer is None:
                    await self._ws.close(code=message.data or WSCloseCode.OK)
                return
            if message.type is WSMsgType.PONG and bytes(message.data) == PING_BETWEEN:
                continue
            if not self._recent.allow(time.monotonic_ns()):
                self.close(WSCloseCode.POLICY_VIOLATION, "Too many requests")
                continue
            if message.type is WSMsgType.TEXT:
                self._on_text(message.data)
            elif message.type is WSMsgType.PING and not self._silent:
                await self._ws.pong(message.data)
            elif message.type is WSMsgType.PONG:
                self._on_pong(bytes(message.data))

    def _on_text(self, text: str) -> None:
        if not self.open or self._silent:
            return
        reply = self._talk.answer(text, self)
        if reply is not None:
            self.write_text(reply)

    def write_text(self, text: str) -> None:
        """Sends one text frame now, after all that was sent before."""
        self.pending.append(frame(text.encode()))
        self.flush()

    def flush(self) -> None:
        """Gives all pending frames to the transport in one write; cuts a reader that is too slow."""
        data = b"".join(self.pending)
        self.pending.clear()
        if self._transport is None or not self.open or self._silent:
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > self._settings.write_buffer_limit:
            self.drop()

    @property
    def unsent_bytes(self) -> int:
        """Bytes that the client has not taken yet, beyond what the kernel holds."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def notify_shutdown(self) -> None:
        """Sends the venue's notice that the connection will end."""
        if self.open:
            self.write_text(self._talk.notice())

    def close(self, code: int, reason: str = "") -> None:
        """Sends a close frame behind all that was sent; cuts the connection if the client does not answer."""
        if self._closer is None and self._open:
            self._stop()
            self._closer = asyncio.ensure_future(self._close(code, reason))

    async def _close(self, code: int, reason: str) -> None:
        transport = self._transport
        waiting = asyncio.get_running_loop().call_later(2 * self._settings.close_wait_s + 1, self.drop)
        try:
            await self._ws.close(code=code, message=reason.encode(), drain=False)
        finally:
            waiting.cancel()
            if transport is not None and self.unsent_bytes:
                asyncio.get_running_loop().call_later(self._settings.close_wait_s, transport.abort)

    def silence(self, for_s: float) -> None:
        """Sends and answers nothing any more, while TCP stays up; after ``for_s`` (if not 0) it goes on."""
        self._silent = True
        for name in ("age", "notice", "pong"):
            timer = self._timers.pop(name, None)
            if timer is not None:
                timer.cancel()
        if for_s:
            self._later("speak", for_s, self._speak)

    def _speak(self) -> None:
        self._silent = False

    def age_out(self) -> None:
        """Ends as if the greatest age were reached."""
        if self._open:
            self._too_old()

    def shut_down(self, lead_s: float) -> None:
        """Says that it will end, then ends; a negative ``lead_s`` says nothing."""
        if lead_s >= 0:
            self.notify_shutdown()
        self._later("age", max(0.0, lead_s), self._too_old)

    def drop(self) -> None:
        """Cuts the TCP connection without a close frame."""
        self._stop()
        if self._transport is not None:
            self._transport.abort()

    def _stop(self) -> None:
        """Ends all sending at once; frames already written stay in front of any close frame."""
        self._open = False
        self._pinging.stop()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._hub.unsubscribe(self, self.names)
        self._names.clear()

    def _start_timers(self) -> None:
        settings = self._settings
        self._later("age", settings.max_age_s, self._too_old)
        if 0 < settings.shutdown_notice_s < settings.max_age_s:
            self._later("notice", settings.max_age_s - settings.shutdown_notice_s, self.notify_shutdown)
        self._pinging.start(at_once=False)

    def _later(self, name: str, delay_s: float, call: Callable[[], None]) -> None:
        self._timers[name] = asyncio.get_running_loop().call_later(delay_s, call)

    def _too_old(self) -> None:
        if self._settings.age_close_code == WSCloseCode.ABNORMAL_CLOSURE:
            # 1006 is never on the wire: it is what a client reports when TCP ends without a close frame.
            self.drop()
        else:
            self.close(self._settings.age_close_code)

    def _ping(self) -> None:
        payload = str(time.time_ns() // 1_000_000).encode()
        if self._transport is not None and self.open and not self._silent:
            self._transport.write(bytes((0x89, len(payload))) + payload)
        self._unanswered[payload] = None
        if "pong" not in self._timers:
            self._later("pong", self._settings.pong_timeout_s, self._unanswered_ping)

    def _on_pong(self, payload: bytes) -> None:
        """A matching pong answers that ping and all before it; an unsolicited one proves nothing."""
        if payload not in self._unanswered:
            return
        for known in list(self._unanswered):
            del self._unanswered[known]
            if known == payload:
                break
        timer = self._timers.pop("pong", None)
        if timer is not None:
            timer.cancel()
        if self._unanswered and self._open:
            self._later("pong", self._settings.pong_timeout_s, self._unanswered_ping)

    def _unanswered_ping(self) -> None:
        self.close(WSCloseCode.POLICY_VIOLATION, "Pong timeout")
