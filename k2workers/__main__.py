"""``python -m k2workers``, and the installed command."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """See ``cli.main``."""
    from k2workers import early_stop

    early_stop.install(sys.argv[1:], os.environ)
    # Imported here: children import the module of an installed command's entry too, and have no command line.
    from k2workers import cli

    cli.main()


if __name__ == "__main__":
    main()
