"""Reads the commands in README, OPERATING.md, DEPLOYING.md, the Dockerfile and the help, so that tests can run what users are told to run.

What looks like a command and is not understood raises ValueError: a new kind of line wants a new rule here.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import NamedTuple

RUNS = (("scripts/run",), ("python", "-m", "k2workers"))
"""How the commands begin that start something of ours."""
OTHERS = (
    "scripts/test",
    "scripts/check",
    "scripts/chaos",
    "scripts/bench",
    "scripts/mutants",
    "pip",
    ".venv/bin/python",
    "docker build",
)
"""Commands that are written and not ours to try."""
IMAGE = "k2workers"
DOCKER_VALUES = ("--name", "-v", "-p")
"""Options of ``docker run`` that a word follows."""
DOCKER_SWITCHES = ("--read-only",)
"""Those that stand alone."""
MENTION = re.compile(r"scripts/run|-m k2workers(?!\.)|(?<!-m )\bk2workers +(?=--|simulate|tail)")
"""Every such place in a text must belong to a command that was read."""

Words = tuple[str, ...]


class Written(NamedTuple):
    """The words of a command; ``image``: they are arguments of the image's own command."""

    words: Words
    image: bool = False


class Image(NamedTuple):
    """What the Dockerfile says of the running image. ``copied``: (path in the checkout, path in the image)."""

    entrypoint: Words
    arguments: Words
    """Those of a ``docker run`` without any."""
    environment: dict[str, str]
    folder: str
    volumes: Words
    copied: tuple[tuple[str, str], ...]
    healthcheck: Words


def in_text(text: str) -> list[Written]:
    """The commands of a Markdown text: in its blocks without a language, and between backticks."""
    parts = re.split(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    found: list[Written] = []
    for prose, language, block in zip(parts[::3], [*parts[1::3], ""], [*parts[2::3], ""], strict=True):
        for span in re.findall(r"`([^`]+)`", prose):
            if any(tuple(shlex.split(span))[: len(run)] == run for run in RUNS if MENTION.search(span)):
                found += in_lines(span)
        if not language and MENTION.search(block):
            found += in_lines(block)
    return _complete(found, text)


def in_lines(block: str) -> list[Written]:
    """The commands of shell lines."""
    found = []
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            found += _command(tuple(words[:end]))
            words = words[end + 1 :]
    return found


def _command(words: Words) -> list[Written]:
    text = " ".join(words)
    if any(words[: len(run)] == run for run in RUNS):
        return [Written(words)]
    if words[:2] == ("docker", "run"):
        left = list(words[2:])
        while left and left[0] in (*DOCKER_VALUES, *DOCKER_SWITCHES):
            del left[: 2 if left[0] in DOCKER_VALUES else 1]
        if left[:1] == [IMAGE]:
            return [Written(tuple(left[1:]), image=True)]
    elif text.startswith(OTHERS):
        return []
    raise ValueError(f"not understood: {text!r}")


def _complete(found: list[Written], text: str) -> list[Written]:
    mentions = MENTION.findall(text)
    if len(mentions) != len(found):
        raise ValueError(f"{len(mentions)} mentions of commands, of which {len(found)} could be read: {found}")
    return found


def in_dockerfile(text: str) -> list[Written]:
    """The image's own command if it has a whole one, and those in comments such as ``# Run: docker run …``."""
    comments = [line for line in text.splitlines() if line.startswith("#")]
    lines = [comment.partition(":")[2] for comment in comments if re.match(r"# \w+: +docker ", comment)]
    own = [Written(arguments, image=True)] if (arguments := image(text).arguments) else []
    return own + _complete(in_lines("\n".join(lines)), "\n".join(comments))


def image(text: str) -> Image:
    """What the last stage of the Dockerfile makes. What it copies from an earlier stage counts as far as that one copied it from the checkout."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    earlier, _, stage = "\n".join(lines).replace("\\\n", " ").rpartition("\nFROM ")
    source_of = {target: source for source, target in re.findall(r"^COPY (?!--)(\S+) (\S+)$", earlier, re.MULTILINE)}
    said: dict[str, list[str]] = {}
    for line in filter(None, stage.splitlines()[1:]):
        name, _, value = line.partition(" ")
        said.setdefault(name, []).append(value.strip())
    unknown = said.keys() - {
        "ARG", "LABEL", "RUN", "COPY", "USER", "WORKDIR", "ENV", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD",
    }  # fmt: skip
    if unknown or "ENTRYPOINT" not in said:
        raise ValueError(f"Dockerfile: not understood: {unknown}, or no ENTRYPOINT")
    (folder,), (entrypoint,), (health,) = said["WORKDIR"], said["ENTRYPOINT"], said["HEALTHCHECK"]
    copies = [
        (source_of.get(source, "") if option.startswith("--from=") else source, target)
        for value in said["COPY"]
        for option, source, target in [["", *shlex.split(value)][-3:]]
    ]
    return Image(
        entrypoint=tuple(json.loads(entrypoint)),
        arguments=tuple(json.loads(said["CMD"][0])) if "CMD" in said else (),
        environment=dict(pair.split("=", 1) for value in said["ENV"] for pair in shlex.split(value)),
        folder=folder,
        volumes=tuple(said.get("VOLUME", ())),
        copied=tuple((source, target) for source, target in copies if source),
        healthcheck=tuple(json.loads(health.partition("CMD ")[2])),
    )
