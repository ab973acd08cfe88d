"""Owns the terminal while ``top`` is on it: a screen of its own, keys one by one, and everything as before at the end and while it is suspended."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from k2workers.processes.line_output import LineOutput

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"


def can_draw(environ: Mapping[str, str]) -> bool:
    """Whether standard output is a terminal on which a picture can stand."""
    return sys.stdout.isatty() and environ.get("TERM", "dumb") not in {"", "dumb"}


class OwnScreen:
    """Use it in the task that draws. ``press`` is told what was pressed, ``again`` called when everything must be drawn anew."""

    def __init__(self, output: LineOutput, press: Callable[[str], None], again: Callable[[], None]) -> None:
        self._output = output
        self._press = press
        self._again = again
        self._keys = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._before: list[Any] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        with contextlib.suppress(OSError):
            columns, rows = os.get_terminal_size(sys.stdout.fileno())
            return columns or 80, rows or 24
        return 80, 24

    @property
    def has_keys(self) -> bool:
        """Whether anybody can press keys."""
        return self._keys is not None

    def draw(self, lines: list[str]) -> None:
        """This is what is seen."""
        self._output.write("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J", end="")

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        if self._keys is not None:
            self._before = termios.tcgetattr(self._keys)
            loop.add_reader(self._keys, self._read)
        loop.add_signal_handler(signal.SIGWINCH, self._again)
        loop.add_signal_handler(signal.SIGTSTP, self._suspend)
        self._take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        loop = asyncio.get_running_loop()
        if self._keys is not None:
            loop.remove_reader(self._keys)
        loop.remove_signal_handler(signal.SIGWINCH)
        loop.remove_signal_handler(signal.SIGTSTP)
        self._give_back()

    def _take(self) -> None:
        if self._keys is not None:
            tty.setcbreak(self._keys, termios.TCSANOW)
        self._output.write(_ENTER, end="")

    def _give_back(self) -> None:
        if self._keys is not None and self._before is not None:
            with contextlib.suppress(termios.error):  # it is gone
                termios.tcsetattr(self._keys, termios.TCSANOW, self._before)
        self._output.write(_LEAVE, end="")

    def _suspend(self) -> None:
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take()
        self._again()

    def _read(self) -> None:
        assert self._keys is not None
        pressed = b""
        with contextlib.suppress(OSError):
            pressed = os.read(self._keys, 1_024)
        if not pressed:  # nobody is there any longer
            asyncio.get_running_loop().remove_reader(self._keys)
        else:
            self._press(self._decode(pressed))
