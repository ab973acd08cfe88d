"""Owns the look from outside whether a run on this machine is well: ``python -m k2workers.health [/readyz]``, for a container's health check.

Asks over HTTP, at the port where the run really listens, whatever its settings were: it says so in its run directory (``files.directories.HTTP``). Imports
next to nothing: it is started every few seconds.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from k2workers.errors import ConfigError
from k2workers.files.directories import HTTP, for_runs, have_temporary

LIMIT_S = 2.0

USUAL_PORT = "9091"


def address(environ: Mapping[str, str]) -> str:
    """Where the run answers that began last in the place where one would begin now; if none says so, where one would by the environment."""
    for base, prefix in [(Path(environ.get("K2_RUN_DIR", "")), "")] if environ.get("K2_RUN_DIR") else for_runs(environ):
        with contextlib.suppress(OSError, ValueError):  # none, or it has just ended
            told = base.glob(f"{prefix}*/{HTTP}") if prefix else [base / HTTP]
            return max((file.stat().st_mtime_ns, file.read_text(encoding="ascii")) for file in told)[1]
        if os.access(base, os.W_OK | os.X_OK):
            break  # here one would begin: what lives elsewhere is another one's
    return f"http://127.0.0.1:{environ.get('K2_HTTP_PORT', '') or USUAL_PORT}"


def look(path: str, environ: Mapping[str, str]) -> tuple[bool, str]:
    """Whether the run says yes there, and its words."""
    url = address(environ)
    target = urlsplit(url)
    way = http.client.HTTPConnection(target.hostname or "", target.port, timeout=LIMIT_S)
    try:
        way.request("GET", path)
        answer = way.getresponse()
        return answer.status == http.HTTPStatus.OK, answer.read().decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return False, f"{url}{path}: {error}"
    finally:
        way.close()


def main() -> int:
    """The exit code: 0 if the run says yes."""
    with contextlib.suppress(ConfigError):  # nothing can be written: then no run lives here either
        have_temporary(os.environ)
    well, words = look(sys.argv[1] if len(sys.argv) > 1 else "/healthz", os.environ)
    print(words)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
