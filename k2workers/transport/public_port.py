"""Owns how a socket that anybody may reach is bound: bounded, watched, and behind a screen if that is wanted."""

from __future__ import annotations

import structlog

from k2workers.transport.endpoint import split_tcp
from k2workers.transport.peer import PeerPolicy
from k2workers.transport.peer_watch import PeerWatch, limit_peers
from k2workers.transport.screen import Screen
from k2workers.transport.sockets import Context, Socket, bind, resolved

SETTLE_S = 0.5
"""How long peers behind a screen may take to read their last."""

_log = structlog.get_logger(__name__)


class PublicPort:
    """``endpoint`` is where the socket is reached. Make it before anything is done with the socket, ``start`` it inside the running loop.

    With ``screened_in``, a directory, a TCP port is behind a screen, and the socket listens there. A path has none: who may write there is no stranger.
    Raises ConfigError, naming ``setting``, if the endpoint cannot be bound; then the socket is closed.
    """

    def __init__(
        self,
        context: Context,
        socket: Socket,
        endpoint: str,
        *,
        setting: str,
        policy: PeerPolicy,
        screened_in: str = "",
    ) -> None:
        self._socket = socket
        self._screen: Screen | None = None
        limit_peers(socket, policy.message_bytes)
        screened = bool(screened_in) and endpoint.startswith("tcp:")
        self.watch = PeerWatch(context, socket, setting, policy, lambda: self._screen)
        try:
            if screened:
                self.endpoint = resolved(endpoint, setting=setting)
                path = f"{screened_in}/{setting.removesuffix('_endpoint')}"
                bind(socket, f"ipc://{path}", setting=setting)
                self._screen = Screen(*split_tcp(self.endpoint), path, setting=setting, policy=policy)
                _log.warning(
                    "port_screened",
                    endpoint=self.endpoint,
                    note="a peer has ended the process before this one; see OPERATING.md",
                )
            else:
                self.endpoint = bind(socket, endpoint, setting=setting)
        except BaseException:
            self.watch.close()
            socket.close()
            raise

    def start(self) -> None:
        """Let peers in; call once, inside the running loop."""
        if self._screen is not None:
            self._screen.start()

    def close(self, linger_ms: int = 0) -> None:
        """Close the socket; what it holds is still sent for so long, if the context is terminated."""
        self.watch.close()
        self._socket.close(linger_ms)

    async def settle(self, wait_s: float = SETTLE_S) -> None:
        """After the end of the context: wait until peers behind a screen have taken what was sent, at most so long."""
        if self._screen is not None:
            await self._screen.close(wait_s)
