"""Owns what is special about the parameters of futures REST calls. Codes are the documents' where they name one; U marks guesses."""

from __future__ import annotations

from k2workers.simulator.binance.bars import HOUR
from k2workers.simulator.binance.query import ApiError, Query, invalid

DEPTHS = (5, 10, 20, 50, 100, 500, 1000)


class FuturesQuery(Query):
    """The parameters of one request; times are in ms always."""

    @property
    def unit(self) -> int:
        return 1000

    def limit(self, default: int, most: int) -> int:
        """The limit; one above ``most`` is refused (U), not clipped as by spot."""
        value = self.integer("limit")
        if value is not None and not 0 < value <= most:
            raise invalid("limit")
        return default if value is None else value

    def levels(self) -> int:
        """How many levels of a book."""
        value = self.integer("limit")
        if value is not None and value not in DEPTHS:
            raise ApiError(-4021, f"{value} is not valid depth limit.")
        return 500 if value is None else value

    def key(self) -> None:
        """Raises ApiError where no key is shown; any key will do."""
        if not self.header("X-MBX-APIKEY"):
            raise ApiError(-2014, "API-key format invalid.", 401)

    def times(self) -> tuple[int | None, int | None]:
        """``startTime`` and ``endTime``, in µs, an hour apart at most."""
        start, end = self.time_us("startTime"), self.time_us("endTime")
        if start is not None and end is not None and end - start > HOUR:
            raise ApiError(-1127, "Lookup interval is too big. More than 1 hours between startTime and endTime.")
        return start, end
