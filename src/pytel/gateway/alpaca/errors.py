"""The standard's error numbers (ASCOM Alpaca API reference, section 2.8), and ours among them."""

from __future__ import annotations

from pytel.base.errors import (
    Busy,
    Cancelled,
    ConnectionLost,
    ControlHeld,
    DeviceError,
    DeviceTimeout,
    Expired,
    InvalidParams,
    JobLost,
    LimitExceeded,
    MethodNotFound,
    ModuleNotFound,
    NotAllowed,
    NotFound,
    NotReady,
    PytelError,
    StorageFull,
    Timeout,
    Unsafe,
)

NOT_IMPLEMENTED = 0x400
INVALID_VALUE = 0x401
VALUE_NOT_SET = 0x402
NOT_CONNECTED = 0x407
INVALID_WHILE_PARKED = 0x408
INVALID_OPERATION = 0x40B
ACTION_NOT_IMPLEMENTED = 0x40C
OPERATION_CANCELLED = 0x40E
DRIVER_ERROR = 0x500
"""Where the numbers begin that a driver chooses itself."""

_NUMBERS: dict[type[PytelError], int] = {
    MethodNotFound: NOT_IMPLEMENTED,
    InvalidParams: INVALID_VALUE,
    LimitExceeded: INVALID_VALUE,
    ModuleNotFound: NOT_CONNECTED,
    ConnectionLost: NOT_CONNECTED,
    NotReady: INVALID_OPERATION,
    Busy: INVALID_OPERATION,
    NotAllowed: INVALID_OPERATION,
    ControlHeld: INVALID_OPERATION,
    Unsafe: INVALID_OPERATION,
    Expired: INVALID_OPERATION,
    NotFound: INVALID_OPERATION,
    Cancelled: OPERATION_CANCELLED,
    DeviceError: 0x501,
    DeviceTimeout: 0x502,
    Timeout: 0x503,
    StorageFull: 0x504,
    JobLost: 0x505,
    PytelError: DRIVER_ERROR,
}


class AlpacaError(Exception):
    """An error that a client is told in the envelope, with HTTP status 200."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number
        self.message = message


def not_implemented(what: str) -> AlpacaError:
    """The device has no such property or method."""
    return AlpacaError(NOT_IMPLEMENTED, f"{what} is not implemented by this device")


def invalid_value(message: str) -> AlpacaError:
    """A value is out of range."""
    return AlpacaError(INVALID_VALUE, message)


def invalid_operation(message: str) -> AlpacaError:
    """This cannot be done now."""
    return AlpacaError(INVALID_OPERATION, message)


def told(error: PytelError) -> AlpacaError:
    """An error of ours in the numbers of the standard: that of its class, or of the nearest above it."""
    number = next(_NUMBERS[kind] for kind in type(error).__mro__ if kind in _NUMBERS)
    return AlpacaError(number, f"{error.name}: {error.message}")


def in_range(value: float, low: float, high: float, what: str) -> float:
    """Hand a value back that lies between two bounds. Raises `AlpacaError`: invalid value."""
    if not low <= value <= high:
        raise invalid_value(f"{what} is {low:g} to {high:g}, not {value:g}")
    return value
