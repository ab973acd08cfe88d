"""Owns which of a run's ports other machines can reach, and what to say about it. Pure."""

from __future__ import annotations

from k2workers.config import Settings
from k2workers.network.loopback import is_loopback
from k2workers.processes import own_places
from k2workers.transport.endpoint import is_open_to_others

ADVICE = "the ports have no authentication: let only a network that you trust reach them (a firewall, or a container's published ports)"


def open_to_others(settings: Settings) -> list[str]:
    """The settings, with their values, that let other machines connect."""
    found = [
        f"{name} = {value!r}" for name, value in own_places.endpoints(settings).items() if is_open_to_others(value)
    ]
    return found if is_loopback(settings.http_host) else [f"http_host = {settings.http_host!r}", *found]
