"""What counts as a sign of life."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil

from k2workers.supervision.signs_of_life import SUSPICIOUS_S, WORK_COUNTS_NS, Deafness, SignsOfLife, SilenceLimits
from tests.support.waiting import wait_for


def work() -> None:
    before_s = time.process_time()
    while time.process_time() < before_s + 0.1:
        pass


def test_use_of_the_processor_is_a_sign_once() -> None:
    life = SignsOfLife(0)
    life.look(os.getpid(), 10, work_counts=True)
    assert life.silent_ns(30) == 20
    work()
    life.look(os.getpid(), 40, work_counts=True)
    assert life.silent_ns(40) == 0


def test_one_that_only_works_and_says_nothing_is_hung_in_the_end() -> None:
    life = SignsOfLife(0)
    life.look(os.getpid(), WORK_COUNTS_NS, work_counts=True)
    work()
    life.look(os.getpid(), WORK_COUNTS_NS + 1, work_counts=True)
    assert life.silent_ns(WORK_COUNTS_NS + 1) == 1
    # A word, and time for which we were deaf, begin it anew.
    life.heard_ns = WORK_COUNTS_NS + 2
    life.excuse(10, WORK_COUNTS_NS + 50)
    life.look(os.getpid(), 2 * WORK_COUNTS_NS + 12, work_counts=True)
    assert life.silent_ns(2 * WORK_COUNTS_NS + 12) == 0


def test_one_that_could_go_on_and_gets_none_of_the_processor_is_kept_waiting_by_the_host() -> None:
    life = SignsOfLife(0)
    life.look(os.getpid(), 10, work_counts=False)  # all it has used so far was before
    assert life.silent_ns(10) == 10
    life.look(os.getpid(), 10**9, work_counts=False)
    assert life.silent_ns(10**9) == 10
    work()
    life.look(os.getpid(), 10**9 + 10**8, work_counts=False)  # all of the processor: an endless loop
    assert life.silent_ns(10**9 + 10**8) == 10 + 10**8


def test_one_that_waits_for_something_else_is_silent() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as waiting:
        wait_for("it waits", lambda: psutil.Process(waiting.pid).status() == psutil.STATUS_SLEEPING)
        life = SignsOfLife(0)
        for now_ns in (10**9, 2 * 10**9):
            life.look(waiting.pid, now_ns, work_counts=False)
            assert life.silent_ns(now_ns) == now_ns
        waiting.kill()


def test_a_process_that_has_ended_gives_none() -> None:
    life = SignsOfLife(0)
    life.look(2**22 + 1, 10, work_counts=True)
    assert life.silent_ns(30) == 30


def test_what_we_could_not_hear_is_not_held_against_it_but_makes_no_future() -> None:
    life = SignsOfLife(10)
    life.excuse(50, 100)
    assert life.silent_ns(100) == 40
    life.excuse(500, 100)
    assert life.silent_ns(100) == 0


def test_one_is_hung_after_so_long_without_a_sign_and_is_looked_at_before() -> None:
    life = SignsOfLife(0)
    gone, limit_s = 2**22 + 1, SilenceLimits().beat_limit_s
    assert not life.hangs(gone, int(limit_s * 1e9), limit_s, busy=False)
    assert life.hangs(gone, int(limit_s * 1e9) + 1, limit_s, busy=False)
    life.heard_ns = int(limit_s * 1e9)
    assert not life.hangs(gone, int(limit_s * 1e9) + 1, limit_s, busy=False)
    work()
    suspicious_ns = int((limit_s + SUSPICIOUS_S) * 1e9)
    assert not life.hangs(os.getpid(), suspicious_ns + 1, SUSPICIOUS_S, busy=True), "it works"


def test_we_are_deaf_for_what_passed_beyond_the_usual_distance() -> None:
    deafness = Deafness(0.1)
    assert [deafness.since(now_ns) for now_ns in (5 * 10**9, 51 * 10**8, 52 * 10**8)] == [0, 0, 0]
    assert deafness.since(62 * 10**8) == 9 * 10**8
    assert (deafness.since(63 * 10**8), deafness.total_ns) == (0, 9 * 10**8)
