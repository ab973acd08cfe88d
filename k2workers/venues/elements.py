"""Owns reading lists that others wrote: as a whole, which is fast, and element by element only when that fails. Pure.

One odd element never rejects its list; it is left out and told.
"""

from __future__ import annotations

from typing import Generic, TypeVar, cast

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
            elements = _elements.decode(content)
        except RecursionError as error:
            raise ValueError(str(error)) from None
        return self._singly(elements)

    def _singly(self, elements: list[msgspec.Raw]) -> Elements[Element]:
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


_elements = msgspec.json.Decoder(list[msgspec.Raw])
