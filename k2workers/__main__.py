"""``python -m k2workers``, and the installed command."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """See ``cli.main``."""
    # Until a command has handlers of its own there is nothing to drain.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, lambda *_: sys.exit(0))
    # Imported here: children import the module of an installed command's entry too, and have no command line.
    from k2workers import cli

    cli.main()


if __name__ == "__main__":
    main()
