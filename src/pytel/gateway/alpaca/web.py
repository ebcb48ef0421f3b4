"""The addresses of the Alpaca server: devices, management, and pages for people."""

from __future__ import annotations

import html
import logging
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse

from pytel.base.errors import PytelError, wrap
from pytel.gateway.alpaca.device import VERSION, Device
from pytel.gateway.alpaca.errors import AlpacaError, told
from pytel.gateway.alpaca.imagebytes import MEDIA_TYPE, Transaction
from pytel.gateway.alpaca.members import LARGEST_ID, Form, Member
from pytel.gateway.alpaca.picture import Picture
from pytel.gateway.alpaca.site import AlpacaSite, ClientKey
from pytel.gateway.body import bounded_body
from pytel.gateway.entrance import address_of
from pytel.gateway.refusal import Refusal

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

LARGEST_FORM = 16 << 10
_FORM = "application/x-www-form-urlencoded"
_DEVICE = re.compile(r"/api/v1/([a-z]+)/([0-9]{1,10})/([a-z]+)")
_SETUP = re.compile(r"/setup/v1/([a-z]+)/([0-9]{1,10})/setup")
Devices = Mapping[tuple[str, int], Device]

log = logging.getLogger("pytel.gateway")


class _Asked(NamedTuple):
    """A request as far as all have it."""

    client: int
    transaction: Transaction
    form: Form


