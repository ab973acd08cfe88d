"""The exchange as a program of its own: it says where it listens and ends cleanly when told to."""

from __future__ import annotations

import signal
import subprocess
import sys

from tests.support.waiting import WAIT_S

PROGRAM = """
from k2workers.simulator import SimulatorSettings, main
main(SimulatorSettings(port=0, symbols=1))
"""


def test_sigterm_ends_the_program_with_exit_code_0() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "ws://127.0.0.1:" in line and "http://127.0.0.1:" in line
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
