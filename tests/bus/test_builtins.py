from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytel.base.errors import InternalError, InvalidParams
from pytel.bus.address import Address
from pytel.bus.builtins import copied

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,10}", fullmatch=True)


@given(JSON)
def test_what_json_holds_passes_and_is_copied(value: object) -> None:
    copy = copied(value)
    assert copy == value
    if isinstance(value, list | dict) and value:
        assert copy is not value


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), b"bytes", datetime(2026, 1, 1), {1: 2}, [object()], {"a": {"b": {3}}}],  # noqa: DTZ001
)
def test_nothing_else_passes(value: object) -> None:
    with pytest.raises(InternalError):
        copied(value)


def test_the_error_tells_the_path() -> None:
    with pytest.raises(InternalError, match=r"\$\.stars\[1\]\.mag"):
        copied({"stars": [{"mag": 1.0}, {"mag": float("nan")}]})


@given(NAMES, st.none() | NAMES, st.none() | NAMES)
def test_addresses_round_trip(module: str, group: str | None, site: str | None) -> None:
    address = Address(module, group, site)
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize("text", ["", "Camera", "a.b.c", "camera@", ".camera", "cam era", "../x", "camera@a@b"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidParams, match="is no address"):
        Address.parse(text)
