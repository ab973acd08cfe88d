"""Owns what may be set of any venue. Each venue has a Struct of its own below this one, with its defaults and bounds, and perhaps more.

Pure and light: settings are read without a venue's code.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from k2workers.setting import About, name_in

WebsocketUrl = Annotated[str, About(text="base of the stream address; the venue's own if empty")]
RestUrl = Annotated[str, About(text="base of the REST address; the venue's own if empty")]


class VenueSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the feed asks of any venue's settings. What has no default here, each venue must say."""

    usual_symbols: ClassVar[tuple[str, ...]]
    """The symbols that are asked for where the user names none."""
    usual_streams: ClassVar[tuple[str, ...]]
    """The same of kinds of streams."""
    tardis_name: ClassVar[str] = ""
    """What the market is called in files of Tardis.dev; empty if it has no name there."""

    symbols: Annotated[
        list[str] | None, About(text="symbols of this venue; those of all venues if not set", filled=True)
    ] = None
    streams: Annotated[
        list[str] | None, About(text="kinds of streams of this venue; those of all venues if not set", filled=True)
    ] = None
    shards: Annotated[
        int | None, About(text="worker processes of this venue; as many as shards says if not set", ge=1, le=256)
    ] = None
    websocket_url: WebsocketUrl
    rest_url: RestUrl
    ca_bundle: Annotated[str, About(text="PEM file with additional certificate authorities to trust")] = ""
    connection_max_lifetime_hours: float
    book_levels: int
    rest_weight_share: Annotated[
        float,
        About(text="share of the venue's REST weight per minute that repairs and symbol checks may use", gt=0, le=1),
    ] = 0.8


def ca_bundle_setting(venue: str) -> str:
    """By which name the user knows the CA bundle of the venue of this name: for words."""
    return name_in(venue, "ca_bundle")
