"""Owns which test file belongs to which module, and the list of what is allowed to have none, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Through(NamedTuple):
    """A module without a test file of its own: the files whose tests judge it, and why there."""

    files: tuple[str, ...]
    why: str


_TABLE = ("tests/rotation/test_machine.py", "tests/rotation/test_table.py")
_CHANNEL = ("tests/supervision/test_permissions.py", "tests/supervision/test_supervisor.py")
_SOCKETS = ("tests/transport/test_publisher.py", "tests/transport/test_bundle_receiver.py")

_BY_REASON: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "only data: judged where it is taken": {
        "demo/demo_settings.py": ("tests/system/test_commands.py",),
        "book_events.py": ("tests/test_events.py",),
        "event.py": ("tests/test_events.py",),
        "feed/feed_settings.py": ("tests/feed/test_driver.py",),
        "futures_events.py": ("tests/test_events.py",),
        "processes/child_settings.py": ("tests/processes/test_run_plan.py", "tests/processes/test_market_plan.py"),
        "processes/child_status.py": ("tests/processes/test_status.py",),
        "processes/page_now.py": ("tests/processes/test_page_view.py", "tests/top/test_view.py"),
        "simulator/simulator_settings.py": ("tests/simulator/test_exchange.py",),
        "simulator/stand_in.py": ("tests/simulator/test_exchange.py",),
        "supervision/control_messages.py": ("tests/supervision/test_supervisor.py",),
        "transport/deliveries.py": ("tests/transport/test_reassembly.py", "tests/transport/test_columns.py"),
        "venues/binance/futures_market_messages.py": ("tests/venues/binance/test_futures_messages.py",),
        "venues/binance/messages.py": ("tests/venues/binance/test_codec.py",),
        "venues/binance/stream_shapes.py": (
            "tests/venues/binance/test_codec.py",
            "tests/venues/binance/test_futures_written.py",
        ),
        "venues/binance/streams.py": ("tests/venues/binance/test_codec.py",),
        "venues/venue.py": ("tests/venues/binance/test_codec.py",),
    },
    "the rows of one table, judged with it": {
        "rotation/actions.py": _TABLE,
        "rotation/guards.py": _TABLE,
        "rotation/inputs.py": _TABLE,
        "rotation/memory.py": _TABLE,
        "rotation/policy.py": _TABLE,
        "rotation/closing.py": _TABLE,
        "rotation/steps.py": _TABLE,
    },
    "a part of what is judged there, until it has its own": {
        "demo/demo_exchange.py": ("tests/system/test_commands.py",),
        "feed/lines.py": ("tests/feed/test_driver.py",),
        "metrics/instruments.py": ("tests/metrics/test_exporter.py",),
        "processes/line_output.py": ("tests/system/test_readers.py",),
        "command_mistakes.py": ("tests/test_cli.py",),
        "metrics/disk_ring_rows.py": ("tests/system/test_counters.py",),
        "processes/ring_process.py": ("tests/system/test_disk_ring.py",),
        "processes/observers.py": ("tests/processes/test_status.py",),
        "processes/own_places.py": ("tests/processes/test_run_plan.py", "tests/processes/test_places.py"),
        "reader_commands.py": ("tests/test_cli.py",),
        "recording/giving_commands.py": ("tests/recording/test_commands.py",),
        "processes/subscriber_figures.py": ("tests/processes/test_aggregator.py",),
        "transport/ring_places.py": ("tests/transport/test_disk_ring.py",),
        "top/terminal.py": ("tests/top/test_show.py",),
        "transport/book_questions.py": ("tests/transport/test_books_server.py",),
        "transport/reader_report.py": ("tests/transport/test_subscriber.py",),
        "transport/published_socket.py": ("tests/transport/test_subscriber.py",),
        "processes/bootstrap.py": ("tests/system/test_commands.py",),
        "transport/subscriber_sockets.py": ("tests/transport/test_subscriber.py",),
        "sequencing/topic_state.py": (
            "tests/sequencing/test_sequencer.py",
            "tests/sequencing/test_native_sequencer.py",
        ),
        "simulator/exchange_control.py": ("tests/simulator/test_faults.py",),
        "simulator/binance/contracts.py": ("tests/simulator/binance/test_coinm.py",),
        "simulator/binance/first_look.py": ("tests/simulator/binance/test_replay_market.py",),
        "simulator/binance/futures_payloads.py": ("tests/simulator/binance/test_futures_market.py",),
        "simulator/binance/futures_query.py": ("tests/simulator/binance/test_futures_endpoints.py",),
        "simulator/binance/futures_replies.py": ("tests/simulator/binance/test_futures_endpoints.py",),
        "simulator/binance/futures_rules.py": ("tests/simulator/binance/test_futures_endpoints.py",),
        "simulator/binance/futures_symbol.py": ("tests/simulator/binance/test_futures_market.py",),
        "simulator/binance/generated_market.py": ("tests/simulator/binance/test_market.py",),
        "simulator/hub.py": ("tests/simulator/test_ws.py",),
        "simulator/binance/payloads.py": ("tests/simulator/binance/test_market.py",),
        "simulator/binance/query.py": ("tests/simulator/binance/test_rest_endpoints.py",),
        "simulator/binance/recorded_events.py": ("tests/simulator/binance/test_replay_market.py",),
        "simulator/recorded_lines.py": ("tests/simulator/binance/test_replay_market.py",),
        "simulator/binance/replies.py": ("tests/simulator/binance/test_rest_endpoints.py",),
        "simulator/binance/spot_symbol.py": ("tests/simulator/binance/test_market.py",),
        "simulator/binance/symbol_market.py": ("tests/simulator/binance/test_market.py",),
        "supervision/control_channel.py": _CHANNEL,
        "supervision/permission_client.py": ("tests/supervision/test_permissions.py",),
        "transport/lives.py": ("tests/transport/test_reassembly.py", "tests/transport/test_book_reassembly.py"),
        "venues/binance/request_timeout.py": ("tests/venues/binance/test_rest.py",),
    },
}

ELSEWHERE = {
    f"k2workers/{module}": Through(files, why) for why, those in _BY_REASON.items() for module, files in those.items()
}
"""Modules that have no test file of their own. One that gets its own leaves this list: the check says so."""

_LANES = ("tests/sequencing/test_doubts.py", "tests/sequencing/test_lane_choice.py")

SHARED: Mapping[str, tuple[str, ...]] = {
    "k2workers/sequencing/bar_lane.py": _LANES,
    "k2workers/sequencing/book_lane.py": _LANES,
    "k2workers/sequencing/chain_lane.py": _LANES,
    "k2workers/sequencing/holding_lane.py": (
        *_LANES,
        "tests/sequencing/test_bar_lane.py",
        "tests/sequencing/test_chain_lane.py",
    ),
    "k2workers/sequencing/lane.py": (
        *_LANES,
        "tests/sequencing/test_bar_lane.py",
        "tests/sequencing/test_book_lane.py",
        "tests/sequencing/test_chain_lane.py",
    ),
    "k2workers/sequencing/monotone_lane.py": _LANES,
    "k2workers/transport/book_reassembly.py": ("tests/transport/test_past_reassembly.py",),
    "k2workers/transport/reassembly.py": ("tests/transport/test_book_reassembly.py",),
}
"""Test files that are a module's own beside the one of its name: what every kind of lane must do is tested once, for all of them, and a
base does nothing without what is made of it."""

APART: Mapping[str, str] = {
    "tests/bench/": "what benches print and measure",
    "tests/chaos/": "whole feeds among faults",
    "tests/clients/": "other people's clients against the embedded exchange, and with what we export",
    "tests/mirror/": "these checks",
    "tests/model/": "the pure parts together against a model of the venue, in virtual time",
    "tests/mutants/": "the tests themselves, judged by mutants",
    "tests/native/test_bundles.py": "the aggregator's native way beside Python, as a whole",
    "tests/native/test_differential.py": "the native lane beside Python, as a whole",
    "tests/native/test_extension.py": "the native lane's C as Python sees it",
    "tests/native/test_fuzz.py": "the native lane's C, whatever is done to it",
    "tests/native/test_sanitized.py": "the native lane's C under sanitizers",
    "tests/recording/test_hard.py": "a recorder among faults, as a whole",
    "tests/support/": "stand-ins that only tests use",
    "tests/system/": "whole programs",
    "tests/observing/": "what watches a feed, a real Prometheus among it",
    "tests/page/test_open_tab.py": "the status page in a tab that stays open",
    "tests/page/test_page.py": "the status page in a real browser",
    "tests/simulator/test_memory.py": "a long-lived exchange as a whole",
    "tests/test_names.py": "the names of all modules and classes",
    "tests/test_public.py": "what the package makes public",
    "tests/test_work.py": "the work of the hot path, from a frame to a subscriber",
}
"""Test files, or folders of them, that belong to no module, and what they judge."""


def own_test(module: str) -> str:
    """The path of a module's own test file: ``k2workers/a/b.py`` has ``tests/a/test_b.py``."""
    path = Path(module)
    return (Path("tests", *path.parts[1:-1]) / f"test_{path.name}").as_posix()


