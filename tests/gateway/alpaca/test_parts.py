"""The parts by themselves: parameters, numbers of errors, networks, heads of images, operations."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import math
import struct
from urllib.parse import urlencode

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytel.base import errors as ours
from pytel.base.errors import Busy, Cancelled, DeviceError, PytelError, Timeout
from pytel.gateway.alpaca.errors import told
from pytel.gateway.alpaca.guard import is_within
from pytel.gateway.alpaca.imagebytes import Transaction, head_of
from pytel.gateway.alpaca.members import Form, Kind
from pytel.gateway.alpaca.operation import Operation
from pytel.gateway.refusal import Refusal

KINDS: dict[str, Kind] = {"Flag": bool, "Whole": int, "Number": float, "Text": str}


def all_errors(kind: type[PytelError] = PytelError) -> list[type[PytelError]]:
    return [kind, *(deeper for below in kind.__subclasses__() for deeper in all_errors(below))]


def test_every_error_of_ours_has_a_number_of_theirs() -> None:
    assert len(all_errors()) > 25
    for kind in all_errors():
        error = kind.__new__(kind)
        PytelError.__init__(error, "a sentence")
        assert 0x400 <= told(error).number <= 0xFFF
        assert told(error).message == f"{error.name}: a sentence"
    assert told(ours.DeviceTimeout("x")).number == 0x502
    assert told(DeviceError("x")).number == 0x501


@given(st.dictionaries(st.sampled_from(list(KINDS)), st.text(max_size=30)), st.booleans())
def test_parameters_are_read_or_refused(values: dict[str, str], any_case: bool) -> None:
    form = Form(urlencode(values), any_case=any_case)
    for name, kind in KINDS.items():
        try:
            (value,) = form.values({name: kind})
        except Refusal:
            continue
        assert type(value) is kind
        if isinstance(value, float):
            assert math.isfinite(value)
        if type(value) is int:
            assert -(1 << 31) <= value < 1 << 31


@given(st.text(max_size=60))
def test_no_query_does_harm(text: str) -> None:
    with contextlib.suppress(Refusal):
        assert 0 <= Form(text, any_case=True).number("ClientID") < 1 << 32


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("True", bool, True),
        ("false", bool, False),
        ("TRUE", bool, True),
        ("-7", int, -7),
        ("+2147483647", int, 2147483647),
        ("1e3", float, 1000.0),
        (".5", float, 0.5),
        ("-12.", float, -12.0),
        ("", str, ""),
    ],
)
def test_what_can_be_read(text: str, kind: Kind, value: object) -> None:
    assert Form(urlencode({"X": text}), any_case=False).values({"X": kind}) == [value]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("1", bool),
        ("yes", bool),
        ("2147483648", int),
        ("1.0", int),
        ("0x10", int),
        ("１", int),
        ("1,5", float),
        ("nan", float),
        ("Infinity", float),
        ("1e999", float),
        ("1_000", float),
        ("x" * 1001, str),
    ],
)
def test_what_cannot_be_read(text: str, kind: Kind) -> None:
    with pytest.raises(Refusal) as refused:
        Form(urlencode({"X": text}), any_case=False).values({"X": kind})
    assert refused.value.status == 400


def test_networks() -> None:
    networks = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("fe80::/10")]
    assert is_within("127.0.0.1", networks)
    assert is_within("::ffff:127.0.0.1", networks)
    assert is_within("fe80::1%eth0", networks)
    assert not is_within("::1", networks)
    assert not is_within("10.0.0.1", networks)
    assert not is_within("", networks)
    assert not is_within("localhost", networks)


def test_the_head_of_an_image() -> None:
    columns = np.zeros((3, 2), np.uint16)
    head = struct.unpack("<iiIIiiiiiii", head_of(columns, Transaction(7, 4294967295)))
    assert head == (1, 0, 7, 4294967295, 44, 2, 8, 2, 3, 2, 0)


async def after(seconds: float, error: PytelError | None = None) -> int:
    await asyncio.sleep(seconds)
    if error is not None:
        raise error
    return 1


async def test_an_operation_that_fails_says_so_until_the_next() -> None:
    operation: Operation[int] = Operation()
    await operation.begin(after(0.01, DeviceError("it broke")), patience=0.0)
    assert operation.is_running
    with pytest.raises(DeviceError):
        await operation.finished(5.0)
    for _ in range(2):
        with pytest.raises(DeviceError):
            operation.check()
    await operation.begin(after(0.0))
    operation.check()
    assert operation.result == 1


async def test_what_is_refused_at_once_ends_nothing_else() -> None:
    operation: Operation[int] = Operation()
    await operation.begin(after(60.0), patience=0.0)
    with pytest.raises(Busy):
        await operation.begin(after(0.0, Busy("it moves")))
    assert operation.is_running
    operation.check()
    with pytest.raises(Timeout):
        await operation.finished(0.01)
    await operation.close()
    assert not operation.is_running


async def test_what_is_stopped_on_purpose_is_no_error() -> None:
    operation: Operation[int] = Operation()
    await operation.begin(after(0.02, Cancelled("stopped")), patience=0.0)
    operation.excuse()
    await operation.finished(5.0)
    await operation.begin(after(0.02, DeviceError("it broke while it stopped")), patience=0.0)
    operation.excuse()
    with pytest.raises(DeviceError):
        await operation.finished(5.0)
