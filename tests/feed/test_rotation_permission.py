"""The question to the parent whether to rotate: one at a time, until it is withdrawn."""

from __future__ import annotations

import asyncio

from k2workers.feed.rotation_permission import RotationPermission
from k2workers.rotation.inputs import Grant
from k2workers.rotation.policy import SCHEDULED, SERVER_SHUTDOWN
from tests.fakes import Permit, Turns
from tests.support.waiting import until


class Asked:
    """Asks, and keeps what it was permitted."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.permitted: list[str] = []
        self.asking = RotationPermission(turns, self._on_permitted)

    def _on_permitted(self, reason: str, _grant: Grant | None) -> None:
        self.permitted.append(reason)


async def test_what_is_asked_already_is_not_asked_again_unless_it_becomes_urgent() -> None:
    asked = Asked(Turns())
    asked.asking.ask(SCHEDULED)
    await until(lambda: asked.turns.asked)
    asked.asking.ask(SCHEDULED)
    asked.asking.ask(SERVER_SHUTDOWN)
    asked.asking.ask(SERVER_SHUTDOWN)
    asked.asking.ask(SCHEDULED)
    await until(lambda: asked.permitted)
    await asked.asking.stop()
    assert asked.permitted == [SERVER_SHUTDOWN]
    assert asked.turns.purposes == ["rotate", "connect"]
    assert asked.turns.withdrawn == ["rotate"]
    assert [since_ns > 0 for _, since_ns in asked.turns.asked] == [False, True]


async def test_a_question_that_was_withdrawn_is_asked_anew() -> None:
    asked = Asked(Turns())
    asked.asking.ask(SCHEDULED)
    await until(lambda: asked.turns.asked)
    asked.asking.withdraw()
    await until(lambda: asked.turns.withdrawn)
    asked.turns.turn.set()
    asked.asking.ask(SCHEDULED)
    await until(lambda: asked.permitted)
    assert asked.permitted == [SCHEDULED]
    await asked.asking.stop()


async def test_a_permission_given_in_the_moment_of_the_withdrawal_is_given_back() -> None:
    class TooLate(Turns):
        async def ask(self, purpose: str, starved_since_ns: int) -> Permit:
            self.asked.append((purpose, starved_since_ns))
            try:
                await self.turn.wait()
            except asyncio.CancelledError:
                self.permits.append(Permit(purpose))
            return self.permits[-1]

    asked = Asked(TooLate())
    asked.asking.ask(SCHEDULED)
    await until(lambda: asked.turns.asked)
    await asked.asking.stop()
    assert [permit.given_back for permit in asked.turns.permits] == [True]
    assert asked.permitted == []


async def test_a_question_that_broke_off_is_asked_again() -> None:
    class BrokenOnce(Turns):
        async def ask(self, purpose: str, starved_since_ns: int) -> Permit:
            if not self.asked:
                self.asked.append((purpose, starved_since_ns))
                raise ConnectionError
            return await super().ask(purpose, starved_since_ns)

    asked = Asked(BrokenOnce())
    asked.turns.turn.set()
    asked.asking.ask(SCHEDULED)
    await until(lambda: asked.turns.asked)
    asked.asking.ask(SCHEDULED)
    await until(lambda: asked.permitted)
    assert asked.permitted == [SCHEDULED]
    await asked.asking.stop()
