"""Every member of the standard's interfaces, by ASCOM's own description of them (tests/data/alpaca)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML

from gateway.alpaca.kit import DEVICES, AlpacaSite, Answer
from pytel.gateway.alpaca.server import KINDS

STANDARD: dict[str, Any] = YAML(typ="safe", pure=True).load(
    (Path(__file__).parents[2] / "data" / "alpaca" / "device_api.yaml").read_text(encoding="utf-8")
)
BEYOND = {"switch": {("PUT", "cancelasync")}}
"""Members of ISwitchV3 that the description lacks."""
VERSIONS = {
    "camera": 4,
    "covercalibrator": 2,
    "dome": 3,
    "filterwheel": 3,
    "focuser": 4,
    "observingconditions": 2,
    "rotator": 4,
    "safetymonitor": 3,
    "switch": 3,
    "telescope": 4,
}
TYPES = {"bool": bool, "int": int, "double": float, "string": str}
NOT_YET = {
    ("telescope", "targetrightascension"): 0x402,
    ("telescope", "targetdeclination"): 0x402,
    ("camera", "imagearray"): 0x40B,
    ("camera", "imagearrayvariant"): 0x40B,
    ("camera", "lastexposureduration"): 0x40B,
    ("camera", "lastexposurestarttime"): 0x40B,
    ("camera", "setccdtemperature"): 0x402,
}
"""What cannot be told before something has been done."""
ABSENT_HERE = {("dome", "azimuth"), ("telescope", "destinationsideofpier"), ("switch", "statechangecomplete")}
"""What a roll-off roof, our telescopes and synchronous switches have not."""
GOOD: dict[str, Any] = {"bool": "True", "int": "0", "double": "0.0", "string": "Temperature"}


class Operation(NamedTuple):
    device: str
    verb: str
    member: str
    parameters: Mapping[str, str]
    value: str | None

    @property
    def path(self) -> str:
        return f"{self.device}/0/{self.member}"


def operations(device: str) -> Iterator[Operation]:
    for part in ("common", device):
        for member, told in STANDARD[part]["get"].items():
            value, parameters = told if isinstance(told, list) else (told, {})
            yield Operation(device, "GET", member, parameters, value)
        for member, parameters in STANDARD[part]["put"].items():
            yield Operation(device, "PUT", member, parameters, None)


def is_of(value: Any, kind: str) -> bool:
    if kind.endswith("[]"):
        return isinstance(value, list) and all(is_of(one, kind[:-2]) for one in value)
    if kind == "double":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "int":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in TYPES:
        return isinstance(value, TYPES[kind])
    if kind == "devicestate":
        return isinstance(value, list) and all(set(one) == {"Name", "Value"} for one in value)
    assert kind == "axisrates"
    return isinstance(value, list) and all(set(one) == {"Maximum", "Minimum"} for one in value)


@pytest.mark.parametrize("device", sorted(VERSIONS))
def test_the_members_are_those_of_the_standard(device: str) -> None:
    names = {"bool": bool, "int": int, "double": float, "string": str}
    standard = {
        (one.verb, one.member): {name: names[kind] for name, kind in one.parameters.items()}
        for one in operations(device)
    }
    ours = {key: dict(member.parameters) for key, member in KINDS[device].members.items()}
    assert {key: value for key, value in ours.items() if key not in BEYOND.get(device, set())} == standard
    assert KINDS[device].interface_version == VERSIONS[device]


class Counting:
    """Checks what all envelopes have in common."""

    def __init__(self) -> None:
        self.last = 0

    def check(self, answer: Answer, transaction: int) -> dict[str, Any]:
        envelope = answer.json
        assert answer.kind == "application/json"
        assert envelope["ClientTransactionID"] == transaction
        assert self.last < envelope["ServerTransactionID"] < 1 << 32
        self.last = envelope["ServerTransactionID"]
        number, message = envelope["ErrorNumber"], envelope["ErrorMessage"]
        assert (number == 0 and message == "") or (0x400 <= number <= 0xFFF and message)
        return envelope


async def test_every_property(site: AlpacaSite) -> None:
    await site.connect()
    counting = Counting()
    seen = 0
    for device in DEVICES:
        missing = {name.lower() for name in KINDS[device].missing}
        for one in operations(device):
            if one.verb != "GET":
                continue
            seen += 1
            # The names of parameters in a query have no case.
            query: dict[str, Any] = {name.lower(): GOOD[kind] for name, kind in one.parameters.items()}
            answer = await site.ask(
                "GET", f"/api/v1/{one.path}", params={"CLIENTID": 1, "clienttransactionid": 77 + seen, **query}
            )
            envelope = counting.check(answer, 77 + seen)
            number = envelope["ErrorNumber"]
            if number == 0:
                assert one.value is not None
                assert is_of(envelope["Value"], one.value), (one, envelope)
            elif number == 0x400:
                assert one.member in missing or (device, one.member) in ABSENT_HERE, (one, envelope)
            else:
                assert number == NOT_YET.get((device, one.member)), (one, envelope)
    assert seen == 262


async def test_what_is_missing_says_so(site: AlpacaSite) -> None:
    await site.connect()
    for device in DEVICES:
        for name, parameters in KINDS[device].missing.items():
            if parameters is not None:
                standard = STANDARD[device]["put"][name.lower()]
                form = {key: GOOD[kind] for key, kind in standard.items()}
                assert (await site.put(f"{device}/0/{name.lower()}", **form)).error == 0x400, (device, name)
        for command in ("commandblind", "commandbool", "commandstring"):
            assert (await site.put(f"{device}/0/{command}", Command="x", Raw="true")).error == 0x400


async def test_bad_requests_are_told_so_in_plain_text(site: AlpacaSite) -> None:
    def assert_refused(answer: Answer, what: Any) -> None:
        assert (answer.status, answer.kind.partition(";")[0]) == (400, "text/plain"), (what, answer)
        assert answer.body.strip()

    for device in DEVICES:
        for one in operations(device):
            ask: Callable[..., Any] = site.get if one.verb == "GET" else site.put
            good = {name: GOOD[kind] for name, kind in one.parameters.items()}
            for name, kind in one.parameters.items():
                others = {key: value for key, value in good.items() if key != name}
                assert_refused(await ask(one.path, **others), ("lacks", one, name))
                if kind != "string":
                    assert_refused(await ask(one.path, **others, **{name: "asdf"}), ("cannot be read", one, name))
                    assert_refused(await ask(one.path, **others, **{name: ""}), ("empty", one, name))
                if one.verb == "PUT":  # where the case of names counts
                    assert_refused(await ask(one.path, **others, **{name.upper() + "X": "0"}), ("name", one, name))
                    assert_refused(await ask(one.path, **others, **{name.lower(): good[name]}), ("case", one, name))
        assert_refused(await site.get(f"{device}/0/nothing"), device)
        assert_refused(await site.put(f"{device}/0/name"), device)
        assert_refused(await site.get(f"{device}/0/connect"), device)
        assert_refused(await site.get(f"{device.capitalize()}/0/name"), device)
        assert_refused(await site.get(f"{device}/0/Name"), device)
        assert_refused(await site.get(f"{device}/-1/name"), device)


async def test_nothing_is_told_to_who_has_not_connected(site: AlpacaSite) -> None:
    for device in DEVICES:
        for one in operations(device):
            if one.member in STANDARD["common"]["get"] and one.member != "devicestate":
                continue
            if one.member in ("connect", "connected", "disconnect"):
                continue
            ask: Callable[..., Any] = site.get if one.verb == "GET" else site.put
            answer = await ask(one.path, **{name: GOOD[kind] for name, kind in one.parameters.items()})
            if one.member == "issafe":
                assert answer.value is False
            else:
                assert answer.error == 0x407, (one, answer)


async def test_transaction_ids(site: AlpacaSite) -> None:
    path = "/api/v1/telescope/0/name"
    for given, echoed in (("0", 0), ("1", 1), ("4294967295", 4294967295), ("", 0)):
        answer = await site.ask("GET", path, params={"ClientTransactionID": given})
        assert answer.json["ClientTransactionID"] == echoed
    for bad in ("-1", "4294967296", "x", "1.5", "99999999999999999999"):
        assert (await site.ask("GET", path, params={"ClientTransactionID": bad})).status == 400
        assert (await site.ask("GET", path, params={"ClientID": bad})).status == 400
    twice = await site.ask("GET", path + "?ClientTransactionID=1&clienttransactionid=2")
    assert twice.status == 400


async def test_what_there_is_not(site: AlpacaSite) -> None:
    for path, status in (
        ("/api/v1/telescope/1/name", 404),
        ("/api/v1/telescope/4294967296/name", 404),
        ("/api/v1/toaster/0/name", 404),
        ("/api/v2/telescope/0/name", 400),
        ("/api/v1/telescope/0", 400),
        ("/management/v1/nothing", 404),
        ("/setup/v1/telescope/9/setup", 404),
        ("/", 404),
    ):
        answer = await site.ask("GET", path)
        assert (answer.status, answer.kind.partition(";")[0]) == (status, "text/plain"), path
    assert (await site.ask("DELETE", "/api/v1/telescope/0/name")).status == 405
    assert (await site.ask("POST", "/management/apiversions")).status == 405


async def test_management(site: AlpacaSite) -> None:
    for path in STANDARD["management"]:
        answer = await site.ask("GET", path, params={"clienttransactionid": "5"})
        assert answer.json["ClientTransactionID"] == 5
        assert answer.json["Value"]
    description = (await site.ask("GET", "/management/v1/description")).value
    assert set(description) == {"ServerName", "Manufacturer", "ManufacturerVersion", "Location"}
    devices = (await site.ask("GET", "/management/v1/configureddevices")).value
    for device in devices:
        assert set(device) == {"DeviceName", "DeviceType", "DeviceNumber", "UniqueID"}
        page = await site.ask("GET", f"/setup/v1/{device['DeviceType'].lower()}/{device['DeviceNumber']}/setup")
        assert (page.status, page.kind) == (200, "text/html; charset=utf-8")
    assert (await site.ask("GET", "/setup")).status == 200
    again = (await site.ask("GET", "/management/v1/configureddevices")).value
    assert json.dumps(again) == json.dumps(devices)
