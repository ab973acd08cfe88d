"""Owns the command line: ``run`` (the default), ``simulate`` and ``tail``. Commands import what they need themselves."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter, Token, UnusedCliTokensError

from k2workers import __version__
from k2workers.errors import ConfigError, K2Error, StateError
from k2workers.every import GAVE_UP

SETTING_OF = {"duration": "duration_s", "rotation_lifetime": "rotation_lifetime_s"}
"""Flags whose setting has another name."""

LONGEST_S = 1e9

EXAMPLES = r"""python -m k2workers --shards 8                    # Binance spot
python -m k2workers --shards 8 --symbols BTCUSDT,ETHUSDT \
    --streams trade,book_ticker,depth
python -m k2workers --shards 8 --symbols '*USDT'  # all that trade and match
python -m k2workers --shards 8 --symbols file:symbols.txt
python -m k2workers --shards 8 --demo --duration 60 --report r.json
python -m k2workers --demo --replay DAY1.gz DAY2.gz --replay-speed 20
python -m k2workers simulate --port 9443          # the venue's stand-in
python -m k2workers tail binance.trade.BTCUSDT    # print a topic
python -m k2workers tail binance.trade.           # all with this prefix"""
"""Shown by ``--help``, and word for word the commands of ``OPERATING.md``; each line fits 80 columns."""


def _unjudged(_type: Any, tokens: Sequence[Token]) -> int | float | str:
    word = tokens[0].value
    for number in (int, float):
        with contextlib.suppress(ValueError):
            return number(word)
    return word


# Judged together with all other settings, which tells every mistake at once.
JUDGED_LATER = Parameter(converter=_unjudged)
Whole = Annotated[int | None, JUDGED_LATER]
Number = Annotated[float | None, JUDGED_LATER]

app = App(
    name="k2workers",
    help="Keep a market's live feed flowing: sharded workers, rotating connections, ZeroMQ, Prometheus.",
    help_format="plaintext",
    help_epilogue=f"Examples:\n\n{EXAMPLES}",
    version=__version__,
    result_action="return_value",
)


@app.default
def run(
    *,
    venue: str | None = None,
    shards: Whole = None,
    symbols: str | None = None,
    streams: str | None = None,
    demo: Annotated[bool | None, Parameter(negative="")] = None,
    demo_rate: Number = None,
    duration: Number = None,
    report: str | None = None,
    replay: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    replay_speed: Number = None,
    config: Path | None = None,
    binance_connection_max_lifetime_hours: Number = None,
    rotation_lifetime: Number = None,
    binance_websocket_url: str | None = None,
    binance_rest_url: str | None = None,
    binance_ca_bundle: str | None = None,
    publish_endpoint: str | None = None,
    snapshot_endpoint: str | None = None,
    books_endpoint: str | None = None,
    checkpoint: str | None = None,
    http_host: str | None = None,
    http_port: Whole = None,
    environment: str | None = None,
    log_level: str | None = None,
    log_format: str | None = None,
) -> int:
    """Run the feed until stopped.

    Flags win over the environment (K2_SHARDS, …), which wins over the file; config/k2workers.toml names every setting.

    Parameters
    ----------
    venue
        The market to feed from.
    shards
        Worker processes, one connection each (1 to 256).
    symbols
        Names, patterns such as '*USDT', or file:PATH; between commas.
    streams
        Kinds of streams between commas, such as trade,book_ticker,depth.
    demo
        Feed from the embedded exchange instead of the venue: no network needed.
    demo_rate
        Events a second of the embedded exchange.
    duration
        Stop after so many seconds.
    report
        Write what happened to this JSON file.
    replay
        Recorded files for the embedded exchange (with --demo).
    replay_speed
        How much faster than recorded; 0 is without pauses.
    config
        Settings file (TOML); config/k2workers.toml if it exists.
    binance_connection_max_lifetime_hours
        Replace each connection after so many hours (1 to 24).
    rotation_lifetime
        The same in seconds, with --demo only.
    binance_websocket_url
        Base of the stream address.
    binance_rest_url
        Base of the REST address.
    binance_ca_bundle
        PEM file with further certificate authorities to trust.
    publish_endpoint
        Where subscribers connect.
    snapshot_endpoint
        Where subscribers ask for last values and for what they missed.
    books_endpoint
        Where they ask for whole order books; the next port unless given, or the path with -books.
    checkpoint
        File from which a restart continues.
    http_host
        Address of /metrics, /healthz, /readyz and /status.
    http_port
        Its port; 0 is any free one.
    environment
        Label of all metrics.
    log_level
        debug, info, warning or error.
    log_format
        auto, console or json.
    """
    parameters = dict(locals())
    del parameters["config"]
    setting_of = {name: SETTING_OF.get(name, name) for name in parameters}
    flag_of = {setting: f"--{name.replace('_', '-')}" for name, setting in setting_of.items()}
    flags: dict[str, Any] = {setting_of[name]: value for name, value in parameters.items() if value is not None}
    from k2workers.files import directories

    directories.have_temporary(os.environ)  # first: what comes now cannot be imported without
    from k2workers.processes import bootstrap

    bootstrap.prepare()
    from k2workers import config as configuration

    settings = configuration.load(flags, config, flag_of=flag_of)
    return bootstrap.run(settings, configuration.file_read(config))


