"""What a driver asks of a foreign system, each thing by a call that the site file describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from pytel.base.errors import DeviceError, InvalidParams, MethodNotFound
from pytel.devices.foreign.client import ForeignClient, ForeignSystem
from pytel.module.faults import Found
from pytel.module.messages import Struct
from pytel.module.module import Module
from pytel.services.mapping.faults import faults_of_sent, faults_to_ours, faults_to_theirs
from pytel.services.mapping.source import Source
from pytel.services.mapping.tables import ours_from, theirs_from, theirs_in_order


class ForeignCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A method of theirs, its parameters made from ours (a list: by position), and our values made from its result."""

    method: str
    params: dict[str, Source] | list[Source] = {}
    result: dict[str, Source] = {}


class Nothing(Struct, frozen=True, kw_only=True):
    """What is given to a call that has no parameters, or wanted of one whose result says nothing."""


class Begun(Struct, frozen=True, kw_only=True):
    """What is wanted of a call that begins something: the operation that can be asked for, where there is one."""

    operation: str | int | None = None


class Question(NamedTuple):
    """What a driver may ask: with which values of ours, and for which; `again` where asking twice does no harm."""

    gives: type[Struct] = Nothing
    wants: type[Struct] = Nothing
    again: bool = False


def faults_of_config(config: Any, questions: Mapping[str, Question]) -> Iterator[Found]:
    """Tell what is wrong with a mapping, which has a call under the name of each question, or None."""
    for where, message in config.system.faults():
        yield ("system", *where), message
    for name, question in questions.items():
        call = getattr(config, name)
        if call is not None:
            yield from _faults_of_call(call, question, name)


def _faults_of_call(call: ForeignCall, question: Question, name: str) -> Iterator[Found]:
    if not call.method.strip():
        yield (name, "method"), "the name of a method cannot be empty"
    if isinstance(call.params, dict):
        yield from faults_to_theirs(call.params, question.gives, (name, "params"))
    else:
        for index, source in enumerate(call.params):
            yield from faults_of_sent(source, question.gives, (name, "params", index), f"parameter {index + 1}")
    yield from faults_to_ours(call.result, question.wants, (name, "result"))


class ForeignDevice:
    """One device of a foreign system, as the configuration of its module describes it."""

    def __init__(self, module: Module, questions: Mapping[str, Question]) -> None:
        config: Any = module.config
        system: ForeignSystem = config.system
        self._config, self._questions, self._name = config, questions, str(module.address)
        self._client = ForeignClient(system, self._name)

    async def open(self) -> None:
        """Make ready. Raises `ConfigError`."""
        await self._client.open()

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    async def ask(self, name: str, /, **given: Any) -> Any:
        """Ask, with values of ours; returns the struct that the question wants.

        Raises `ConnectionLost`, `DeviceTimeout`, what the system's errors stand for, `DeviceError` for an answer that
        cannot be, and `MethodNotFound` where the site file describes no call.
        """
        question, call = self._questions[name], self._described(name)
        values = msgspec.to_builtins(question.gives(**given))
        result = await self._client.call(call.method, _params(call, values, question), again=question.again)
        try:
            return ours_from(call.result, result, question.wants)
        except InvalidParams as error:
            raise DeviceError(
                f"{self._name}: the answer to {call.method}: {error.message}", device=self._name
            ) from error

    def _described(self, name: str) -> ForeignCall:
        call: ForeignCall | None = getattr(self._config, name)
        if call is None:
            raise MethodNotFound(f"{self._name} cannot do this: its foreign system has no call under {name!r}")
        return call


def _params(call: ForeignCall, values: Any, question: Question) -> dict[str, Any] | list[Any]:
    if isinstance(call.params, dict):
        return theirs_from(call.params, values, question.gives)
    return theirs_in_order(call.params, values, question.gives)


async def open_device(module: Module, questions: Mapping[str, Question]) -> ForeignDevice:
    """Make a device of a module ready to be asked, until the module stops. Raises `ConfigError`."""
    device = ForeignDevice(module, questions)
    await device.open()
    module.at_stop(device.close)
    return device
