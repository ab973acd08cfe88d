"""Owns how a setting is described, and how a value of it is read from words.

A setting is a field of a Struct whose type is ``Annotated`` with ``About``. Flags, the environment, the settings file and the pages about
them all follow from that one place. Knows no particular setting, and imports nothing heavy: the command line is made of it.
"""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

WHOLE, NUMBER, SWITCH, TEXT, LIST = "a whole number", "a number", "true or false", "a text", "a list"
"""The sorts of values, in the words of a mistake."""

_SORTS: dict[object, str] = {int: WHOLE, float: NUMBER, bool: SWITCH, str: TEXT, list: LIST, tuple: LIST}
_WHOLE = re.compile(r"[+-]?[0-9]+(\.0*)?", re.ASCII)
_NUMBER = re.compile(
    r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?(inf|infinity|nan)", re.ASCII | re.IGNORECASE
)
_MOST_DIGITS = 300
_SWITCHES = {
    "true": True, "1": True, "yes": True, "on": True, "t": True, "y": True,
    "false": False, "0": False, "no": False, "off": False, "f": False, "n": False,
}  # fmt: skip


MOST_S = 1e9
"""Thirty years: for times that have no other bound; beyond some more, nanoseconds fit nowhere."""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a setting: ``text`` in one line; its bounds; whether it must not be empty; a flag that is not called like it.

    ``several`` is whether the flag of a list takes several words; ``more`` is what only the table of settings adds.
    """

    text: str
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    filled: bool = False
    flag: str = ""
    several: bool = False
    more: str = ""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting. ``sort`` is what its values are; ``choices`` are all of them where they can be named; ``default`` None is none.

    One that is somebody's own, such as a venue's, has his name as ``table``, and bears it in front of its own name, the ``key``.
    """

    key: str
    table: str = ""
    sort: str
    choices: tuple[Any, ...]
    default: Any
    about: About

    @property
    def name(self) -> str:
        """By which it is known among all."""
        return name_in(self.table, self.key)

    @property
    def parameter(self) -> str:
        """The name of its flag, as Python writes it."""
        return name_in(self.table, self.about.flag or self.key)

    @property
    def flag(self) -> str:
        """As the command line knows it."""
        return f"--{self.parameter.replace('_', '-')}"

    @property
    def sentence(self) -> str:
        """What it is and its default, as the help shows it."""
        choices = f" ({self.bounds})" if self.choices else ""
        shown = ",".join(self.default or ()) if self.sort == LIST else self.default
        default = f" [{shown}]" if self.sort != SWITCH and shown not in {None, ""} else ""
        return f"{self.about.text[0].upper()}{self.about.text[1:]}{choices}.{default}"

    @property
    def bounds(self) -> str:
        """What is allowed of a number or a choice, in words; empty if there is no such bound."""
        if self.choices:
            return ", ".join(map(str, self.choices))
        about = self.about
        signs = (("≥", about.ge), (">", about.gt), ("≤", about.le))
        return " and ".join(f"{sign} {bound:g}" for sign, bound in signs if bound is not None)

    def read(self, value: object) -> Any:
        """The value that these words, or this value of a file, stand for. Raises ValueError that says what is wrong."""
        read = _READ[self.sort](value)
        if self.choices:
            read = read.lower() if isinstance(read, str) else read
            if read not in self.choices:
                raise ValueError("unknown")
        if self.about.filled and not read:
            raise ValueError("names none" if self.sort == LIST else "empty")
        about = self.about
        if (about.ge is not None and read < about.ge) or (about.gt is not None and read <= about.gt):
            raise ValueError("too small")
        if about.le is not None and read > about.le:
            raise ValueError("too large")
        return read

    def mistake(self, value: object, wrong: str, *where: str) -> str:
        """A whole mistake: the setting, the value, what is wrong, what is allowed, and where it can be set."""
        allowed = f"; allowed: {self.bounds}" if self.bounds else ""
        return f"{self.name} = {self.shown(value)}: {wrong}{allowed} ({', '.join(where)})"

    def shown(self, value: object) -> str:
        """A value as it stands in a mistake: a number's words as they are, anything else as Python writes it."""
        bare = self.sort in {WHOLE, NUMBER} and isinstance(value, str) and value and not re.search(r"\s", value)
        return str(value) if bare else repr(value)


def name_in(table: str, key: str) -> str:
    """How a setting is called that stands in somebody's own table."""
    return f"{table}_{key}" if table else key


def settings_of(struct: type[msgspec.Struct], table: str = "") -> dict[str, Setting]:
    """The settings of a Struct by name, in its order; fields that nothing is said about are none. ``table`` is whose they are."""
    hints = typing.get_type_hints(struct, include_extras=True)
    found = {}
    for field in msgspec.structs.fields(struct):
        about = next((told for told in getattr(hints[field.name], "__metadata__", ()) if isinstance(told, About)), None)
        if about is not None:
            sort, choices = _sort_of(typing.get_args(hints[field.name])[0])
            default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
            setting = Setting(key=field.name, table=table, sort=sort, choices=choices, default=default, about=about)
            found[setting.name] = setting
    return found


def read_all(
    settings: Mapping[str, Setting], given: Mapping[str, Any], rules: Mapping[str, Callable[[Any], Any]]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The values that can be used of those given, and what is wrong with the others.

    A rule, by the setting's key, gives the value to use or raises ValueError.
    """
    values: dict[str, Any] = {}
    mistakes: dict[str, str] = {}
    for name, setting in settings.items():
        if name in given:
            try:
                value = setting.read(given[name])
                values[name] = rules[setting.key](value) if setting.key in rules else value
            except ValueError as error:
                mistakes[name] = str(error)
            except OSError as error:  # a path that the system does not even look at
                mistakes[name] = error.strerror or str(error)
    return values, mistakes


def default(struct: type[msgspec.Struct], name: str) -> Any:
    """The default of a Struct's field: for a setting whose default another Struct owns."""
    return next(field.default for field in msgspec.structs.fields(struct) if field.name == name)


def _sort_of(hint: Any) -> tuple[str, tuple[Any, ...]]:
    if typing.get_origin(hint) is types.UnionType:
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    if typing.get_origin(hint) is Literal:
        choices = typing.get_args(hint)
        return _SORTS[type(choices[0])], choices
    return _SORTS[typing.get_origin(hint) or hint], ()


def _whole(value: object) -> int:
    wrong = ValueError(f"not {WHOLE}")
    if isinstance(value, bool):
        raise ValueError(f"not {NUMBER}")  # for Python true is 1
    if isinstance(value, float):
        if not value.is_integer():
            raise wrong
        return int(value)
    if isinstance(value, int):
        return value
    if not isinstance(value, str) or not _WHOLE.fullmatch(word := value.strip()):
        raise wrong
    digits = word.partition(".")[0]
    if len(digits) > _MOST_DIGITS:
        raise ValueError("too small" if digits.startswith("-") else "too large")
    return int(digits)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"not {NUMBER}")
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        raise ValueError(f"not {NUMBER}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError("too large" if isinstance(value, int) and value > 0 else "too small") from None
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    read = _SWITCHES.get(str(value).strip().lower()) if isinstance(value, str | int) else None
    if read is None:
        raise ValueError("neither true nor false")
    return read


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"not {TEXT}")
    return value


def _list(value: object) -> list[str]:
    """Words between commas, or a list of such words."""
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
        raise ValueError(f"not {LIST} of texts")
    return list(value)


_READ: dict[str, Callable[[object], Any]] = {WHOLE: _whole, NUMBER: _number, SWITCH: _switch, TEXT: _text, LIST: _list}
