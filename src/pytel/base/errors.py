"""Errors with a stable name that cross every bus: what went wrong, as a sentence that says what to do."""

from __future__ import annotations

from typing import Any, ClassVar, TypedDict


class WireError(TypedDict):
    """The form of an error on the wire (JSON-RPC 2.0, section 5.1, plus the name)."""

    code: int
    message: str
    data: dict[str, Any]


class PytelError(Exception):
    """An error that crosses the bus with its name, a sentence and data.

    Every subclass has a stable name (its class name). One that sets no `code` of its own shares its parent's: a
    receiver that does not know the name then raises the parent.
    """

    code: ClassVar[int] = -32000
    _by_name: ClassVar[dict[str, type[PytelError]]] = {}
    _by_code: ClassVar[dict[int, type[PytelError]]] = {}

    def __init__(self, message: str = "", **data: Any) -> None:
        super().__init__(message or type(self).__name__)
        self.message = message or type(self).__name__
        self.data = data

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        PytelError._by_name.setdefault(cls.__name__, cls)
        if "code" in cls.__dict__:
            PytelError._by_code.setdefault(cls.code, cls)

    @property
    def name(self) -> str:
        """The stable name on the wire."""
        return type(self).__name__

    def to_wire(self) -> WireError:
        """Render as the error object of JSON-RPC 2.0."""
        return {"code": self.code, "message": self.message, "data": {**self.data, "name": self.name}}

    @staticmethod
    def from_wire(error: WireError) -> PytelError:
        """Restore the error a peer sent; an unknown name becomes the class of its code, else `RemoteError`."""
        data = dict(error.get("data") or {})
        name = str(data.pop("name", ""))
        kind = PytelError._by_name.get(name) or PytelError._by_code.get(error["code"], RemoteError)
        restored = kind.__new__(kind)
        PytelError.__init__(restored, str(error["message"]))
        restored.data = data  # not as keywords: a foreign peer may call one of them "message"
        if kind.__name__ != name and name:
            restored.data["remote_name"] = name
        return restored


def error_class(name: str) -> type[PytelError] | None:
    """The class of a stable name, None for a name that this process does not know."""
    return PytelError._by_name.get(name)  # noqa: SLF001 - the registry of this very file


def wrap(error: BaseException) -> PytelError:
    """Give any exception a name for the wire: a programming error becomes `InternalError`."""
    if isinstance(error, PytelError):
        return error
    if isinstance(error, TimeoutError):
        return Timeout(str(error) or "The deadline passed before the answer came.")
    return InternalError(f"{type(error).__name__}: {error}")


class ParseError(PytelError):
    """What came is not JSON (or not XML) at all."""

    code = -32700


class InvalidRequest(PytelError):
    """It is JSON, but no request."""

    code = -32600


class MethodNotFound(PytelError):
    """The module has no such method."""

    code = -32601


class InvalidParams(PytelError):
    """A parameter is missing, unknown, of the wrong type or out of range; the message names it."""

    code = -32602


class InternalError(PytelError):
    """A fault in the module's own code."""

    code = -32603


class RemoteError(PytelError):
    """An error of a kind that this process does not know; `data["remote_name"]` tells."""

    code = -32001


class ModuleNotFound(PytelError):
    """No module is there that could answer."""

    code = -32002


class AmbiguousModule(PytelError):
    """More than one module could answer and the site file does not decide; both are named."""

    code = -32003


class NotReady(PytelError):
    """The module is starting, closing or in error."""

    code = -32004


class Busy(PytelError):
    """The device is occupied; `data` has `by` (origin), `method` and `until` (UTC)."""

    code = -32005


class NotAllowed(PytelError):
    """The caller lacks the role that the method asks for."""

    code = -32006


class ControlHeld(PytelError):
    """Somebody else holds the control lease; `data` has `holder` and `until`."""

    code = -32007


class Unsafe(PytelError):
    """Safety is bad, stale or unknown; `data["reasons"]` lists why."""

    code = -32008


class LimitExceeded(PytelError):
    """Beyond a limit of the device or the site (horizon, Sun, travel, size)."""

    code = -32009


class DeviceError(PytelError):
    """The device reports a fault or did something else than asked; `data["device"]` names it."""

    code = -32010


class DeviceTimeout(DeviceError):
    """The device did not finish in the calculated time; `data["device"]` names it."""

    code = -32011


class Cancelled(PytelError):
    """The job was cancelled."""

    code = -32012


class JobLost(PytelError):
    """The module restarted and no longer knows the job."""

    code = -32013


class Timeout(PytelError):
    """The deadline passed."""

    code = -32014


class ConnectionLost(PytelError):
    """The link broke while the call was under way, or is down."""

    code = -32015


class Expired(PytelError):
    """The call arrived after its expiry and was not executed."""

    code = -32016


class StorageFull(PytelError):
    """No room left; what is stored is untouched."""

    code = -32017


class ChecksumError(PytelError):
    """The bytes are not those that were announced."""

    code = -32018


class NotFound(PytelError):
    """No image, task or job has this id."""

    code = -32019


class ConfigError(PytelError):
    """The site file or a module's configuration is wrong; the message names file, line and key."""

    code = -32020


class Conflict(PytelError):
    """It contradicts what is already there (a duplicate name, another content under one id)."""

    code = -32021
