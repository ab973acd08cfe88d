"""Tries the mutants of the table in copies of the tree and names the survivors. See ``scripts/mutants --help``."""

from __future__ import annotations

import os
import queue
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from tests.mutants.mutant import ROOT, RUN_LIMIT_S, Copy, Mutant
from tests.mutants.table import TABLE
from tests.mutants.verdicts import Outcome

MODEL = "tests/model"
"""The model of the whole chain: what ``--by model`` runs."""

FOR_ALL = ("-x", f"--timeout={RUN_LIMIT_S}")
"""Options for tests that judge every mutant: one finding is enough, and they may take longer."""

app = App(name="scripts/mutants", help="Break the recovery glue in every way of the table; the tests must notice each.")


def say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def attempts(chosen: list[Mutant], copies: list[Copy], by: str | None) -> Iterator[tuple[Mutant, Outcome, str, float]]:
    """Each mutant, what became of it, why, and after how many seconds; as many at a time as there are copies."""
    free: queue.SimpleQueue[Copy] = queue.SimpleQueue()
    for copy in copies:
        free.put(copy)

    def attempt(mutant: Mutant) -> tuple[Mutant, Outcome, str, float]:
        copy, begun_s = free.get(), time.monotonic()
        try:
            outcome, words = copy.attempt(mutant, mutant.tests) if by is None else copy.attempt(mutant, (by,), *FOR_ALL)
        finally:
            free.put(copy)
        return mutant, outcome, words, time.monotonic() - begun_s

    with ThreadPoolExecutor(len(copies)) as pool:
        yield from pool.map(attempt, chosen)


def enough(outcomes: dict[str, Outcome], chosen: list[Mutant], *, by_model: bool) -> bool:
    """Whether no mutant lives that must not. The model alone is to kill half of them, and all that were hidden once."""
    killed = {name for name, outcome in outcomes.items() if outcome is Outcome.KILLED}
    if not by_model:
        return len(killed) == len(chosen)
    return 2 * len(killed) >= len(chosen) and all(mutant.name in killed for mutant in chosen if mutant.hidden)


@app.default
def main(
    *names: Annotated[str, Parameter(help="Only mutants whose name begins so.")],
    jobs: int = 0,
    by: str | None = None,
) -> int:
    """Try the table (or some of it) and print the survivors; there are to be none.

    Parameters
    ----------
    jobs
        How many at a time; 0: one a processor.
    by
        Run these tests instead of those that the table names: "model" (the model of the whole chain, which is to kill half of the mutants
        alone), or a path of tests.
    """
    chosen = [mutant for mutant in TABLE if not names or any(mutant.name.startswith(word) for word in names)]
    by_model = by == "model"
    by = MODEL if by_model else by
    if not chosen or (by is not None and not (ROOT / by.partition("::")[0]).exists()):
        sys.stderr.write(
            f"scripts/mutants: there is no {by}\n" if chosen else f"scripts/mutants: no mutant begins with {names}\n"
        )
        return 2
    begun_s, outcomes = time.monotonic(), dict[str, Outcome]()
    with tempfile.TemporaryDirectory(prefix="k2-mutants-") as folder:
        number = min(jobs or os.cpu_count() or 1, len(chosen))
        copies = [Copy(Path(folder) / str(place)) for place in range(number)]
        tests = [by] if by is not None else sorted({test for mutant in chosen for test in mutant.tests})
        if failing := copies[0].failing(tests, *(FOR_ALL if by is not None else ())):
            sys.stderr.write("\n".join(["scripts/mutants: these tests fail without any mutant:", *failing, ""]))
            return 2
        say(f"{len(tests)} tests hold without mutants ({time.monotonic() - begun_s:.0f} s)")
        for mutant, outcome, words, seconds in attempts(chosen, copies, by):
            outcomes[mutant.name] = outcome
            say(f"{outcome.value:9}{seconds:4.0f} s  {mutant.module:36}{mutant.name}")
            if outcome is not Outcome.KILLED:
                say(f"{'':17}{words}")
    counts = Counter(outcomes.values())
    figures = ", ".join(f"{outcome.value} {counts[outcome]}" for outcome in Outcome if counts[outcome])
    say(f"\n{len(chosen)} mutants in {time.monotonic() - begun_s:.0f} s: {figures}")
    living = [name for name, outcome in outcomes.items() if outcome is not Outcome.KILLED]
    say("survivors: " + (", ".join(living) or "none"))
    return 0 if enough(outcomes, chosen, by_model=by_model) else 1


if __name__ == "__main__":
    sys.exit(app())
