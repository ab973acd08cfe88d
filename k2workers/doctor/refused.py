"""Owns what to do about a venue's refusal: words for a status. Pure.

What the feed itself does about it stands in each venue's table of pauses.
"""

from __future__ import annotations

_WORDS = {
    451: "the venue does not serve the region of this address (region block): run the feed in another region, or through a proxy there (https_proxy)",
    403: "a firewall in front of the venue refuses this address (region, cloud provider or too many requests): from another address, or {again}",
    418: "this address is banned, because it went on asking after 429: stop every program that uses it, and {again}",
    429: "this address has used up its limit: stop other programs that use it, or {again}",
}

_OF_HUNDREDS = {
    5: "the venue is ill or under maintenance: {again}; the feed itself would wait",
    4: "the server there does not know what the feed asks: is the address right, or is a proxy in between?",
    0: "is the address right, and is this machine connected? If only a proxy leads out, set https_proxy",
}

_ANY_OTHER = "something other than the venue answers there: a proxy, or a page to log in to the network?"


def advice(status: int, retry_after_s: float) -> str:
    """What an operator can do about this HTTP status (0: there was no answer, or none that is understood)."""
    again = f"try again in {f'{retry_after_s:.0f} s' if retry_after_s else 'a few minutes'}"
    return (_WORDS.get(status) or _OF_HUNDREDS.get(status // 100, _ANY_OTHER)).format(again=again)
