"""Owns the fuzzing of the native lane's C: how its driver is built and fed. What it checks stands in ``fuzz_lane.c``.

``python -m tests.native.fuzz --minutes N`` runs as long as one likes; the tests run half a minute. With a clang that has libFuzzer (Debian:
``apt-get install --no-install-recommends clang-14 libclang-rt-14-dev``) that is the engine; else gcc with a small loop of our own (``fuzz_loop.c``):
coverage-guided too, but it does not see into comparisons. So nothing need be installed: a test that installs a compiler of 300 MB takes longer than it fuzzes.
Both run under Address- and UndefinedBehaviorSanitizer.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from k2workers.feed.plain_lane import CHAIN, RISING, _meanings
from k2workers.native.build import SOURCES
from k2workers.venues.binance.usdm import BinanceUsdm
from k2workers.venues.message_shape import Item, MessageShape, ShapePart
from tests.native.differential import SYMBOLS, Way, script

HERE = Path(__file__).parent
KINDS = ("trade", "agg_trade", "book_ticker", "depth")
SANITIZERS = "-fsanitize=address,undefined"
FLAGS = ("-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Wno-missing-field-initializers", "-fno-sanitize-recover=all")
DRIVER, TARGET, MUTATOR = HERE / "fuzz_lane.c", HERE / "fuzz_target.c", HERE / "fuzz_loop.c"
CLANGS = ("clang", *(f"clang-{version}" for version in range(22, 12, -1)))
LONGEST = 2048
"""Bytes of an input."""

AGAIN, MESSAGE, TEXT, RAW, READ, READ_ALL, SETTLE, SETTLE_ONE, ARM, BLOCK, POLICY, REFUSE, REPLACE, AGE, ADD, SLACK = (
    range(16)
)
"""What a byte of an input does (``act`` in ``fuzz_lane.c``)."""


class Engine(NamedTuple):
    """What mutates the inputs, and the compiler it needs."""

    name: str
    compiler: str


LIBFUZZER, LOOP = "libFuzzer", "loop of our own"
ENGINES = (LIBFUZZER, LOOP)


def engine(name: str) -> Engine | None:
    """The engine of this name, if there is a compiler for it."""
    flags: tuple[str, ...] = ("-fsanitize=fuzzer,address,undefined",)
    if name == LOOP:
        flags = (SANITIZERS, "-fsanitize-coverage=trace-pc", "-DMAIN")
    commands = CLANGS if name == LIBFUZZER else ("gcc",)
    found = (path for command in commands if (path := shutil.which(command)) and _links(path, *flags))
    return next((Engine(name, path) for path in found), None)


def _links(compiler: str, *flags: str) -> bool:
    text = (
        "int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long s) { return d && s > 99; }\n"
        "#ifdef MAIN\nvoid __sanitizer_cov_trace_pc(void) {}\nint main(void) { return 0; }\n#endif\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        command = [compiler, *flags, "-x", "c", "-", "-o", f"{folder}/a"]
        return subprocess.run(command, input=text, text=True, capture_output=True, check=False).returncode == 0


# ── what the driver is told ─────────────────────────────────────────────────────────────────────────────────


def _c(text: bytes) -> str:
    return '"' + "".join(f"\\{byte:03o}" for byte in text) + '"'


def _item(part: ShapePart) -> str:
    literal = f"(const uint8_t *){_c(part.literal)}" if part.literal else "NULL"
    return (
        f"{{{int(part.item)}, {part.slot}, {literal}, {len(part.literal)}, {part.low}u, {part.high}u, {part.unit_ns}u}}"
    )


def _shape(number: int, parts: Sequence[ShapePart], fields: Sequence[int]) -> str:
    return (
        f"static const struct lane_item items_{number}[] = {{{', '.join(map(_item, parts))}}};\n"
        f"static const int fields_{number}[] = {{{', '.join(map(str, fields))}}};\n"
    )


ODD_PARTS = (
    ShapePart(Item.LITERAL, literal=b'":'), ShapePart(Item.LEVELS, 1), ShapePart(Item.LEVELS, 2), ShapePart(Item.LITERAL, literal=b"."),
    ShapePart(Item.DECIMAL, 3), ShapePart(Item.FLAG, 4), ShapePart(Item.SKIPPED_FLAG), ShapePart(Item.ID, 0),
)  # fmt: skip
"""Of a shape that the venue does not have: nothing stands between its fields, and its last one is a number."""


def setup() -> str:
    """The header with the venue's shapes and streams, and one odd shape."""
    spot = Way(native=False, kinds=KINDS)
    linked = Way(native=False, kinds=("depth_500ms",), symbols=SYMBOLS[:1], venue=BinanceUsdm())
    spot.intake.resume(None)
    linked.intake.resume(None)
    written = spot.intake.codec.written
    shapes: dict[int, tuple[int, MessageShape]] = {}
    streams = []
    for way, stream in [(each, one) for each in (spot, linked) for one in each.intake.codec.written.streams]:
        number, shape = shapes.setdefault(id(stream.shape), (len(shapes), stream.shape))
        topic, lane = way.intake.topics[stream.topic_index].topic, way.intake.lanes[stream.topic_index]
        names = ", ".join(f"{_c(text.encode())}, {len(text.encode())}" for text in (stream.name, stream.symbol, topic))
        streams.append(f"{{{names}, {number}, {CHAIN if lane.CHAINED else RISING}, {lane.REACH.ahead}}}")
    streams.append(f'{{"odd@odd", 7, "ODD", 3, "odd", 3, {len(shapes)}, {CHAIN}, 1}}')
    lines = [f"#define PREFIX {_c(written.prefix)}\n"]
    rows = []
    for number, shape in shapes.values():
        fields = tuple(shape.slots.values())
        lines.append(_shape(number, shape.parts, fields))
        meanings = ", ".join(map(str, _meanings(shape)))
        rows.append(f"{{items_{number}, {len(shape.parts)}, fields_{number}, {len(fields)}, {{{meanings}}}}}")
    lines.append(_shape(len(shapes), ODD_PARTS, (0, 2, 1, 3, -1, 4)))
    rows.append(f"{{items_{len(shapes)}, {len(ODD_PARTS)}, fields_{len(shapes)}, 6, {{0, 0, -1, -1, -1, -1}}}}")
    lines.append(f"static const struct known_shape known_shapes[] = {{{', '.join(rows)}}};\n")
    lines.append(f"static const struct known_stream known_streams[] = {{{', '.join(streams)}}};\n")
    return "".join(lines)