class AlpacaWeb:
    """Answers requests."""

    def __init__(self, site: AlpacaSite, devices: Devices, unique_id: str) -> None:
        self._site, self._devices, self._unique_id = site, devices, unique_id
        self._last = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except Refusal as refusal:
            response = PlainTextResponse(refusal.message + "\n", refusal.status, refusal.headers)
        except Exception:
            log.exception("%s failed by a fault in the Alpaca server", scope["path"])
            response = PlainTextResponse("the server failed; its log says why\n", 500, {"Connection": "close"})
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = request.scope["path"]
        if (match := _DEVICE.fullmatch(path)) is not None:
            return await self._device(request, *match.groups())
        if (management := _MANAGEMENT.get(path)) is not None:
            asked = await self._asked(request, ("GET",))
            return self._json(asked, {"Value": management(self)})
        if path == "/setup" or (match := _SETUP.fullmatch(path)) is not None:
            await self._asked(request, ("GET",))
            return self._page(self._find(*match.groups()) if match is not None else None)
        raise Refusal(
            404 if not path.startswith("/api/") else 400, "there is nothing here; see /management/apiversions"
        )

    async def _asked(self, request: Request, verbs: tuple[str, ...]) -> _Asked:
        if request.method not in verbs:
            raise Refusal(405, f"send {' or '.join(verbs)}", {"Allow": ", ".join(verbs), "Connection": "close"})
        if request.method == "GET":
            form = Form(request.scope["query_string"].decode("latin-1"), any_case=True)
        else:
            form = Form((await _form_body(request)).decode("latin-1"), any_case=False)
        self._last = self._last % LARGEST_ID + 1
        return _Asked(form.number("ClientID"), Transaction(form.number("ClientTransactionID"), self._last), form)

    # devices

    def _find(self, kind: str, number: str) -> Device:
        device = self._devices.get((kind, int(number)))
        if device is None:
            raise Refusal(404, f"there is no {kind} {number} here; see /management/v1/configureddevices")
        return device

    async def _device(self, request: Request, kind: str, number: str, name: str) -> Response:
        device = self._find(kind, number)
        verbs = tuple(verb for verb in ("GET", "PUT") if (verb, name) in device.members)
        if not verbs:
            raise Refusal(400, f"{device.type_name} has no {name!r}")
        if request.method in ("GET", "PUT") and request.method not in verbs:
            raise Refusal(400, f"{name!r} of {device.type_name} takes {verbs[0]} only", {"Connection": "close"})
        asked = await self._asked(request, verbs)
        member = device.members[request.method, name]
        values = asked.form.values(member.parameters)
        client = self._site.client(ClientKey(address_of(request), asked.client))
        try:
            value = await device.answer(member, values, client)
        except AlpacaError as error:
            return self._json(asked, {}, error)
        except PytelError as error:
            return self._json(asked, {}, told(error))
        except Exception as error:
            log.exception("%s of %s failed by a fault in the Alpaca server", name, device.address)
            return self._json(asked, {}, told(wrap(error)))
        return self._success(request, asked, member, value)

    def _success(self, request: Request, asked: _Asked, member: Member, value: Any) -> Response:
        if isinstance(value, Picture):
            return self._picture(request, asked, value)
        if isinstance(value, float) and not math.isfinite(value):
            return self._json(asked, {}, AlpacaError(0x500, f"{member.name} is no number at the moment"))
        has_value = member.verb == "GET" or value is not None
        return self._json(asked, {"Value": value} if has_value else {})

    def _picture(self, request: Request, asked: _Asked, picture: Picture) -> Response:
        if not _wants_bytes(request):
            return StreamingResponse(picture.as_json(_envelope(asked)), media_type="application/json")
        headers = {"Content-Length": str(picture.size())}
        return StreamingResponse(picture.as_bytes(asked.transaction), headers=headers, media_type=MEDIA_TYPE)

    def _json(self, asked: _Asked, more: dict[str, Any], error: AlpacaError | None = None) -> Response:
        content = msgspec.json.encode({**more, **_envelope(asked, error)})
        return Response(content, media_type="application/json")

    # management

    def versions(self) -> list[int]:
        """Versions of the API."""
        return [1]

    def description(self) -> dict[str, str]:
        """What this server is."""
        location = self._site.info.location
        return {
            "ServerName": f"pytel: {self._site.info.name}",
            "Manufacturer": "pytel",
            "ManufacturerVersion": VERSION,
            "Location": f"{location.latitude:.5f} {location.longitude:.5f} {location.elevation:.0f} m",
        }

    def configured_devices(self) -> list[dict[str, Any]]:
        """The devices."""
        return [
            {
                "DeviceName": f"{device.address} ({self._site.info.name})",
                "DeviceType": device.type_name,
                "DeviceNumber": device.number,
                "UniqueID": f"{self._unique_id}-{device.kind}-{device.address}",
            }
            for device in self._devices.values()
        ]

    def _page(self, device: Device | None) -> Response:
        """What the standard wants for people; there is nothing to be set here."""
        if device is None:
            title = f"pytel {VERSION}: {self._site.info.name}"
            rows = "".join(
                f'<li><a href="/setup/v1/{one.kind}/{one.number}/setup">{html.escape(f"{one.type_name} {one.number}")}'
                f"</a>: {html.escape(str(one.address))}</li>"
                for one in self._devices.values()
            )
            text = f"<p>Devices of this Alpaca server, by pytel. They are set up in the site file.</p><ul>{rows}</ul>"
        else:
            title = f"{device.type_name} {device.number}: {device.address}"
            text = "<p>It is set up in the site file of pytel.</p>"
        escaped = html.escape(title)
        page = (
            f"<!doctype html><html lang=en><meta charset=utf-8><title>{escaped}</title><h1>{escaped}</h1>{text}</html>"
        )
        return HTMLResponse(page)


_MANAGEMENT = {
    "/management/apiversions": AlpacaWeb.versions,
    "/management/v1/description": AlpacaWeb.description,
    "/management/v1/configureddevices": AlpacaWeb.configured_devices,
}


def _envelope(asked: _Asked, error: AlpacaError | None = None) -> dict[str, Any]:
    return {
        "ClientTransactionID": asked.transaction.client,
        "ServerTransactionID": asked.transaction.server,
        "ErrorNumber": error.number if error is not None else 0,
        "ErrorMessage": error.message if error is not None else "",
    }


def _wants_bytes(request: Request) -> bool:
    return MEDIA_TYPE in request.headers.get("accept", "").lower()


async def _form_body(request: Request) -> bytes:
    kind = request.headers.get("content-type", _FORM).partition(";")[0].strip().lower()
    body = await bounded_body(request, LARGEST_FORM)
    if body and kind != _FORM:
        raise Refusal(400, f"send the parameters in the body, with the header 'Content-Type: {_FORM}'")
    return body
