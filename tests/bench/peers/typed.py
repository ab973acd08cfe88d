"""Owns the structs that readers without a type of their own decode into: every field that one could use. Imports msgspec."""

from __future__ import annotations

from typing import Any

import msgspec


class Trade(msgspec.Struct, gc=False):
    """A trade, in the venue's field names."""

    E: int
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool

    @property
    def id(self) -> int:
        """The trade's id."""
        return self.t


class AggTrade(msgspec.Struct, gc=False):
    """An aggregate trade, in the venue's field names."""

    E: int
    s: str
    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741 - the venue's name
    T: int
    m: bool

    @property
    def id(self) -> int:
        """The aggregate trade's id."""
        return self.a


class TradeMessage(msgspec.Struct, gc=False):
    """What a combined stream wraps a trade in."""

    stream: str
    data: Trade


class AggTradeMessage(msgspec.Struct, gc=False):
    """What a combined stream wraps an aggregate trade in."""

    stream: str
    data: AggTrade


SHAPES = {"trade": TradeMessage, "agg_trade": AggTradeMessage}
"""By kind."""


def decoder(kind: str) -> msgspec.json.Decoder[Any]:
    """A decoder of the messages of a kind, one of trade and agg_trade."""
    return msgspec.json.Decoder(SHAPES[kind])
