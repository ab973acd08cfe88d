"""Owns the answers that a fault gives instead of the right one, to handshakes and to REST."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

from aiohttp import web

RATE_TEXT = (
    "Too much request weight used; current limit is {} request weight per 1 MINUTE. "
    "Please use WebSocket Streams for live updates to avoid polling the API."
)
BAN_TEXT = (
    "Way too much request weight used; IP banned until {}. Please use WebSocket Streams for live updates to avoid bans."
)
NOT_FOUND_PAGE = (
    "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n<center><h1>404 Not Found</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
"""As users of the venue quote it: unknown paths end at its proxy, which does not speak JSON."""
_FIREWALL_PAGE = (
    "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden</h1></center>\r\n"
    "</body>\r\n</html>\r\n"
)


def refusal(status: int, values: Mapping[str, Any]) -> web.Response:
    """The refusal that a fault with these values asks for; see ``faults``."""
    wait_s, form = values["retry_after_s"], values["retry_after_as"]
    headers = {}
    if wait_s >= 0 and form != "words":
        headers["Retry-After"] = formatdate(time.time() + wait_s, usegmt=True) if form == "date" else f"{wait_s:.10g}"
    if status == 403:
        return web.Response(text=_FIREWALL_PAGE, status=status, headers=headers, content_type="text/html")
    banned = status == 418 or form == "words"
    until_ms = round((time.time() + max(0.0, wait_s)) * 1000)
    code = -1003 if status in (429, 418) else 0
    body = {"code": code, "msg": BAN_TEXT.format(until_ms) if banned else "Injected fault."}
    return web.Response(text=json.dumps(body), status=status, headers=headers, content_type="application/json")
