"""The demonstration replays a recording through the whole feed, and its report is honest about what of it was not played."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from k2workers.simulator.binance import payloads
from k2workers.simulator.binance.bars import MINUTE, Bar
from tests.system.support import demo, wait_for

START = 1_790_000_040_000_000
"""A full minute, in µs."""
BARS = 4
TRADES = 6_000


def recording(path: Path) -> str:
    """In milliseconds: many trades of one symbol, then the first of another, whose bars come all the while; and a stream that is not spot's."""
    lines = []

    def add(at_us: int, stream: str, text: str) -> None:
        lines.append(f'{at_us * 1000} {{"stream":"{stream}","data":{text}}}\n')

    for number in range(BARS):
        bar = Bar(START + number * MINUTE, START + (number + 1) * MINUTE, 10**8)
        for at_us in (bar.open_us + 2_000_000, bar.open_us + 30_000_000, bar.end_us):
            add(at_us, "aaausdt@kline_1m", payloads.kline("AAAUSDT", "1m", bar, at_us == bar.end_us, at_us, 1000))
        symbol, count = ("BBBUSDT", TRADES) if number < BARS - 1 else ("AAAUSDT", 10)
        for trade in range(number * count, (number + 1) * count):
            text = payloads.trade(symbol, trade, 10**8, 10**8, bar.end_us, bar.end_us, True, 1000)
            add(bar.end_us, f"{symbol.lower()}@trade", text)
        add(bar.end_us, "aaausdt@depth@0ms", "{}")
    path.write_bytes(gzip.compress("".join(lines).encode()))
    return str(path)


def test_bars_and_late_symbols_come_whole_and_the_report_names_what_is_not_played(tmp_path: Path) -> None:
    file, report = recording(tmp_path / "a.gz"), tmp_path / "r.json"
    events = 3 * BARS + (BARS - 1) * TRADES + 10
    with demo(
        "--replay", file, "--replay-speed", "120", "--symbols", "*", "--streams", "trade,kline_1m",
        "--report", str(report), shards=1,
    ) as program:  # fmt: skip
        wait_for("everything published", lambda: program.status().get("published", 0) >= events)
        assert any("aaausdt@depth@0ms" in line for line in program.raw)
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw)
    truth = json.loads(report.read_text(encoding="utf-8"))["truth"]
    counts = {kind: (found["emitted"], found["received"]) for kind, found in truth["by_kind"].items()}
    assert counts == {"kline_1m": (3 * BARS, 3 * BARS), "trade": (events - 3 * BARS, events - 3 * BARS)}
    assert truth["left_out"] == {"aaausdt@depth@0ms": BARS}
