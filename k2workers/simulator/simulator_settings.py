"""Owns the settings of the embedded exchange. Knows nothing of sockets or of the rest of k2workers' configuration."""

from __future__ import annotations

import msgspec


class SimulatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set. Defaults are Binance's published rules and a 40-symbol market.

    Times are seconds. ``port`` 0 takes any free port. ``rest_port`` opens a second listener that serves the
    same application; without it one port serves WebSocket paths and REST. ``rate`` is events per second over
    all symbols if trade, aggTrade, bookTicker and depth@100ms are all subscribed. ``replay_speed`` 0 means
    without pauses: as fast as the subscribers read.
    """

    host: str = "127.0.0.1"
    port: int = 9443
    rest_port: int | None = None
    tls_cert: str = ""
    tls_key: str = ""

    symbols: int = 40
    rate: float = 2000.0
    even: bool = False
    """Whether every symbol is as busy as any other."""
    seed: int = 1
    tick_s: float = 0.005
    history: int = 20_000
    history_s: float = 900.0
    """What REST is answered from, of each symbol: so many trades and aggregate trades, none older than this."""

    replay: tuple[str, ...] = ()
    replay_speed: float = 1.0
    replay_settle_s: float = 0.25

    faults: tuple[str, ...] = ()
    """Faults from the start, as ``simulator.faults`` writes them."""

    max_age_s: float = 86_400.0
    age_close_code: int = 1001
    ping_interval_s: float = 20.0
    pong_timeout_s: float = 60.0
    shutdown_notice_s: float = 0.0
    """Lead time of the serverShutdown notice before the age cut; 0 sends no notice."""
    close_wait_s: float = 2.0

    messages_per_second: int = 5
    streams_per_connection: int = 1024
    connects_per_window: int = 300
    connect_window_s: float = 300.0
    max_request_bytes: int = 4096
    """A SUBSCRIBE longer than this gets no answer, as reported of the venue; 0 answers any length."""
    nested_errors: bool = True
    weight_per_minute: int = 6000
    ban_s: float = 120.0
    write_buffer_limit: int = 64 * 1024 * 1024
    """A connection with more unsent bytes than this is cut, so that a slow reader costs bounded memory."""
