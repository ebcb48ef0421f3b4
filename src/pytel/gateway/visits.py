"""Calls of people: made in their name and put on record, unless they only look."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from pytel.base import clock
from pytel.base.errors import ConnectionLost, PytelError, Timeout, wrap
from pytel.bus.address import Address
from pytel.bus.contract import Builtin, Call, CallOptions, Origin, Role
from pytel.bus.door import Door, Own, Visitor
from pytel.gateway.audit import AuditLog, without_secrets
from pytel.gateway.doorkeeper import Person

ASKED_AGAIN = 60.0
"""Real seconds until a module that did not describe itself is asked again."""
_LOOKS = frozenset({"rpc.discover", "job.status", "job.wait", "job.list"})


class Looks:
    """Knows from the modules' descriptions which of their methods viewers may call: those change nothing."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._known: dict[Address, tuple[str, frozenset[str]]] = {}
        self._silent: dict[Address, float] = {}

    def known(self, target: Address, method: str) -> bool | None:
        """Whether a method only looks, None when the module has not been asked."""
        if method in _LOOKS:
            return True
        boot, looks = self._known.get(target, ("", frozenset()))
        return method in looks if boot and boot == self._boot(target) else None

    async def ask(self, target: Address, method: str) -> bool:
        """Whether a method only looks; one that nobody describes does not."""
        if (known := self.known(target, method)) is not None:
            return known
        if (boot := self._boot(target)) is None or clock.real_time() < self._silent.get(target, 0.0):
            return False
        try:
            document = await self._door.bus.call(target, "rpc.discover", {}, CallOptions(timeout=5.0))
            looks = frozenset(_viewers_methods(document))
        except PytelError:
            self._silent[target] = clock.real_time() + ASKED_AGAIN
            return False
        self._known[target] = (boot, looks)
        return method in looks

    def _boot(self, target: Address) -> str | None:
        return next((peer.card.boot for peer in self._door.bus.peers() if peer.address == target), None)


def _viewers_methods(document: Builtin) -> list[str]:
    try:
        return [method["name"] for method in document["methods"] if method["x-pytel"]["role"] == Role.VIEWER.value]
    except (KeyError, TypeError):
        return []


class PersonVisitor(Visitor):
    """A person who came in by HTTP."""

    def __init__(
        self,
        door: Door,
        person: Person,
        address: str,
        audit: AuditLog,
        looks: Looks,
        own: Mapping[str, Own] | None = None,
    ) -> None:
        super().__init__(door, Origin(f"{door.bus.address.module}/{person.name}", person.role), own)
        self.person = person
        self._address, self._audit, self._looks = address, audit, looks

    def info(self) -> dict[str, Builtin]:
        """Where the person is, and as whom."""
        return {**super().info(), "name": self.person.name, "way": self.person.way}

    async def call(self, target: Address, call: Call) -> Builtin:
        """Call a module in the person's name. Raises what the module raises."""
        begun, method = clock.real_time(), call.method
        try:
            result = await super().call(target, call)
        except asyncio.CancelledError:
            if not self._looks.known(target, method):
                self._record(target, call, begun, "unanswered")
            raise
        except (ConnectionLost, Timeout) as error:  # it would not describe itself either
            if not self._looks.known(target, method):
                self._record(target, call, begun, error.name)
            raise
        except Exception as error:
            if not await self._looks.ask(target, method):
                self._record(target, call, begun, wrap(error).name)
            raise
        if not await self._looks.ask(target, method):
            self._record(target, call, begun, "done", _job_in(result))
        return result

    def _record(self, target: Address, call: Call, begun: float, outcome: str, job: str | None = None) -> None:
        self._audit.note(
            "call",
            origin=self.origin.name,
            role=self.origin.role.value,
            way=self.person.way,
            address=self._address,
            method=f"{target}.{call.method}",
            params=without_secrets(call.params),
            outcome=outcome,
            seconds=round(clock.real_time() - begun, 3),
            **({"job": job} if job else {}),
        )


def _job_in(result: Builtin) -> str | None:
    job = result.get("job") if isinstance(result, dict) else None
    return job if isinstance(job, str) else None