def _wrong_number(value: object, least: float, most: float, *, whole: bool) -> str | None:
    """How a mistake begins, before what is allowed; None if it is none."""
    if not isinstance(value, int | float):
        return "not a whole number; " if whole else "not a number; "
    if whole and not isinstance(value, int):
        return "not a whole number; "
    return None if least <= value <= most else ""


@app.command(help_epilogue="")
def simulate(
    *,
    host: str = "127.0.0.1",
    port: Annotated[int, JUDGED_LATER] = 9443,
    symbols: Annotated[int, JUDGED_LATER] = 40,
    rate: Annotated[float, JUDGED_LATER] = 2000.0,
    seed: Annotated[int, JUDGED_LATER] = 1,
    replay: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    replay_speed: Annotated[float, JUDGED_LATER] = 1.0,
    tls_cert: str = "",
    tls_key: str = "",
    history: Annotated[int, JUDGED_LATER] = 20_000,
    history_s: Annotated[float, JUDGED_LATER] = 900.0,
    max_age: Annotated[float, JUDGED_LATER] = 86_400.0,
    ping_interval: Annotated[float, JUDGED_LATER] = 20.0,
    shutdown_notice: Annotated[float, JUDGED_LATER] = 0.0,
    fault: Annotated[list[str] | None, Parameter(negative="")] = None,
) -> int:
    """Run the exchange stand-in alone, for any client: WebSocket streams and REST on one port.

    For REST it remembers of each symbol the last 20,000 trades and aggregate trades, none older than 15 minutes (or what
    --history and --history-s say), and the last 1,000 bars of each interval, none older than 8 days: some 200 MB after
    hours, 300 MB after days. A replay remembers of all symbols together the last 200,000 trades and as many aggregate
    trades, none older than a day of the recording: some 130 MB, and up to 3 MB of bars for each symbol. What is held, and
    its bounds, stand in /_exchange/status.

    Parameters
    ----------
    host
        Address to listen on.
    port
        Port to listen on; 0 is any free one.
    symbols
        How many symbols the generated market has.
    rate
        Events a second over all symbols.
    seed
        Same seed, same market.
    replay
        Recorded files instead of a generated market.
    replay_speed
        How much faster than recorded; 0 is without pauses.
    tls_cert
        PEM certificate: serve TLS.
    tls_key
        Its private key, unless the certificate's file holds it.
    history
        How many trades and aggregate trades of each symbol REST remembers.
    history_s
        For how many seconds.
    max_age
        Seconds after which a connection is cut.
    ping_interval
        Seconds between two pings on a connection.
    shutdown_notice
        Seconds of warning (serverShutdown) before the cut; 0 is none.
    fault
        A fault such as drop:probability=0.01 or reset:every_s=30; repeat for more. At run time: POST /_exchange/fault.
    """
    whole: dict[str, tuple[object, float, float]] = {
        "port": (port, 0, 65_535),
        "symbols": (symbols, 1, 100_000),
        "seed": (seed, -LONGEST_S, LONGEST_S),
        "history": (history, 1, 10_000_000),
    }
    numbers: dict[str, tuple[object, float, float]] = {
        "rate": (rate, 0.001, 200_000),
        "replay_speed": (replay_speed, 0, 10_000),
        "history_s": (history_s, 0.001, LONGEST_S),
        "max_age": (max_age, 0.001, LONGEST_S),
        "ping_interval": (ping_interval, 0.001, LONGEST_S),
        "shutdown_notice": (shutdown_notice, 0, LONGEST_S),
    }
    problems = [
        f"{name} = {value}: {wrong}allowed: {least:g} to {most:g} (flag --{name.replace('_', '-')})"
        for name, (value, least, most) in (whole | numbers).items()
        if (wrong := _wrong_number(value, least, most, whole=name in whole)) is not None
    ]
    if not host:
        problems.append("host = '': allowed: an address of this machine, 0.0.0.0 for all (flag --host)")
    if tls_key and not tls_cert:
        problems.append(
            f"tls_cert = {tls_cert!r}, tls_key = {tls_key!r}: allowed: no key without its certificate (flags --tls-cert, --tls-key)"
        )
    if problems:
        raise ConfigError("\n".join(problems))
    from k2workers.logs import outlet
    from k2workers.simulator import SimulatorSettings
    from k2workers.simulator import main as serve

    outlet.take_over()

    serve(
        SimulatorSettings(
            host=host,
            port=port,
            symbols=symbols,
            rate=rate,
            seed=seed,
            replay=tuple(replay or ()),
            replay_speed=replay_speed,
            tls_cert=tls_cert,
            tls_key=tls_key,
            history=history,
            history_s=history_s,
            max_age_s=max_age,
            ping_interval_s=ping_interval,
            shutdown_notice_s=shutdown_notice,
            faults=tuple(fault or ()),
        )
    )
    return 0


