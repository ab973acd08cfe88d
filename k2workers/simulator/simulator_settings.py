"""Owns the settings that the embedded exchange has whichever venue it stands in for. Those of a venue are in its package, with its rules.

Knows nothing of sockets or of the rest of k2workers' configuration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from k2workers.setting import MOST_S, About

if TYPE_CHECKING:
    from k2workers.simulator.fault_set import FaultSet
    from k2workers.simulator.stand_in import StandIn

MOST_SEED = 10**9


class StandInSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What can be set of any stand-in. What has no default is a rule of the venue, which says it.

    Times are seconds. ``port`` 0 takes any free port. ``rest_port`` opens a second listener that serves the
    same application; without it one port serves WebSocket paths and REST. ``rate`` is events per second over
    all symbols if the venue's usual streams are all subscribed. ``replay_speed`` 0 means without pauses: as fast
    as the subscribers read.
    """

    host: Annotated[str, About(text="address to listen on; 0.0.0.0 for all", filled=True)] = "127.0.0.1"
    port: Annotated[int, About(text="port to listen on; 0 is any free one", ge=0, le=65_535)] = 9443
    rest_port: int | None = None
    tls_cert: Annotated[str, About(text="PEM certificate: serve TLS")] = ""
    tls_key: Annotated[str, About(text="its private key, unless the certificate's file holds it")] = ""

    symbols: Annotated[int, About(text="how many symbols the generated market has", ge=1, le=100_000)] = 40
    rate: Annotated[float, About(text="events a second over all symbols", ge=0.001, le=200_000)] = 2000.0
    even: bool = False
    """Whether every symbol is as busy as any other."""
    seed: Annotated[int, About(text="same seed, same market", ge=-MOST_SEED, le=MOST_SEED)] = 1
    tick_s: float = 0.005
    history: Annotated[
        int, About(text="how many trades and aggregate trades of each symbol REST remembers", ge=1, le=10_000_000)
    ] = 20_000
    history_s: Annotated[float, About(text="for how many seconds", ge=0.001, le=MOST_S)] = 900.0
    """What REST is answered from, of each symbol: so many trades and aggregate trades, none older than this."""

    replay: Annotated[tuple[str, ...], About(text="recorded files instead of a generated market", several=True)] = ()
    replay_speed: Annotated[
        float, About(text="how much faster than recorded; 0 is without pauses", ge=0, le=10_000)
    ] = 1.0
    replay_settle_s: float = 0.25

    faults: Annotated[
        tuple[str, ...],
        About(
            text="a fault such as drop:probability=0.01 or reset:every_s=30; repeat for more. At run time: POST /_exchange/fault",
            several=True,
            flag="fault",
        ),
    ] = ()
    """Faults from the start, as ``simulator.faults`` writes them."""

    book_depth: Annotated[int, About(text="levels that each side of a book begins with", ge=10, le=10_000)] = 60
    book_log: Annotated[
        str, About(text="write what each book is whenever its changes are told, as sums of its levels, to this file")
    ] = ""

    max_age_s: float
    age_close_code: int = 1001
    ping_interval_s: float
    pong_timeout_s: float
    shutdown_notice_s: float
    close_wait_s: float = 2.0

    messages_per_second: int
    connects_per_window: int
    connect_window_s: float
    write_buffer_limit: int = 64 * 1024 * 1024
    """A connection with more unsent bytes than this is cut, so that a slow reader costs bounded memory."""

    def stand_in(self, faults: FaultSet) -> StandIn:
        """The venue that these settings are for."""
        raise NotImplementedError
