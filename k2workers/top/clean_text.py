"""Owns texts on the terminal: names that others chose may hold anything, and what would move the cursor is not written. Pure."""

from __future__ import annotations

from rich.text import Text

GOOD, BAD, WARN = "green", "bold red", "yellow"


def clean_text(words: str, style: str = "", *, cut: bool = True) -> Text:
    """One line, cut where there is no room for it, or with ``cut`` False as many as it takes."""
    clean = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in words)
    return Text(clean, style, no_wrap=cut, overflow="ellipsis" if cut else "fold")
