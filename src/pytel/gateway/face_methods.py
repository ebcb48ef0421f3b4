"""One method of a foreign system and what it stands for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

import pytel.interfaces
from pytel.base.units import Fraction, Seconds
from pytel.gateway.face_words import JobView
from pytel.module import Interface
from pytel.module.faults import Found, nearest
from pytel.module.interface import is_interface, methods_of
from pytel.module.jobs import JobStatus
from pytel.module.rpc import Method
from pytel.services.mapping.faults import faults_to_ours, faults_to_theirs
from pytel.services.mapping.source import Source


class FaceMethod(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a method does: a `call` of an interface (`Telescope.move_radec`), its last `state`, or a `job`.

    `params` makes our parameters from theirs, which come by name, or by position in the order of `names`. `result`
    makes theirs from ours; without it the answer is `true`.
    """

    call: str | None = None
    state: str | None = None
    job: Literal["status", "cancel"] | None = None
    params: dict[str, Source] = {}
    names: list[str] = []
    result: dict[str, Source] = {}

    @property
    def target(self) -> tuple[str, str]:
        """Interface and method of a call; the method of a state is empty."""
        interface, _, method = (self.call or self.state or "").partition(".")
        return interface, method


class _Nothing(msgspec.Struct, frozen=True, kw_only=True):
    pass


class WhichJob(msgspec.Struct, frozen=True, kw_only=True):
    """The job that a method asks about: by its id or by its number."""

    job: str | None = None
    number: int | None = None


class JobTold(msgspec.Struct, frozen=True, kw_only=True):
    """What a table can take of a job that is asked about; `error` is the name of its error, `message` the sentence."""

    job: str
    number: int
    status: JobStatus
    progress: Fraction | None = None
    eta: Seconds | None = None
    error: str | None = None
    message: str | None = None
    result: Any = None


def interface_named(name: str) -> type[Interface] | None:
    """An interface of pytel by its name."""
    kind = getattr(pytel.interfaces, name, None)
    return kind if isinstance(kind, type) and is_interface(kind) else None


def method_named(target: tuple[str, str]) -> Method | None:
    """A method of an interface."""
    interface = interface_named(target[0])
    return None if interface is None else methods_of(interface).get(target[1])


def types_of(method: FaceMethod) -> tuple[type[msgspec.Struct], Any]:
    """What a method's tables stand between: the types of our parameters and of our result."""
    if method.job is not None:
        return WhichJob, JobTold
    if method.state is not None:
        interface = interface_named(method.state)
        return _Nothing, interface.state if interface is not None else None
    called = method_named(method.target)
    if called is None:
        return _Nothing, None
    return called.params, JobView if called.options.long else called.result


def faults_of_method(method: FaceMethod) -> Iterator[Found]:
    """Tell what is wrong with a method."""
    if [method.call, method.state, method.job].count(None) != 2:
        yield (), "a method is one of 'call', 'state' and 'job'"
        return
    if (found := _faults_of_target(method)) is not None:
        yield found
        return
    ours, result = types_of(method)
    yield from faults_to_ours(method.params, ours, ("params",))
    yield from faults_to_theirs(method.result, result, ("result",))


def _faults_of_target(method: FaceMethod) -> Found | None:
    if method.job is not None:
        known = "job" in method.params or "number" in method.params
        return None if known else (("params",), "say under 'params' where 'job' or 'number' comes from")
    key = "call" if method.call is not None else "state"
    name, called = method.target
    interface = interface_named(name)
    if interface is None:
        interfaces = [name for name in pytel.interfaces.__all__ if interface_named(name) is not None]
        return (key,), f"pytel has no interface {name!r}; {nearest(name, interfaces)}"
    if key == "state":
        return None if interface.state and not called else ((key,), f"{method.state!r} is no interface with a state")
    if called not in methods_of(interface):
        return (key,), f"{name} has no method {called!r}; {nearest(called, methods_of(interface))}"
    return None