def words() -> list[bytes]:
    """What mutations put into inputs: the literals of the shapes, what stands before and in them, and numbers at the border."""
    written = Way(native=False, kinds=KINDS).intake.codec.written
    found = {part.literal for stream in written.streams for part in stream.shape.parts if part.literal}
    found |= {stream.name.encode() for stream in written.streams} | {name.encode() for name in SYMBOLS}
    numbers = (0, 2**15, 2**16, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**19, 10**18)
    found |= {str(number).encode() for number in numbers} | {
        b"1" * 39 + b".",
        b"1." + b"1" * 38,
        b"1.0",
        b'["1.0","2.0"],',
    }
    return sorted(
        found | {written.prefix, b"\x81\x7e", b"\x81\x7f", b"\x81\xfe", b"\x89\x00", b"true", b"false", b'"]]', b"[]"}
    )


# ── the first inputs ────────────────────────────────────────────────────────────────────────────────────────


def _text(message: bytes) -> bytes:
    return bytes([TEXT]) + len(message).to_bytes(2) + message


def _payloads(data: bytes) -> Iterator[bytes]:
    """The texts of its frames, the last perhaps cut."""
    while len(data) >= 4:
        begin, length = (2, data[1]) if data[1] < 126 else (4, int.from_bytes(data[2:4]))
        yield data[begin : begin + length]
        data = data[begin + length :]


def seeds(chance: random.Random, count: int) -> Iterator[bytes]:
    """Inputs to begin with: a market's messages, damaged or not, and messages that the driver makes, with all else that can happen between."""
    for number in range(count):
        found = bytearray(bytes([POLICY, chance.choice((12, 76, 28, 3, 11, 0, 1, 2, 44, 44, 60, 108))]))
        if number % 8 == 7:
            found += bytes([REFUSE, chance.randrange(40)])
        if chance.random() < 0.5:
            found += bytes([AGAIN, 2])
        if number % 2:
            found += _of_market(chance)
        size = chance.choice((50, 200, 1_000))
        while len(found) < size:
            found += bytes(
                [
                    MESSAGE,
                    chance.randrange(14),
                    kind := chance.choice((0, 0, 0, 0, 205, 215, 225, 245, 254, 255)),
                    chance.randrange(256),
                ]
            )
            if 200 <= kind < 220:
                found += chance.randbytes(3 if kind < 210 else 2)
            found += chance.choice(
                (b"", bytes([AGAIN, 1]), bytes([READ_ALL]), bytes([READ, chance.randrange(4), chance.randrange(256)]))
            )
            if chance.random() < 0.05:
                found += chance.choice(
                    (
                        bytes([SETTLE]),
                        bytes([SETTLE_ONE, 1]),
                        bytes([ADD, 0]),
                        bytes([AGE, 0]),
                        bytes([REPLACE]),
                        bytes([BLOCK, 2]),
                    )
                )
            if chance.random() < 0.05:
                found += bytes([SLACK, chance.choice(b'.0"]'), 1, 0, 0, 1, 0]) + bytes([ADD, 1]) + _invented(chance)
        yield bytes(found[:LONGEST])


def _of_market(chance: random.Random) -> bytes:
    """Some reads of the market of the differential tests: where a read has no whole frames, it is cut anywhere."""
    found = b""
    for step in script(chance, 40, chance.choice((0.0, 0.2))):
        if isinstance(step, str):
            found += bytes([SETTLE])
        elif step[1][:1] == b"\x81" and len(found) < LONGEST // 2:
            found += b"".join(map(_text, (text for text in _payloads(step[1]) if len(text) < 1_000))) + bytes(
                [READ_ALL]
            )
    return found


