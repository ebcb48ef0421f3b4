from __future__ import annotations

import pytest

from pytel.base import errors
from pytel.base.errors import Busy, DeviceTimeout, InternalError, PytelError, RemoteError, Timeout, WireError, wrap


def subclasses(kind: type[PytelError]) -> list[type[PytelError]]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in subclasses(child))]


def test_every_code_is_used_once() -> None:
    own = [kind.code for kind in subclasses(PytelError) if "code" in vars(kind) and kind.__module__ == errors.__name__]
    assert len(own) == len(set(own))


@pytest.mark.parametrize("kind", [Busy, DeviceTimeout, Timeout])
def test_an_error_survives_the_wire(kind: type[PytelError]) -> None:
    restored = PytelError.from_wire(kind("the camera is slow", device="camera", seconds=3).to_wire())
    assert type(restored) is kind
    assert (restored.message, restored.data) == ("the camera is slow", {"device": "camera", "seconds": 3})


def test_an_unknown_name_becomes_its_parent_and_an_unknown_code_remote() -> None:
    near = PytelError.from_wire(WireError(code=-32010, message="jammed", data={"name": "ShutterJammed"}))
    assert type(near) is errors.DeviceError
    assert near.data["remote_name"] == "ShutterJammed"
    assert type(PytelError.from_wire(WireError(code=7, message="?", data={}))) is RemoteError


def test_any_exception_gets_a_name() -> None:
    assert isinstance(wrap(TimeoutError()), Timeout)
    assert "ZeroDivisionError" in wrap(ZeroDivisionError("oops")).message
    assert type(wrap(ValueError("x"))) is InternalError


def test_data_cannot_give_an_error_another_name() -> None:
    assert type(PytelError.from_wire(Busy("wait", name="NotAllowed").to_wire())) is Busy


def test_data_of_a_foreign_error_may_have_any_names() -> None:
    data = {"message": 1, "self": 2, "cls": 3}
    restored = PytelError.from_wire({"code": -32005, "message": "busy", "data": data})
    assert (restored.message, restored.data) == ("busy", data)
