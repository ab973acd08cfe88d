"""Owns what a TOML file and the environment say of settings: names to values as they stand there, and in words what is no setting.

In the file a venue has a table. Its settings may also stand outside of it, and are in the environment, by their whole names:
``[binance_us]`` with ``rest_url``, ``binance_us_rest_url``, ``K2_BINANCE_US_REST_URL``. An empty variable counts as not set.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from k2workers import venues
from k2workers.errors import ConfigError
from k2workers.setting import Setting, name_in

ENVIRONMENT_PREFIX = "K2_"
_OF_A_SERVICE = re.compile(r"_(PORT(_\d+_\w+)?|SERVICE_HOST|SERVICE_PORT(_\w+)?)$")
"""The form of what an orchestrator makes of a service's name."""
_NAME = re.compile(r"\s*([\w-]+)\s*=")
_DECLARED_AGAIN = re.compile(r"Cannot declare \('([^']+)',\) twice \(at line (\d+)")


class InFile(NamedTuple):
    """What a file says, and what is wrong with it."""

    by_name: dict[str, Any]
    """Outside of tables."""
    in_tables: dict[str, Any]
    """By the settings' whole names."""
    mistakes: list[str]


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return f"{ENVIRONMENT_PREFIX}{name}".upper()


def of_environment(environ: Mapping[str, str], settings: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """The settings that these variables name; and what is wrong with others."""
    there = {variable.upper(): value for variable, value in environ.items() if value}
    variables = {variable_of(name): name for name in settings}
    mistakes = [
        f"{variable} in the environment: no such setting{near}"
        for variable in sorted(there.keys() - variables.keys())
        # Only of what is nearly a setting: others may be somebody else's.
        if variable.startswith(ENVIRONMENT_PREFIX) and (near := _nearest_variable(variable, variables))
    ]
    return {name: there[variable] for variable, name in variables.items() if variable in there}, mistakes


def of_file(path: Path | None, settings: Mapping[str, Setting]) -> InFile:
    """The settings that stand in the file; None is no file."""
    if path is None:
        return InFile({}, {}, [])
    try:
        read = _read(path)
    except ConfigError as error:
        return InFile({}, {}, [str(error)])
    found = InFile({name: value for name, value in read.items() if name in settings}, {}, [])
    for name, value in read.items():
        if name in venues.NAMES:
            _take_table(name, value, found, path, settings)
        elif isinstance(value, dict) and name not in settings:
            near = _nearest(name, venues.NAMES) or f"; allowed: {', '.join(venues.NAMES)}"
            found.mistakes.append(f"[{name}] in {path}: no such venue{near}")
        elif name not in settings:
            found.mistakes.append(f"{name} in {path}: no such setting{_nearest(name, settings)}")
    return found


def _take_table(venue: str, table: object, found: InFile, path: Path, settings: Mapping[str, Setting]) -> None:
    if not isinstance(table, dict):
        found.mistakes.append(f"{venue} = {table!r} in {path}: not a table; allowed: [{venue}], and its settings below")
        return
    for key, value in table.items():
        name = name_in(venue, key)
        if name in found.by_name:
            found.mistakes.append(f"{name} in {path}: stands in [{venue}] and outside of it; allowed: once")
        elif name in settings:
            found.in_tables[name] = value
        elif key in settings and not settings[key].table:
            found.mistakes.append(f"{key} in [{venue}] of {path}: is of no venue; allowed: above all tables")
        else:
            own = [setting.key for setting in settings.values() if setting.table == venue]
            near = _nearest(key.removeprefix(f"{venue}_"), own)
            found.mistakes.append(f"{key} in [{venue}] of {path}: no such setting{near}")


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"config = {str(path)!r}: cannot be read ({why})") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"config = {str(path)!r}: {_twice(text, str(error)) or f'not valid TOML: {error}'}") from None


def _twice(text: str, error: str) -> str:
    """Which name stands twice, if that is the error; the library tells only where."""
    if table := _DECLARED_AGAIN.match(error):
        return f"[{table[1]}] stands twice (again in line {table[2]}); allowed: once"
    at = re.search(r"at line (\d+)", error)
    lines = text.splitlines()[: int(at[1]) if at else None]
    names = [(found[1], number) for number, line in enumerate(lines, 1) if (found := _NAME.match(line))]
    name, again = names[-1] if names else ("", 0)
    if not error.startswith("Cannot overwrite") or name not in {earlier for earlier, _ in names[:-1]}:
        return ""
    return f"{name} stands twice (again in line {again}); allowed: once"


def _nearest_variable(variable: str, variables: Iterable[str]) -> str:
    if _OF_A_SERVICE.search(
        variable
    ):  # of a service named k2, K2_PORT is no misspelt K2_REPORT; K2_HTP_PORT is K2_HTTP_PORT
        variables = filter(_OF_A_SERVICE.search, variables)
    return _nearest(variable, variables, cutoff=0.8)


def _nearest(name: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    import difflib  # only a mistake pays for it

    near = difflib.get_close_matches(name, list(names), n=1, cutoff=cutoff)
    return f"; did you mean {near[0]}?" if near else ""
