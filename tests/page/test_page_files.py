"""The files of the page, as a browser is given them."""

from __future__ import annotations

import re
from http import HTTPStatus

import pytest

from k2workers.metrics.http_answers import HttpQuestion
from k2workers.page.page_files import FILES, FIRST, TYPES, PageFiles


def asked(name: str, known: str = "") -> HttpQuestion:
    return HttpQuestion(name, "", known, "")


def test_who_names_no_file_is_sent_to_the_page_whose_files_are_below_it() -> None:
    answer = PageFiles().answer(asked(""))
    assert (answer.status, dict(answer.headers)["Location"]) == (HTTPStatus.SEE_OTHER, "../")


def test_the_page_is_given_and_everything_is_allowed_only_from_here() -> None:
    answer = PageFiles().page(asked(""))
    assert (answer.status, answer.content_type) == (HTTPStatus.OK, "text/html; charset=utf-8")
    policy = dict(answer.headers)["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in policy
    assert {part.split(" ", 1)[1] for part in policy} == {"'none'", "'self'"}


def test_who_has_a_file_is_told_that_it_has_not_changed() -> None:
    files = PageFiles()
    first = files.answer(asked("page.js"))
    tag = dict(first.headers)["ETag"]
    assert first.status == HTTPStatus.OK
    assert files.answer(asked("page.js", f'"other", W/{tag}')).status == HTTPStatus.NOT_MODIFIED
    assert files.answer(asked("page.css", tag)).status == HTTPStatus.OK


@pytest.mark.parametrize(
    "name", ["files.py", "../files.py", "..%2ffiles.py", "none.js", "/etc/passwd", "static/page.js"]
)
def test_nothing_else_is_given(name: str) -> None:
    assert PageFiles().answer(asked(name)).status == HTTPStatus.NOT_FOUND


def test_every_file_that_one_names_is_there_and_none_names_another_address() -> None:
    files = {path.name: path.read_text(encoding="utf-8") for path in FILES.iterdir() if path.suffix in TYPES}
    named = {name for text in files.values() for name in re.findall(r'"(?:page|\.)/([\w.-]+)"', text)} | {
        f"icon-{state}.svg" for state in ("ok", "bad", "gone")
    }
    assert named == files.keys() - {FIRST}
    for name, text in files.items():
        addresses = set(re.findall(r"https?://[^\s\"'`)]+", text))
        assert addresses <= {"http://www.w3.org/2000/svg"}, name
        assert "//cdn" not in text and "style=" not in text and "innerHTML" not in text, name


def test_all_of_it_is_small() -> None:
    assert sum(path.stat().st_size for path in FILES.iterdir()) < 80_000
