from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytel.base.errors import Busy, InternalError, InvalidRequest, PytelError
from pytel.bus import envelope, jsonrpc
from pytel.bus.contract import Call, Caller, CallOptions, Origin, Role

CALLER = Caller("camera", Role.MODULE)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def through_a_wire(message: Any) -> Any:
    return jsonrpc.parse(envelope.encode(message))


@given(
    st.dictionaries(st.text(), VALUES) | st.lists(VALUES),
    st.floats(0, 1e11),
    st.none() | st.text(),
    st.none() | st.builds(Origin, st.text(), st.sampled_from(Role)),
)
def test_a_call_arrives_as_it_was_sent(params: Any, expires: float, identity: Any, origin: Origin | None) -> None:
    options = CallOptions(origin=origin, call_id=identity, boot=identity)
    try:
        request = envelope.request_of_call("expose", params, options, expires=expires, identity=1)
        received = through_a_wire(request)
    except InternalError as error:
        assert "surrogates" in error.message  # noqa: PT017 - text that is no text
        return
    assert envelope.call_of_request(received, CALLER) == Call(
        method="expose",
        params=params,
        caller=CALLER,
        origin=origin or Origin("camera", Role.MODULE),
        expires=expires,
        call_id=identity,
        boot=identity,
    )


def test_a_plain_request_of_anybody_is_a_call_in_his_name() -> None:
    call = envelope.call_of_request({"jsonrpc": "2.0", "id": 1, "method": "a"}, Caller("alice", Role.VIEWER))
    assert call == Call(method="a", params={}, caller=Caller("alice", Role.VIEWER), origin=Origin("alice", Role.VIEWER))


@pytest.mark.parametrize(
    "meta",
    [
        [], 1, "x", {"expires": "soon"}, {"expires": math.inf}, {"call_id": 7}, {"boot": []},
        {"origin": "admin"}, {"origin": {"name": "x", "role": "god"}},
    ],
)  # fmt: skip
def test_a_wrong_member_is_refused(meta: Any) -> None:
    with pytest.raises(InvalidRequest):
        envelope.call_of_request({"jsonrpc": "2.0", "id": 1, "method": "a", "pytel": meta}, CALLER)


@given(VALUES)
def test_no_request_and_no_answer_does_harm(message: Any) -> None:
    with pytest.raises(InvalidRequest):
        envelope.call_of_request(message, CALLER)
    with pytest.raises(InternalError):
        envelope.value_of(message)


@pytest.mark.parametrize("value", [math.nan, -math.inf, {1: 2}, b"", {1}, object()])
def test_what_json_cannot_hold_is_not_sent(value: Any) -> None:
    with pytest.raises(InternalError):
        envelope.request_of_call("a", [value], CallOptions(), expires=0.0, identity=1)
    with pytest.raises(InternalError):
        envelope.answer(1, value)
    told = envelope.fault(1, PytelError("odd", value=value))
    assert json.loads(envelope.encode(told))["error"]["message"] == "odd"


def test_results_and_errors_come_back() -> None:
    assert envelope.value_of(through_a_wire(envelope.answer(1, {"a": [1, None]}))) == {"a": [1, None]}
    with pytest.raises(Busy, match="it is") as caught:
        envelope.value_of(through_a_wire(envelope.fault(1, Busy("it is", by="alice"))))
    assert caught.value.data == {"by": "alice"}
    with pytest.raises(InternalError, match="ZeroDivisionError"):
        envelope.value_of(through_a_wire(envelope.fault(1, ZeroDivisionError("a bug"))))


@pytest.mark.parametrize(
    "error",
    [None, 3, {}, {"code": "x", "message": "y"}, {"code": 1}, {"code": 7, "message": "m", "data": [1]},
     {"code": 7, "message": "m", "data": {"message": 1, "name": []}}],
)  # fmt: skip
def test_an_odd_error_is_an_error(error: Any) -> None:
    with pytest.raises(PytelError):
        envelope.value_of({"error": error})


@pytest.mark.parametrize("value", ["\ud800", {"a": [object()]}, {1: object()}])
def test_an_answer_that_cannot_travel_becomes_an_error_and_harms_no_other(value: Any) -> None:
    answers = [jsonrpc.result(1, "fine"), jsonrpc.result("two", value)]
    fine, wrong = json.loads(envelope.encoded_answer(answers))
    assert fine == answers[0]
    assert (wrong["id"], wrong["error"]["data"]["name"]) == ("two", "InternalError")


def test_the_member_is_small() -> None:
    request = envelope.request_of_call("park", [], CallOptions(), expires=1e9, identity=1)
    assert request["pytel"] == {"expires": 1e9}
    assert msgspec.json.decode(envelope.encode(request)) == request