@app.command(help_epilogue="")
def tail(
    *topics: str,
    endpoint: str = "tcp://127.0.0.1:5555",
    snapshot_endpoint: str = "",
    books_endpoint: str = "",
    count: int | None = None,
    json: bool = False,
) -> int:
    """Print the events of topics as they come: exact names, or prefixes that end in a dot.

    Parameters
    ----------
    topics
        Such as binance.trade.BTCUSDT, or binance.trade. for all symbols.
    endpoint
        Where the feed publishes.
    snapshot_endpoint
        Where it answers for what was missed; the next port unless given.
    books_endpoint
        Where it gives whole order books; the port after that unless given; without either, no book is asked for.
    count
        Stop after so many events.
    json
        One JSON object a line.
    """
    from k2workers.processes.tail import follow
    from k2workers.transport.endpoint import mistake_in

    addresses = {"endpoint": endpoint, "snapshot_endpoint": snapshot_endpoint, "books_endpoint": books_endpoint}
    problems = [
        f"{name} = {value!r}: {mistake} (flag --{name.replace('_', '-')})"
        for name, value in addresses.items()
        if (value or name == "endpoint") and (mistake := mistake_in(value))
    ]
    problems += [
        f"topic {topic!r}: allowed is a name without spaces, or a prefix ending in a dot"
        for topic in topics
        if not topic or " " in topic
    ]
    if count is not None and count < 1:
        problems.append(f"count = {count}: allowed: 1 or more (flag --count)")
    if not topics:
        problems.append(
            "tail: name at least one topic, such as binance.trade.BTCUSDT, or a prefix such as binance.trade."
        )
    if problems:
        raise ConfigError("\n".join(problems))
    return follow(topics, endpoint, snapshot_endpoint, books_endpoint, count, as_json=json)


def _unexpected(words: Sequence[str]) -> str:
    import difflib  # only a mistake pays for it

    near = difflib.get_close_matches(" ".join(words[:1]), ["simulate", "tail"], n=1)
    hint = f"did you mean {near[0]}?" if near else "names of a list stand between commas, without spaces"
    return f"{' '.join(words)}: not expected here; {hint}"


def main() -> None:
    """Entry of the program. A user's mistake gives one message and exit code 2, never a traceback; a defect of ours ``GAVE_UP``."""
    try:
        code = app(exit_on_error=False, print_error=False)
    except (CycloptsError, K2Error) as error:
        words = _unexpected(error.unused_tokens or []) if isinstance(error, UnusedCliTokensError) else str(error)
        for line in words.splitlines():
            print(f"k2workers: error: {line}", file=sys.stderr)
        raise SystemExit(GAVE_UP if isinstance(error, StateError) else 2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    raise SystemExit(code if isinstance(code, int) else 0)
