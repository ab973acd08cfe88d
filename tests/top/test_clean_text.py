"""Texts of others on the terminal."""

from __future__ import annotations

from k2workers.top.clean_text import clean_text


def test_what_would_move_the_cursor_is_not_written() -> None:
    text = clean_text("a\x1b[2Jb\nc币", "red")
    assert text.plain == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}c币"
    assert (text.no_wrap, text.overflow) == (True, "ellipsis")
    assert (clean_text("a", cut=False).no_wrap, clean_text("a", cut=False).overflow) == (False, "fold")