def _invented(chance: random.Random) -> bytes:
    """A shape of an id and some other items, with its name's end before them."""
    types = [chance.choice((1, 2, 4, 6, 7)) for _ in range(chance.randrange(4))]
    parts = [
        bytes([0, 255, 2]) + b'":',
        bytes([2, 0]),
        *(bytes([kind, slot + 1, *([1, 44] if kind == 0 else [])]) for slot, kind in enumerate(types)),
    ]
    fields = [0, *(slot + 1 for slot, kind in enumerate(types) if kind != 1)]
    return (
        bytes([len(parts)])
        + b"".join(parts)
        + bytes([len(fields), *fields])
        + bytes([0, 0, 255, 255, chance.choice((0, 255)), chance.choice((0, 255))])
        + b"\2"
    )


# ── building and running ────────────────────────────────────────────────────────────────────────────────────


def build(folder: Path, used: Engine, sources: Path = SOURCES) -> None:
    """Compile the driver with the lane from these sources into this folder, and write its dictionary there. Raises CalledProcessError."""
    (folder / "fuzz_setup.h").write_text(setup(), encoding="ascii")
    libfuzzer = used.name == LIBFUZZER
    dictionary = [f'"{_hex(word)}"' if libfuzzer else word.hex() for word in words()]
    (folder / "words").write_text("\n".join(dictionary) + "\n", encoding="ascii")
    common = [used.compiler, *FLAGS, f"-I{sources}", f"-I{HERE}", f"-I{folder}"]
    if libfuzzer:
        _run([*common, "-fsanitize=fuzzer,address,undefined", str(DRIVER), str(TARGET), "-o", str(folder / "fuzz")])
    else:
        target = str(folder / "target.o")
        _run([*common, SANITIZERS, "-fsanitize-coverage=trace-pc", "-c", str(TARGET), "-o", target])
        _run([*common, SANITIZERS, str(DRIVER), str(MUTATOR), target, "-o", str(folder / "fuzz")])


def _hex(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def _run(command: Sequence[str], folder: Path | None = None) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder).stdout


def write_seeds(corpus: Path, seed: int, count: int = 60) -> None:
    """Add the first inputs to this folder."""
    corpus.mkdir(exist_ok=True)
    for number, data in enumerate(seeds(random.Random(seed), count)):
        (corpus / f"seed-{number}").write_bytes(data)


def fuzz(folder: Path, used: Engine, corpus: Path, seconds: int, seed: int) -> tuple[int, str]:
    """Run the driver that was built there: its exit code (0: nothing was found), and what it printed."""
    command = [str(folder / "fuzz"), str(corpus), str(seconds), str(seed), str(folder / "words")]
    if used.name == LIBFUZZER:
        command = [
            str(folder / "fuzz"), str(corpus), f"-max_total_time={seconds}" if seconds else "-runs=0", f"-seed={seed}", f"-max_len={LONGEST}",
            f"-dict={folder / 'words'}", "-use_value_profile=1", "-print_final_stats=1", f"-artifact_prefix={corpus}/", "-timeout=60",
        ]  # fmt: skip
    done = subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", cwd=folder
    )
    return done.returncode, done.stdout


def coverage(folder: Path, corpus: Path) -> str:
    """Which share of lane.c these inputs reach, as gcov says it; needs gcc."""
    (folder / "fuzz_setup.h").write_text(setup(), encoding="ascii")
    flags = ["gcc", *FLAGS[:3], "--coverage", f"-I{SOURCES}", f"-I{HERE}", f"-I{folder}"]
    _run([*flags, "-c", str(TARGET), "-o", "target.o"], folder)
    _run([*flags, str(DRIVER), str(MUTATOR), "target.o", "-o", "covered"], folder)
    _run(["./covered", str(corpus), "0", "1", "none"], folder)
    said = _run(["gcov", "-b", "-s", str(SOURCES), "target.o"], folder).split("\n\n")
    return next(part for part in said if "lane.c'" in part)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--engine", nargs=1, choices=ENGINES, default=ENGINES, help="default: the first for which there is a compiler"
    )
    parser.add_argument("--corpus", type=Path, help="a folder of inputs that is kept (default: a new one)")
    parser.add_argument("--coverage", action="store_true", help="say at the end what of lane.c is reached")
    given = parser.parse_args()
    used = next(filter(None, map(engine, given.engine)), None)
    if used is None:
        sys.exit("there is neither a clang with libFuzzer nor a gcc with sanitizers")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        corpus = (given.corpus or folder / "corpus").resolve()
        build(folder, used)
        write_seeds(corpus, given.seed)
        code, said = fuzz(folder, used, corpus, max(1, round(given.minutes * 60)), given.seed)
        sys.stdout.write(f"{said[-3_000:]}\n{used.name} ({used.compiler}): exit code {code}\n")
        if given.coverage:
            sys.stdout.write(coverage(folder, corpus))
    sys.exit(code)


if __name__ == "__main__":
    main()
