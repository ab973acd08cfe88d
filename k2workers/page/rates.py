"""Owns how fast rising totals rise that several processes tell, each at its own times. Pure."""

from __future__ import annotations

from collections.abc import Mapping


class _Told:
    """What one process told last, and how fast it rose until then."""

    __slots__ = ("at_ns", "life", "rates", "totals")

    def __init__(self, life: int) -> None:
        self.life = life
        self.at_ns = 0
        self.totals: Mapping[str, int] = {}
        self.rates: dict[str, float] = {}


class Rates:
    """Say what each process has ``told``, as often as you like, and which are ``gone``."""

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}

    def told(self, teller: str, life: int, totals: Mapping[str, int], at_ns: int) -> None:
        """A process of this name told these totals of its present life at this time (monotonic)."""
        before = self._told.get(teller)
        if before is None or before.life != life:
            before = self._told[teller] = _Told(life)
        elif at_ns > before.at_ns:
            passed_s = (at_ns - before.at_ns) / 1e9
            before.rates = {name: (total - before.totals.get(name, 0)) / passed_s for name, total in totals.items()}
        before.at_ns, before.totals = at_ns, totals

    def gone(self, teller: str) -> None:
        """It does not run."""
        self._told.pop(teller, None)

    def a_second(self) -> dict[str, float]:
        """The rise of each total in a second, of all processes together."""
        sums: dict[str, float] = {}
        for told in self._told.values():
            for name, rate in told.rates.items():
                sums[name] = sums.get(name, 0.0) + rate
        return {name: round(rate, 1) for name, rate in sorted(sums.items())}
