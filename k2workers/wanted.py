"""Owns which topics a name means: the topic of that name, or, if it ends in a dot, all topics under that prefix. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable


def wants(names: Iterable[str]) -> Callable[[str], bool]:
    """What answers whether a topic is meant by any of these."""
    names = tuple(names)
    exact = frozenset(name for name in names if not name.endswith("."))
    prefixes = tuple(name for name in names if name.endswith("."))
    return lambda topic: topic in exact or topic.startswith(prefixes)


def meant_by(name: str, topics: Collection[str]) -> list[str]:
    """Those of the topics that it means, in their order."""
    if name.endswith("."):
        return [topic for topic in topics if topic.startswith(name)]
    return [name] if name in topics else []
