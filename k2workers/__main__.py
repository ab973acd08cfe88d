"""``python -m k2workers``, and the installed command."""

from __future__ import annotations


def main() -> None:
    """See ``cli.main``."""
    # Imported here: children import the module of an installed command's entry too, and have no command line.
    from k2workers import cli

    cli.main()


if __name__ == "__main__":
    main()
