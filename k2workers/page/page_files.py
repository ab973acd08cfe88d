"""Owns the files of the status page, and what a browser is allowed to do with them: nothing comes from anywhere else, nothing is sent anywhere else."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from pathlib import Path

from k2workers.metrics.http_answers import HttpAnswer, HttpQuestion, tagged, words

FILES = Path(__file__).parent / "static"

FIRST = "index.html"

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

ONLY_OURS = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

HEADERS = (
    ("Content-Security-Policy", ONLY_OURS),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Vary", "Accept"),
)


class PageFiles:
    """They are read once. ``page`` and ``answer`` are for any thread."""

    def __init__(self, folder: Path = FILES) -> None:
        self._answers = {
            path.name: HttpAnswer(HTTPStatus.OK, TYPES[path.suffix], path.read_bytes(), HEADERS)
            for path in folder.iterdir()
            if path.suffix in TYPES
        }

    def page(self, asked: HttpQuestion) -> HttpAnswer:
        """The page itself."""
        return self._found(FIRST, asked)

    def answer(self, asked: HttpQuestion) -> HttpAnswer:
        """The file of this name. Who names none is sent to the page: it finds its files from where it is."""
        if not asked.name:
            return words(HTTPStatus.SEE_OTHER, headers=(("Location", "../"),))
        return self._found(asked.name, asked)

    def _found(self, name: str, asked: HttpQuestion) -> HttpAnswer:
        found = self._answers.get(name)
        if found is None:
            return words(HTTPStatus.NOT_FOUND)
        return tagged(found, f'"{hashlib.sha256(found.body).hexdigest()[:16]}"', asked.known)
