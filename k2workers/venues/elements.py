"""Owns reading lists of the venue: as a whole, which is fast, and element by element only if that fails. Pure.

One odd element never rejects its list: it is left out and reported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

import msgspec

Element = TypeVar("Element")

SAMPLE_BYTES = 200


class Elements(msgspec.Struct, Generic[Element], frozen=True):
    """A list that was read. Each odd element is None in ``found``, so that the others keep their places."""

    found: list[Element | None]
    odd: int = 0
    cause: str = ""
    """What was wrong with the first odd one."""
    sample: str = ""
    """How the first odd one begins."""

    @property
    def sound(self) -> list[Element]:
        """The elements without the odd ones."""
        return [element for element in self.found if element is not None]


class ElementReader(Generic[Element]):
    """Reads JSON lists of one type."""

    def __init__(self, element: type[Element]) -> None:
        self._together: msgspec.json.Decoder[list[Element]] = msgspec.json.Decoder(list[element])  # type: ignore[valid-type]
        self._one: msgspec.json.Decoder[Element] = msgspec.json.Decoder(element)

    def read(self, content: bytes | msgspec.Raw) -> Elements[Element]:
        """The elements of this JSON array. Raises ValueError if it is none."""
        try:
            return Elements(cast("list[Element | None]", self._together.decode(content)))
        except (ValueError, RecursionError):  # msgspec's and UTF-8 errors are ValueErrors
            pass
        try:
            return self._singly(_elements.decode(content))
        except (ValueError, RecursionError):
            elements = _lenient(content, list)
        return self._singly([json.dumps(element).encode() for element in elements])

    def _singly(self, elements: Sequence[msgspec.Raw | bytes]) -> Elements[Element]:
        found: list[Element | None] = []
        odd, cause, sample = 0, "", ""
        for element in elements:
            try:
                found.append(self._one.decode(element))
            except (ValueError, RecursionError) as error:
                found.append(None)
                odd += 1
                if odd == 1:
                    cause, sample = str(error), bytes(element)[:SAMPLE_BYTES].decode(errors="replace")
        return Elements(found, odd, cause, sample)


def members(content: bytes) -> Mapping[str, bytes | msgspec.Raw]:
    """The members of a JSON object, unread: what is odd inside one of them costs no other. Raises ValueError if it is none."""
    try:
        return _members.decode(content)
    except (ValueError, RecursionError):
        found = _lenient(content, dict)
    return {key: json.dumps(value).encode() for key, value in found.items()}


def _lenient(content: bytes | msgspec.Raw, expected: type) -> Any:
    """The standard library also takes what our reader stops at even where it need not look: half a surrogate pair, a number beyond all.

    Written again, such a value is odd where it stands. Raises ValueError for what is no JSON at all, or of another type.
    """
    try:
        found = json.loads(bytes(content))
    except RecursionError as error:
        raise ValueError(str(error)) from None
    if not isinstance(found, expected):
        raise ValueError(f"expected a JSON {expected.__name__}")  # noqa: TRY004 - as for any content that is not understood
    return found


_elements = msgspec.json.Decoder(list[msgspec.Raw])
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
