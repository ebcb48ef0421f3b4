"""An interface says what a module can do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pytel.module.messages import Capabilities, Event, State
from pytel.module.rpc import Method, RpcOptions, method_of


class Interface:
    """Base of all interfaces: a concrete class whose `@rpc` methods raise `NotImplementedError`.

        class Focuser(Interface, state=FocuserState, capabilities=FocuserCapabilities):

    A change that only adds keeps `version`; peers of another version do not see it.
    """

    version: ClassVar[int] = 1
    state: ClassVar[type[State] | None] = None
    events: ClassVar[tuple[type[Event], ...]] = ()
    capabilities_type: ClassVar[type[Capabilities] | None] = None
    several: ClassVar[bool] = False
    """Many modules of one scope may offer it, and are asked with `find_all`: no site file needs to choose one."""

    def __init_subclass__(
        cls,
        *,
        version: int | None = None,
        state: type[State] | None = None,
        events: tuple[type[Event], ...] = (),
        capabilities: type[Capabilities] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(**kwargs)
        if is_interface(cls):
            _refuse_in_body(cls)
            cls.version = version or 1
            cls.state, cls.events, cls.capabilities_type = state, events, capabilities

    @classmethod
    def urn(cls) -> str:
        """The name of the interface on the wire."""
        return f"urn:pytel:interface:{cls.__name__}:{cls.version}"


def _refuse_in_body(kind: type) -> None:
    for name in ("version", "state", "events", "capabilities_type"):
        if name in vars(kind):
            argument = name.removesuffix("_type")
            raise TypeError(f"write class {kind.__name__}(Interface, {argument}=…) instead of {name} in its body")


def is_interface(kind: type) -> bool:
    """Tell whether `kind` is an interface itself, not a module that implements one."""
    return issubclass(kind, Interface) and kind is not Interface and not getattr(kind, "is_module", False)


_methods: dict[type, dict[str, Method]] = {}


def interfaces_of(kind: type) -> tuple[type[Interface], ...]:
    """All interfaces that a module class implements, sorted by name."""
    return tuple(sorted((base for base in kind.__mro__ if is_interface(base)), key=lambda base: base.__name__))


def methods_of(kind: type) -> dict[str, Method]:
    """The methods of an interface or module class that can be called over a bus, by name.

    Raises `TypeError` when an implementation does not fit its interface.
    """
    if kind not in _methods:
        _methods[kind] = {name: _method(kind, name) for name in sorted(_rpc_names(kind))}
    return _methods[kind]


def _rpc_names(kind: type) -> set[str]:
    return {name for base in kind.__mro__ for name, member in vars(base).items() if hasattr(member, "__rpc__")}


def _declarations(kind: type, name: str) -> Iterator[tuple[type, Any, RpcOptions]]:
    for base in kind.__mro__:
        member = vars(base).get(name)
        if member is not None and hasattr(member, "__rpc__"):
            yield base, member, member.__rpc__


def _method(kind: type, name: str) -> Method:
    declared = list(_declarations(kind, name))
    owner, function, options = declared[-1]
    for _, _, nearer in reversed(declared[:-1]):
        options = nearer.over(options)
    interface = owner.__name__ if is_interface(owner) else kind.__name__
    method = method_of(name, function, interface, options)
    implementation = getattr(kind, name)
    if not is_interface(kind) and implementation is not function:
        _check_signature(kind, method, implementation)
    return method


def _check_signature(kind: type, method: Method, implementation: Any) -> None:
    offered = method_of(method.name, implementation, kind.__name__, method.options)
    missing = [name for name in method.params.__struct_fields__ if name not in offered.params.__struct_fields__]
    if missing:
        raise TypeError(
            f"{kind.__name__}.{method.name} lacks the parameter {missing[0]!r} that {method.interface} declares"
        )
