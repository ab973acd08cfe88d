"""Owns a client's requests on a stream connection (SUBSCRIBE and the others): how they are read, answered and refused. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Protocol

from k2workers.simulator.stand_in import Client

PROPERTIES = ("SET_PROPERTY", "GET_PROPERTY")
METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", *PROPERTIES)
_TEXT_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")


class _Refused(Exception):
    """A request that is answered with an error ``code`` and ``message``."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Wrapped(Protocol):
    """What a client can change of its messages."""

    combined: bool


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def answer(
    text: str,
    client: Client,
    talk: Wrapped,
    *,
    stream_limit: int,
    nested: bool,
    is_valid: Callable[[str], bool],
    refuses: Callable[[list[str]], bool],
) -> str:
    """The reply to one text message; carries out what it asks. Replies are never wrapped.

    ``is_valid`` says whether a name is well formed, ``refuses`` of such names whether a fault refuses them.
    """
    number: Any = None
    try:
        try:
            request = json.loads(text)
        except json.JSONDecodeError as error:
            place = f"line {error.lineno} column {error.colno}"
            raise _Refused(3, f"Invalid JSON: expected value at {place}") from None
        except RecursionError:
            raise _Refused(3, "Invalid JSON: recursion limit exceeded at line 1 column 128") from None
        number, method, params = _checked(request, len(text))
        result = (
            _property(method, params or [], talk)
            if method in PROPERTIES
            else _perform(method, params, client, stream_limit, is_valid, refuses)
        )
    except _Refused as refusal:
        body: dict[str, Any] = {"code": refusal.code, "msg": refusal.message}
        return _compact({"error": body, "id": number} if nested else body | {"id": number})
    return _compact({"result": result, "id": number})


def _checked(request: Any, length: int) -> tuple[Any, str, list[Any] | None]:
    if not isinstance(request, dict):
        raise _Refused(2, "Invalid request: expected an object")
    number = request.get("id")
    is_int = isinstance(number, int) and not isinstance(number, bool) and -(2**63) <= number < 2**63
    is_text = isinstance(number, str) and bool(_TEXT_ID.fullmatch(number))
    if "id" not in request or not (is_int or is_text or number is None):
        raise _Refused(2, "Invalid request: request ID must be an unsigned integer")
    method = request.get("method")
    if method is None:
        raise _Refused(2, f"Invalid request: missing field `method` at line 1 column {length}")
    if method not in METHODS:
        expected = ", ".join(f"`{name}`" for name in METHODS)
        raise _Refused(2, f"Invalid request: unknown variant {method}, expected one of {expected} at line 1 column 28")
    params = request.get("params")
    if params is not None and not isinstance(params, list):
        raise _Refused(2, "Invalid request: params must be an array")
    return number, method, params


def _perform(
    method: str,
    params: list[Any] | None,
    client: Client,
    stream_limit: int,
    is_valid: Callable[[str], bool],
    refuses: Callable[[list[str]], bool],
) -> Any:
    if method == "LIST_SUBSCRIPTIONS":
        if params:
            raise _Refused(2, "Invalid request: too many parameters")
        return client.names
    names = params or []
    if not names or not all(isinstance(name, str) and is_valid(name) for name in names):
        raise _Refused(2, "Invalid request: invalid stream")
    if method == "UNSUBSCRIBE":
        client.unsubscribe(names)
    else:
        if refuses(names):
            raise _Refused(2, "Invalid request: invalid stream")
        if len({*client.names, *names}) > stream_limit:
            raise _Refused(4, "Too many subscriptions")
        client.subscribe(names)
    return None


def _property(method: str, params: list[Any], talk: Wrapped) -> Any:
    expected = 1 if method == "GET_PROPERTY" else 2
    if not params or not isinstance(params[0], str):
        raise _Refused(2, "Invalid request: property name must be a string")
    if len(params) > expected:
        raise _Refused(2, "Invalid request: too many parameters")
    if params[0] != "combined":
        raise _Refused(0, "Unknown property")
    if method == "GET_PROPERTY":
        return talk.combined
    if len(params) < 2 or not isinstance(params[1], bool):
        raise _Refused(1, "Invalid value type: expected Boolean")
    talk.combined = params[1]
    return None