def modules(root: Path) -> list[str]:
    """Every module of the package that can have a test file; what a package's own file says is tested with its parts."""
    return sorted(
        path.relative_to(root).as_posix()
        for path in (root / "k2workers").rglob("*.py")
        if not path.stem.startswith("__")
    )


def unmapped(root: Path, elsewhere: Mapping[str, Through] = ELSEWHERE, apart: Mapping[str, str] = APART) -> list[str]:
    """What is wrong with the mirror: a sentence each."""
    known = set(modules(root))
    tests = {path.relative_to(root).as_posix() for path in (root / "tests").rglob("test_*.py")}
    wrong = []
    for module in sorted(known):
        own = own_test(module)
        if own in tests and module in elsewhere:
            wrong.append(f"{module} has its own test file now: take it out of ELSEWHERE")
        elif own not in tests and module not in elsewhere:
            wrong.append(f"{module} has no test file: make {own}")
    belongs = {own_test(module) for module in known}
    strangers = sorted(test for test in tests - belongs if not test.startswith(tuple(apart)))
    wrong.extend(f"{test} tests no module: name it after one" for test in strangers)
    wrong.extend(f"ELSEWHERE names {module}, which is gone" for module in sorted(elsewhere.keys() - known))
    for module, through in sorted(elsewhere.items()):
        wrong.extend(
            f"{module} is said to be tested by {file}, which is gone"
            for file in through.files
            if not (root / file).is_file()
        )
    wrong.extend(f"APART names {place}, which is gone" for place in apart if not (root / place).exists())
    return wrong
