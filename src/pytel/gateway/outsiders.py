"""People whose passwords somebody else knows, such as the XMPP server: asked again and again while they are here."""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import os
from collections import OrderedDict
from time import monotonic
from typing import NamedTuple

from pytel.base.errors import PytelError
from pytel.base.units import Seconds
from pytel.bus.contract import Role
from pytel.bus.passwords import PasswordChecker

ASKED_AGAIN: Seconds = 10.0
"""Real seconds after which an answer is asked for again, beside the request that needs it."""
GOOD_FOR: Seconds = 30.0
"""Real seconds for which an answer is believed; then a request waits for another."""
_MOST = 1000

log = logging.getLogger("pytel.gateway")


class _Answer(NamedTuple):
    """The role that a password gave, None for a wrong one, and when (monotonic)."""

    role: Role | None
    at: float


class Outsiders:
    """Asks `checker`, and believes it for a while; keeps a keyed digest of what was asked, never the password."""

    def __init__(self, checker: PasswordChecker) -> None:
        self._checker = checker
        self._key = os.urandom(32)
        self._answers: OrderedDict[bytes, _Answer] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[Role | None]] = {}

    def remembered(self, name: str, password: str) -> Role | None:
        """The role that a password has just given, None when it has to be asked for."""
        key = self._digest(name, password)
        answer = self._answers.get(key)
        if answer is None or answer.role is None or monotonic() - answer.at > GOOD_FOR:
            return None
        self._ask_again(key, answer, name, password)
        return answer.role

    async def check(self, name: str, password: str) -> Role | None:
        """The role of a person whose password is right, None for everybody else. Raises `ConnectionLost`."""
        return await asyncio.shield(self._ask(self._digest(name, password), name, password))

    async def goes_on(self, name: str, password: str, role: Role) -> bool:
        """Whether somebody who came in with a role may go on. Raises `ConnectionLost` when nobody can tell."""
        return (self.remembered(name, password) or await self.check(name, password)) is role

    def is_still(self, name: str, password: str, role: Role) -> bool:
        """The same at once, by what was heard last; while nobody can tell, it is taken to be so."""
        key = self._digest(name, password)
        answer = self._answers.get(key) or _Answer(role, -math.inf)
        self._put(key, answer)
        self._ask_again(key, answer, name, password)
        return answer.role is role

    async def close(self) -> None:
        """Ask nothing more."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        if asking:
            await asyncio.wait(asking)

    def _ask_again(self, key: bytes, answer: _Answer, name: str, password: str) -> None:
        if answer.role is not None and monotonic() - answer.at > ASKED_AGAIN:
            self._ask(key, name, password)

    def _ask(self, key: bytes, name: str, password: str) -> asyncio.Task[Role | None]:
        """Ask once, however many want to know."""
        if (task := self._asking.get(key)) is None:
            task = asyncio.create_task(self._answer(key, name, password))
            self._asking[key] = task
            task.add_done_callback(lambda done: self._asked(key, done))
        return task

    def _asked(self, key: bytes, done: asyncio.Task[Role | None]) -> None:
        self._asking.pop(key, None)
        if not done.cancelled() and isinstance(error := done.exception(), PytelError):
            log.debug("nobody can tell who may come in: %s", error)

    async def _answer(self, key: bytes, name: str, password: str) -> Role | None:
        role = await self._checker.check(name, password)
        if role is not None or key in self._answers:  # wrong guesses need no room
            self._put(key, _Answer(role, monotonic()))
        return role

    def _put(self, key: bytes, answer: _Answer) -> None:
        self._answers[key] = answer
        self._answers.move_to_end(key)
        if len(self._answers) > _MOST:
            self._answers.popitem(last=False)

    def _digest(self, name: str, password: str) -> bytes:
        return hmac.digest(self._key, f"{name}\0{password}".encode("utf-8", "surrogatepass"), "sha256")
