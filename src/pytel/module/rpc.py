"""`@rpc`: what makes a method callable over a bus, and the one place where types become builtins and back."""

from __future__ import annotations

import functools
import inspect
import math
import typing
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, overload

import msgspec

from pytel.base.errors import InternalError, InvalidParams, LimitExceeded
from pytel.base.units import Seconds
from pytel.bus.contract import Builtin, Role
from pytel.module.faults import Lines
from pytel.module.jobs import DirectJob, Job
from pytel.module.struct_check import check_struct, takes_mapping

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

DEFAULT_JOB_DEADLINE: Seconds = 3600.0


class RpcOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `@rpc` says of a method; None takes what the interface says."""

    long: bool | None = None
    role: Role | None = None
    control: bool | None = None
    exclusive: str | None = None
    queues: bool | None = None
    deadline: Seconds | None = None
    always: bool | None = None

    def over(self, base: RpcOptions) -> RpcOptions:
        """These options where given, `base` elsewhere."""
        given = {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not None}
        return msgspec.structs.replace(base, **given)


@overload
def rpc(
    *,
    long: Literal[True],
    role: Role | None = None,
    control: bool | None = None,
    exclusive: str | None = None,
    queues: bool | None = None,
    deadline: Seconds | None = None,
    always: bool | None = None,
) -> Callable[[Callable[Concatenate[S, P], Coroutine[Any, Any, R]]], Callable[Concatenate[S, P], Job[R]]]: ...


@overload
def rpc(
    *,
    long: Literal[False] | None = None,
    role: Role | None = None,
    control: bool | None = None,
    exclusive: str | None = None,
    queues: bool | None = None,
    deadline: Seconds | None = None,
    always: bool | None = None,
) -> Callable[
    [Callable[Concatenate[S, P], Coroutine[Any, Any, R]]], Callable[Concatenate[S, P], Coroutine[Any, Any, R]]
]: ...


def rpc(**options: Any) -> Callable[..., Any]:
    """Make an async method callable over the bus.

    On an interface it says all; on the implementation of a long method `@rpc(long=True)` is enough (mypy then sees the
    job), and a short one needs no decorator at all.

    - `long`: answers at once with a job. An `estimate_<method>` with the same parameters gives its seconds.
    - `role`: who may call (default: observer).
    - `control`: asks for the control lease of the group, when somebody holds it.
    - `exclusive`: name of a resource; of all methods that share it one runs at a time, a second caller gets `Busy`,
      or waits if the method `queues`.
    - `deadline`: seconds of site time after which a job fails with `Timeout` (default: an hour, or three times the
      estimate if that is longer).
    - `always`: may be called while the module is not ready (stop, close).
    """
    given = RpcOptions(**options)

    def decorate(function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"{function.__qualname__} must be an async method to be called over a bus")
        if not given.long:
            function.__rpc__ = given  # type: ignore[attr-defined]
            return function

        @functools.wraps(function)
        def start(self: Any, *args: Any, **kwargs: Any) -> Job[Any]:
            return DirectJob(function(self, *args, **kwargs))

        start.__rpc__ = given  # type: ignore[attr-defined]
        return start

    return decorate


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """A method as the bus sees it: parameters and result with their types, and the options of `@rpc`."""

    name: str
    interface: str
    doc: str
    params: type[msgspec.Struct]
    result: Any
    options: RpcOptions

    @property
    def role(self) -> Role:
        """Who may call it."""
        return self.options.role or Role.OBSERVER

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Builtin]:
        """Turn a Python call into named parameters of builtins. Raises `TypeError` as Python does."""
        names = self.params.__struct_fields__
        if len(args) > len(names):
            raise TypeError(f"{self.name}() takes {len(names)} arguments, {len(args)} given")
        bound = dict(zip(names, args, strict=False))
        for name, value in kwargs.items():
            if name not in names or name in bound:
                raise TypeError(f"{self.name}() got an unexpected or repeated argument {name!r}")
            bound[name] = value
        return {name: to_builtins(value) for name, value in bound.items()}

    def parse(self, params: Mapping[str, Builtin] | Sequence[Builtin]) -> dict[str, Any]:
        """Check parameters that came over a bus. Raises `InvalidParams` naming method and parameter.

        They come by name or by position, trailing optional ones left out. A single struct by position stands for names
        where it cannot be the first parameter: callers in XML-RPC have no other way.
        """
        names = self.params.__struct_fields__
        if not isinstance(params, Mapping) and len(params) == 1 and self._holds_names(params[0]):
            params = params[0]
        if not isinstance(params, Mapping):
            if len(params) > len(names):
                raise InvalidParams(f"{self.name} takes at most {len(names)} parameters, {len(params)} came")
            params = dict(zip(names, params, strict=False))
        try:
            parsed = msgspec.convert(params, self.params)
        except msgspec.ValidationError as error:
            raise InvalidParams(f"{self.name}: {self._faults(params) or error}") from error
        return {name: getattr(parsed, name) for name in names}

    def _holds_names(self, value: Builtin) -> bool:
        """Tell whether a value by position can only be meant as a struct of named parameters."""
        if not isinstance(value, Mapping):
            return False
        fields = msgspec.structs.fields(self.params)
        if not fields or not takes_mapping(fields[0].type):
            return True
        is_of_names = value.keys() <= {field.name for field in fields}
        # Strictly: a struct of defaults would take any mapping and lose what it does not know.
        return is_of_names and bool(check_struct(value, fields[0].type, Lines(self.name)))

    def _faults(self, params: Mapping[str, Builtin]) -> str:
        """All that is wrong with parameters, in words for people."""
        faults = check_struct(params, self.params, Lines(self.name), (self.name,))
        return "; ".join(fault.message for fault in faults)


def method_of(name: str, function: Callable[..., Any], interface: str, options: RpcOptions) -> Method:
    """Describe a decorated function. Raises `TypeError` when an annotation is missing."""
    hints = typing.get_type_hints(function, include_extras=True)
    fields: list[Any] = []
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"{interface}.{name} may not take *{parameter.name}: every parameter has a name and a type")
        if parameter.name not in hints:
            raise TypeError(f"{interface}.{name} has no type for its parameter {parameter.name!r}")
        if parameter.default is parameter.empty:
            fields.append((parameter.name, hints[parameter.name]))
        else:
            fields.append((parameter.name, hints[parameter.name], parameter.default))
    params = msgspec.defstruct(f"{interface}_{name}", fields, forbid_unknown_fields=True, kw_only=True)
    if "return" not in hints:
        raise TypeError(f"{interface}.{name} has no type for its result")
    return Method(
        name=name,
        interface=interface,
        doc=inspect.getdoc(function) or "",
        params=params,
        result=hints["return"],
        options=options,
    )


def to_builtins(value: Any) -> Builtin:
    """Turn structs and plain values into builtins. Raises `InternalError` for NaN and what cannot travel."""
    try:
        converted = msgspec.to_builtins(value, builtin_types=(datetime,), str_keys=True)
    except TypeError as error:
        raise InternalError(f"a {type(value).__name__} cannot travel over a bus: {error}") from error
    return _on_the_wire(converted)


def from_builtins(value: Builtin, kind: Any, what: str) -> Any:
    """Turn what a peer sent into a type. Raises `InternalError` that names `what` and the path to the fault."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InternalError(f"{what} does not fit its description: {error}") from error


_ATOMS = frozenset({type(None), bool, int, str})


def _on_the_wire(value: Any) -> Builtin:
    """Write times as every bus does and refuse what is no number; `value` is fresh and changed in place."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is float:
        if not math.isfinite(value):
            raise InternalError("NaN and infinities do not travel: send None for what is unknown")
        return value
    if kind is datetime:
        return _time_on_the_wire(value)
    if kind is tuple:
        value = list(value)
    for key, item in value.items() if kind is dict else enumerate(value):
        if type(item) not in _ATOMS:
            value[key] = _on_the_wire(item)
    return value


def _time_on_the_wire(value: datetime) -> str:
    if value.tzinfo is None:
        raise InternalError(
            f"the time {value.isoformat()} has no time zone: times travel as UTC, as clock.now() gives them"
        )
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def limit(value: float, low: float, high: float, what: str, unit: str) -> float:
    """Check a number against a device's limits. Raises `LimitExceeded` with both limits."""
    if not low <= value <= high:
        raise LimitExceeded(f"{what} of {value:g} {unit} is outside {low:g} to {high:g} {unit}")
    return value
