"""The native lane's C under a fuzzer and sanitizers: whatever the network brings and our Python does, in whatever order."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from k2workers.native.build import SOURCES
from tests.native.fuzz import ENGINES, LOOP, Engine, build, coverage, engine, fuzz, write_seeds

SECONDS = int(os.environ.get("K2_FUZZ_SECONDS", "8"))
"""Of each engine."""

ONCE = {
    "digits and a point behind the end of what was read": (
        "0105d7575ce305",
        (" || at + whole >= end", ""),
    ),
    "a shape whose ids join on one side only": (
        "0e010500ff02223a020007010602070304000102030000ffff00ff02010e1b3805",
        ("(spec->link_first < 0) != (spec->link_last < 0)", "0"),
    ),
    "a lane that has read 2^32 times": (
        "0d00" + "0100000005" * 3,
        ("uint64_t settlement, reads;", "uint32_t settlement, reads;"),
    ),
    "a read that brings more than its places can tell": (
        "010900c4" * 12 + "05",
        ("if (most > LANE_MOST_BYTES)", "if (0)"),
    ),
}
"""Inputs that once broke something, each with what mended it: a text of the source, and what stands for it without."""


def the(name: str) -> Engine:
    found = engine(name)
    if found is None:
        pytest.skip(f"no compiler for the {name} (clang with its runtime library, or gcc with sanitizers)")
    return found


@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == LOOP else pytest.mark.long) for name in ENGINES]
)
def test_no_input_breaks_the_lane(name: str, tmp_path: Path) -> None:
    used, corpus = the(name), tmp_path / "corpus"
    build(tmp_path, used)
    write_seeds(corpus, 1)
    for number, (data, _) in enumerate(ONCE.values()):
        (corpus / f"once-{number}").write_bytes(bytes.fromhex(data))
    code, said = fuzz(tmp_path, used, corpus, SECONDS, 1)
    assert code == 0, said[-4_000:]
    assert (
        int(next(filter(None, re.findall(r"number_of_executed_units: (\d+)|(\d+) inputs", said)[0]))) > len(ONCE) + 60
    )


@pytest.mark.parametrize(
    "once", [pytest.param(name, marks=[pytest.mark.long] if number else []) for number, name in enumerate(ONCE)]
)
def test_what_was_mended_breaks_without(once: str, tmp_path: Path) -> None:
    used, corpus, sources = the(LOOP), tmp_path / "corpus", tmp_path / "sources"
    data, (mended, without) = ONCE[once]
    shutil.copytree(SOURCES, sources)
    text = (sources / "lane.c").read_text(encoding="utf-8")
    assert mended in text
    (sources / "lane.c").write_text(text.replace(mended, without), encoding="utf-8")
    build(tmp_path, used, sources)
    corpus.mkdir()
    (corpus / "once").write_bytes(bytes.fromhex(data))
    code, said = fuzz(tmp_path, used, corpus, 0, 1)
    assert code != 0
    assert "ERROR: AddressSanitizer" in said or "runtime error" in said or "not true" in said


def test_the_first_inputs_reach_the_whole_lane(tmp_path: Path) -> None:
    the(LOOP)
    if shutil.which("gcov") is None:
        pytest.skip("no gcov")
    write_seeds(tmp_path / "corpus", 1)
    said = coverage(tmp_path, tmp_path / "corpus")
    shares = [float(share) for share in re.findall(r"(?:Lines executed|Taken at least once):([0-9.]+)%", said)]
    assert shares[0] > 95, said
    assert shares[1] > 80, said
