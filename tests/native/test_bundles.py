"""The aggregator's native way beside Python: equal frames, ring, places and figures, whatever the bundles are; and its C alone, under sanitizers."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from k2workers import native, wire
from k2workers.events import Kline, Trade
from k2workers.native import build
from k2workers.native.build import SOURCES
from tests.native.bundles import Worker, compare
from tests.support.batches import batch_of

DRIVER = Path(__file__).with_name("publish_driver.c")
SANITIZERS = ("-std=c11", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{SOURCES}")
ROUNDS = 200_000

with_native = pytest.mark.skipif(native.extension is None, reason=f"no native lane: {native.why_not}")


@with_native
@pytest.mark.parametrize("damage", [0.003, 0.03, 0.3])
def test_damaged_bundles_come_to_the_same_natively_and_in_python(damage: float) -> None:
    for number in range(8):
        difference, plain, left = compare(random.Random(f"{damage} {number}").randrange(2**32), 300, damage)
        assert not difference
        assert plain
        assert left


@with_native
def test_plain_bundles_are_published_natively() -> None:
    """At least 99 of 100, although somebody looks at where topics stand after many of them."""
    difference, plain, left = compare(1, 6_000, 0.0)
    assert not difference
    assert plain >= 0.99 * (plain + left.total()), left


def _corpus(chance: random.Random) -> list[bytes]:
    found = []
    for number in range(200):
        topic = f"binance.trade.{'S' * (1 + number % 9)}"
        first = number % 3
        trades = [Trade(at, "1", "2", True, 1, 1, 2**60) for at in range(first, first + chance.choice((1, 15, 16, 40)))]
        bar = Kline(first, 59, "1", "1", "1", "1", "1", "1", "1", "1", 0, 0, 0, False, 1, 2**60)
        batches = [batch_of(topic, trades), wire.batch_of(topic + "K", [bar], batch_of(topic, trades).continuity)]
        found.append(wire.encode_bundle(batches[: 1 + number % 2]))
    worker = Worker(b"w", (Trade, Kline), chance)
    return [*found, *(worker.bundle(0.1)[9:] for _ in range(50))]


def test_no_bundle_makes_its_c_read_or_write_out_of_bounds(tmp_path: Path) -> None:
    compiler = build.compiler()
    if compiler is None:
        pytest.skip("there is no C compiler")
    driver = tmp_path / "driver"
    built = subprocess.run(
        [*compiler, *SANITIZERS, str(SOURCES / "publish.c"), str(DRIVER), "-o", str(driver)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "sanitize" in built.stderr or "asan" in built.stderr:
        pytest.skip("this compiler has no sanitizers")
    assert built.returncode == 0, built.stderr
    corpus = tmp_path / "bundles"
    corpus.write_bytes(b"".join(len(one).to_bytes(4) + one for one in _corpus(random.Random(1))))
    done = subprocess.run([driver, corpus, "1", str(ROUNDS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    taken, left = map(int, done.stdout.split())
    assert taken > ROUNDS / 10, "it must come to what is behind the first looks"
    assert left > ROUNDS / 10
