"""Owns the command line: ``run`` (the default), ``doctor``, ``simulate``, those that read a feed (``reader_commands``) and those of recordings
(``recording``). Commands import what they need themselves.

The flags of ``run`` and ``doctor`` are the settings of ``config.Settings`` and ``--config``, those of ``simulate`` the settings of the stand-in and ``--venue``; none is
written here.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter, Token

from k2workers import __version__, early_stop
from k2workers.command_mistakes import in_words, unexpected
from k2workers.errors import ConfigError, K2Error, StateError
from k2workers.every import GAVE_UP
from k2workers.reader_commands import book, tail, top

if TYPE_CHECKING:
    from k2workers.config import Settings
    from k2workers.setting import Setting

EXAMPLES = r"""python -m k2workers --shards 8                    # Binance spot
python -m k2workers --shards 8 --symbols BTCUSDT,ETHUSDT \
    --streams trade,book_ticker,depth
python -m k2workers --shards 8 --symbols '*USDT'  # all that trade and match
python -m k2workers --shards 8 --symbols file:symbols.txt
python -m k2workers --shards 8 --demo --duration 60 --report r.json
python -m k2workers --demo --replay DAY1.gz DAY2.gz --replay-speed 20
python -m k2workers simulate --port 9443          # the venue's stand-in
python -m k2workers tail binance.trade.BTCUSDT    # print a topic
python -m k2workers tail binance.trade.           # all with this prefix
python -m k2workers book binance.BTCUSDT          # show an order book
python -m k2workers top                           # how a running feed is"""
"""Shown by ``--help``, and word for word the commands of ``OPERATING.md``; each line fits 80 columns."""


READERS: Mapping[str, Callable[..., int]] = {"tail": tail, "book": book, "top": top}


def _as_written(_type: Any, tokens: Sequence[Token]) -> str:
    return tokens[0].value


app = App(
    name="k2workers",
    help="Keep a market's live feed flowing: sharded workers, rotating connections, ZeroMQ, Prometheus.",
    help_format="plaintext",
    help_epilogue=f"Examples:\n\n{EXAMPLES}",
    version=__version__,
    result_action="return_value",
)


for reader in READERS.values():
    app.command(reader, help_epilogue="")

RECORDINGS = {
    "record": "commands", "verify": "commands", "compact": "commands",
    "replay": "giving_commands", "export": "giving_commands",
}  # fmt: skip
"""Commands, and in which module of ``recording`` each is. It is imported when the command or the list of commands is asked for."""
for _name, _module in RECORDINGS.items():
    app.command(f"k2workers.recording.{_module}:{_name}", name=_name, help_epilogue="")


COMPLETE_AT_ONCE = """
if (( ${+compstate} )); then _cyclopts_k2workers "$@"; else compdef _cyclopts_k2workers k2workers; fi
"""
"""What cyclopts' script for zsh lacks: without it nothing is completed unless the file has the name of that function, or if it is sourced."""


@app.command(help_epilogue="")
def completion(shell: Literal["bash", "zsh", "fish"]) -> int:
    """Print a script that lets this shell complete commands and flags. Save it where the shell looks for such files: k2workers completion bash > FILE."""
    _register_flags()
    from k2workers.processes.line_output import print_whole

    print_whole("completion", f"{app.generate_completion(shell=shell)}{COMPLETE_AT_ONCE if shell == 'zsh' else ''}")
    return 0


CONFIG_HELP = "Settings file (TOML); config/k2workers.toml if it exists."


def run(**flags: Any) -> int:
    """Run the feed until stopped.

    Flags win over the environment (K2_SHARDS, …), which wins over the file; config/README.md has all settings in one table.
    """
    return _feed(flags, [])


def _register_flags() -> None:
    """Give the commands that have settings a flag for each."""
    from k2workers import simulator
    from k2workers.config import SETTINGS  # the other commands do without
    from k2workers.setting import settings_of

    config = _flag("config", Path, Parameter(help=CONFIG_HELP, converter=_as_written))
    _set_signature(run, [*_flags(SETTINGS), config])
    json = _flag("json", bool, Parameter(help="Print one JSON object.", negative=""))
    _set_signature(doctor, [json, *_flags(SETTINGS), config])
    about = f"The market whose stand-in it is: {', '.join(simulator.NAMES)}. [{simulator.DEFAULT}]"
    venue = _flag("venue", str, Parameter(help=about, converter=_as_written))
    _set_signature(simulate, [venue, *_flags(settings_of(simulator.settings_struct(simulator.DEFAULT)))])
    app.default(run)
    app.command(doctor, help_epilogue="")
    app.command(simulate, help_epilogue="")


def _set_signature(command: Callable[..., int], flags: Sequence[inspect.Parameter]) -> None:
    command.__signature__ = inspect.Signature(flags)  # type: ignore[attr-defined]


def _flags(settings: Mapping[str, Setting]) -> list[inspect.Parameter]:
    from k2workers.setting import LIST, NUMBER, SWITCH, TEXT, WHOLE

    hints = {WHOLE: int, NUMBER: float, SWITCH: bool, TEXT: str, LIST: str}
    flags = []
    for setting in settings.values():
        name, about = setting.parameter, setting.sentence
        group = f"Settings of {setting.table}" if setting.table else "Parameters"
        if setting.about.several:
            flags.append(_flag(name, list[str], Parameter(help=about, group=group, consume_multiple=True, negative="")))
        elif setting.sort == SWITCH:
            flags.append(_flag(name, bool, Parameter(help=about, group=group, negative="")))
        else:
            flags.append(_flag(name, hints[setting.sort], Parameter(help=about, group=group, converter=_as_written)))
    return flags


