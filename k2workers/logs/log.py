"""Owns how logs look, and where they go: readable lines on a terminal, JSON lines on standard output elsewhere. Event names are snake_case."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import msgspec

# structlog imports rich if it finds it, for the looks of tracebacks on a terminal alone, and with rich pygments and attrs: 5 MB in
# each of our processes. None in sys.modules is Python's word for a module that is not to be found.
sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
import structlog  # noqa: E402

if sys.modules["rich"] is None:
    del sys.modules["rich"]

from k2workers.logs.outlet import Outlet  # noqa: E402

FORMATS = ("auto", "console", "json")
COLOURS = "colours"
"""The format of readable lines on a terminal."""


class LogSettings(msgspec.Struct, frozen=True):
    """How a child logs: the least ``level``, and what ``here`` made of the parent's format."""

    level: str
    format: str


class _Lines(logging.StreamHandler[TextIO]):
    """Gives each line to the stream and does not wait until it has been read."""

    def flush(self) -> None:
        """Leave that to the stream."""


def here(fmt: str) -> str:
    """What a format, one of FORMATS, means for a process that was started as this one: COLOURS, "console" or "json"."""
    stream = _stream()
    on_terminal = stream is not None and stream.isatty()
    if fmt == "auto":
        return COLOURS if on_terminal else "json"
    return COLOURS if fmt == "console" and on_terminal else fmt


def _stream() -> TextIO | None:
    """The first of standard output and standard error that is no terminal; if both are, that; None if whoever started us closed both."""
    open_ones = [stream for stream in (sys.stdout, sys.stderr) if stream is not None]
    elsewhere = [stream for stream in open_ones if not stream.isatty()]
    return next(iter([*elsewhere, *open_ones]), None)


def configure(level: str, fmt: str, *, process: str) -> None:
    """Set up logging of this process. ``fmt`` is one of FORMATS or what ``here`` made of it; libraries' own logs take the same way."""
    look, stream = here(fmt), _stream()
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    render: list[structlog.types.Processor] = (
        [structlog.dev.ConsoleRenderer(colors=look == COLOURS, exception_formatter=structlog.dev.plain_traceback)]
        if look != "json"
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    handler = _Lines(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    if isinstance(stream, Outlet):
        stream.notice = lambda count: _notice(count, shared, handler)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Each connection is logged by our own events; the libraries' own lines would say it twice.
    for name in ("websockets", "asyncio", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(process=process)


def _notice(count: int, processors: list[structlog.types.Processor], handler: logging.Handler) -> str:
    """The line that tells how many were dropped; it goes around the loggers, which would put it behind the next one."""
    event: structlog.types.EventDict = {
        "event": "log_lines_dropped",
        "count": count,
        "note": "nobody read them in time",
    }
    for process in processors:
        process(None, "warning", event)
    return handler.format(logging.makeLogRecord({"msg": event, "_logger": None, "_name": "warning"})) + "\n"