def _flag(name: str, hint: Any, parameter: Parameter) -> inspect.Parameter:
    # None is what was not given; words are judged together with all other settings, which tells every mistake at once.
    # A switch of type ``bool | None`` would be completed as one that takes a value.
    kind = hint if hint is bool else hint | None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, parameter])


def _by_name(settings: Mapping[str, Setting], flags: Mapping[str, Any]) -> dict[str, Any]:
    """The values of flags by the names of their settings."""
    named = {setting.parameter: name for name, setting in settings.items()}
    return {named[parameter]: value for parameter, value in flags.items()}


def doctor(**flags: Any) -> int:
    """Check whether a feed with these settings could run here, and say what to do where it could not. The exit code is 1 if a check failed.

    It checks the connection to the venue (names, TLS, refusals, clock) and this machine (files, ports, directories, versions). It takes the flags of a run.
    """
    return _examine(flags, [])


def _examine(flags: dict[str, Any], problems: list[str]) -> int:
    """Examine with what the command line gave; ``problems`` are those that it has already."""
    json = bool(flags.pop("json", False))
    from k2workers.files import directories

    directories.have_temporary(os.environ)
    settings, _ = _settings(flags, problems)
    from k2workers.doctor import examine

    return examine.examine(settings, json=json)


def _feed(flags: dict[str, Any], problems: list[str]) -> int:
    """Run with what the command line gave; ``problems`` are those that it has already."""
    from k2workers.files import directories

    directories.have_temporary(os.environ)  # first: what comes now cannot be imported without
    from k2workers.processes import bootstrap

    bootstrap.prepare()
    settings, file = _settings(flags, problems)
    early_stop.expect_report(settings.report)
    return bootstrap.run(settings, file)


def _settings(flags: dict[str, Any], problems: list[str]) -> tuple[Settings, Path | None]:
    """The settings that these flags lead to, and the file that was read."""
    from k2workers import config as configuration

    file = flags.pop("config", None)
    if file == "":
        problems = [*problems, "config = '': allowed: the path of a file (flag --config)"]
    path = Path(file) if file else None
    given = _by_name(configuration.SETTINGS, flags)
    return configuration.load(given, path, problems=problems, with_flags=True), configuration.file_read(path)


def simulate(**flags: Any) -> int:
    """Run the exchange stand-in alone, for any client: WebSocket streams and REST on one port.

    For REST it keeps, per symbol, the last 20,000 trades and aggregate trades, none older than 15 minutes (--history and
    --history-s change that), and the last 1,000 bars of each interval, none older than 8 days. That takes some 200 MB after
    hours, 300 MB after days. A replay keeps, for all symbols together, the last 200,000 trades and as many aggregate trades,
    none older than a day of the recording: some 130 MB, and up to 3 MB of bars per symbol. /_exchange/status shows what is
    held, and its bounds.
    """
    return _serve(flags, [])


def _serve(flags: dict[str, Any], problems: list[str]) -> int:
    """Run the stand-in with what the command line gave; ``problems`` are those that it has already."""
    from k2workers import simulator
    from k2workers.setting import read_all, settings_of

    struct = simulator.settings_struct(flags.pop("venue", simulator.DEFAULT))
    settings = settings_of(struct)
    given = _by_name(settings, flags)
    values, mistakes = read_all(settings, given, {})
    problems = problems + [
        settings[name].mistake(given[name], wrong, f"flag {settings[name].flag}") for name, wrong in mistakes.items()
    ]
    tls_cert, tls_key = values.get("tls_cert", ""), values.get("tls_key", "")
    if tls_key and not tls_cert:
        problems.append(
            f"tls_cert = {tls_cert!r}, tls_key = {tls_key!r}: allowed: no key without its certificate (flags --tls-cert, --tls-key)"
        )
    if problems:
        raise ConfigError("\n".join(problems))
    from k2workers.logs import outlet

    outlet.take_over()
    chosen: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    simulator.main(struct(**chosen))
    return 0


def _called(words: Sequence[str]) -> object:
    """Do what the command line says."""
    if not {*words[:1]} & {*READERS, *RECORDINGS, "completion", "--version"}:
        _register_flags()
    if {*words} & {*app.help_flags}:
        app.resolved_commands()  # imports them: the list takes their words from their docstrings
    command, bound, unused, _ = app.parse_known_args(words)
    flags = [f"--{name.replace('_', '-')}" for name in inspect.signature(command).parameters]
    problems = unexpected(unused, flags)
    problems += [
        f"--{name.replace('_', '-')}: its value is missing" for name, value in bound.kwargs.items() if value == []
    ]
    if command is run:
        return _feed(dict(bound.kwargs), problems)
    if command is doctor:
        return _examine(dict(bound.kwargs), problems)
    if command is simulate:
        return _serve(dict(bound.kwargs), problems)
    if problems and command is not run:
        raise ConfigError("\n".join(problems))
    return command(*bound.args, **bound.kwargs)


def main() -> None:
    """Entry of the program. A user's mistake gives one message and exit code 2, never a traceback; a defect of ours ``GAVE_UP``."""
    try:
        code = _called(sys.argv[1:])
    except (CycloptsError, K2Error) as error:
        for line in in_words(error).splitlines():
            print(f"k2workers: error: {line}", file=sys.stderr)
        raise SystemExit(GAVE_UP if isinstance(error, StateError) else 2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    raise SystemExit(code if isinstance(code, int) else 0)
