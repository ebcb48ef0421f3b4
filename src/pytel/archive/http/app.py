"""The application: routes, who may use them, and errors as JSON with their stable names."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pytel.archive.files import ImageDirectory, StoredImage
from pytel.archive.http import download, rendering
from pytel.archive.http.access import Authenticator, Identity
from pytel.archive.http.asking import CODINGS, make_pixels, make_preview, wanted_cutout, wanted_preview
from pytel.archive.http.fields import UnsatisfiableRange, choose_coding, matches_any
from pytel.archive.http.operations import OPERATIONS, REFUSAL
from pytel.archive.http.rendering import Rendered, Renderer
from pytel.archive.http.upload import TooLarge, UploadLimits, take_upload
from pytel.base import ids
from pytel.base.errors import (
    Busy,
    ChecksumError,
    Conflict,
    ConnectionLost,
    InternalError,
    InvalidParams,
    LimitExceeded,
    NotAllowed,
    NotFound,
    NotReady,
    PytelError,
    StorageFull,
    Timeout,
)
from pytel.base.threads import in_thread
from pytel.bus.attempts import TooManyAttempts
from pytel.bus.contract import Role
from pytel.bus.http.credentials import Unauthenticated
from pytel.bus.http.openapi import PATH, Described
from pytel.bus.http.refusals import refusal_body
from pytel.imaging.fits import ImageError
from pytel.services.image_operations import IMAGE_PARAMETERS

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import Message, Receive

_UPLOADS_AT_A_TIME = 8
_DRAINED = 64 * 2**20
_DRAIN_TIME = 5.0
_STATUS: tuple[tuple[type[PytelError], int], ...] = (
    (UnsatisfiableRange, 416),
    (TooLarge, 413),
    (LimitExceeded, 400),
    (InvalidParams, 400),
    (NotFound, 404),
    (Timeout, 408),
    (Conflict, 409),
    (ChecksumError, 422),
    (ImageError, 422),
    (TooManyAttempts, 429),
    (Busy, 503),
    (NotReady, 503),
    (ConnectionLost, 503),
    (StorageFull, 507),
)
_Endpoint = Callable[["StoreApp", Request, Identity], Awaitable[Response]]


class Rules(NamedTuple):
    """Who is let in, and how large and slow uploads may be."""

    authenticators: Sequence[Authenticator]
    uploads: UploadLimits


def _for(role: Role) -> Callable[[_Endpoint], Callable[[StoreApp, Request], Awaitable[Response]]]:
    """Serve those who have a role, and turn what goes wrong into an answer."""

    def decorate(endpoint: _Endpoint) -> Callable[[StoreApp, Request], Awaitable[Response]]:
        @wraps(endpoint)
        async def serve(app: StoreApp, request: Request) -> Response:
            request = Request(request.scope, _noting_the_end(request))
            try:
                return await endpoint(app, request, await app.identify(request, role))
            except ClientDisconnect:
                return Response(status_code=400)
            except PytelError as error:
                return await app.refuse(request, error)
            except Exception as error:
                app.log.error("%s %s failed by a fault in the store", request.method, request.url.path, exc_info=error)
                return await app.refuse(request, InternalError("the store failed; its log says why"))

        return serve

    return decorate


class StoreApp:
    """What the store serves. `changed` is called whenever an image has come."""

    def __init__(
        self, files: ImageDirectory, rules: Rules, log: logging.Logger, changed: Callable[[], None] = lambda: None
    ) -> None:
        self._files, self._rules, self._changed = files, rules, changed
        self.log = log
        self._renderer = Renderer()
        self._uploading = 0
        self.asgi = Starlette(
            routes=[
                Route("/images", self.post, methods=["POST"]),
                Route("/images/{id}", self.image, methods=["GET", "PUT"]),
                Route("/images/{id}/header", self.header, methods=["GET"]),
                Route("/images/{id}/preview.{picture}", self.preview, methods=["GET"]),
                Route("/images/{id}/pixels", self.pixels, methods=["GET"]),
                Route(PATH, self.description, methods=["GET"]),
            ],
            exception_handlers={HTTPException: _no_such_route},
        )
        self._described = Described(
            "An image store of pytel", self.asgi.routes, OPERATIONS, failure=REFUSAL, parameters=IMAGE_PARAMETERS
        )

    async def identify(self, request: Request, role: Role) -> Identity:
        """Tell who asks. Raises `Unauthenticated`, and `NotAllowed` for one whose role is too small."""
        for authenticator in self._rules.authenticators:
            if (identity := await authenticator.authenticate(request)) is not None:
                if not identity.role.includes(role):
                    raise NotAllowed(f"this needs the role {role.value}; {identity.name} has {identity.role.value}")
                return identity
        raise Unauthenticated("log in with a token or a password that the store knows")

    @_for(Role.MODULE)
    async def post(self, request: Request, who: Identity) -> Response:
        """Store an image."""
        return await self._take(request, who, None)

    async def image(self, request: Request) -> Response:
        """Store an image under an id, or give it."""
        return await (self.put(request) if request.method == "PUT" else self.get(request))

    @_for(Role.MODULE)
    async def put(self, request: Request, who: Identity) -> Response:
        """Store an image under an id."""
        return await self._take(request, who, _id(request))

    async def _take(self, request: Request, who: Identity, image: str | None) -> Response:
        if self._uploading >= _UPLOADS_AT_A_TIME:
            raise Busy("too many images are sent at once: send it again in a moment")
        self._uploading += 1
        try:
            stored, is_new = await take_upload(request, self._files, self._rules.uploads, who, image)
        finally:
            self._uploading -= 1
        if is_new:
            self._changed()
        content = {"id": stored.id, "sha256": stored.sha256, "size": stored.size}
        # A repeated POST is told what the first one would have been told.
        status = 201 if is_new or image is None else 200
        return JSONResponse(content, status, headers={"location": f"/images/{stored.id}"})

    @_for(Role.VIEWER)
    async def get(self, request: Request, who: Identity) -> Response:
        """The image's bytes."""
        return await download.answer(await self._stored(request), request.headers)

    @_for(Role.VIEWER)
    async def header(self, request: Request, who: Identity) -> Response:
        """The image's header."""
        return await self._rendered(request, "header", rendering.header)

    @_for(Role.VIEWER)
    async def preview(self, request: Request, who: Identity) -> Response:
        """A small picture of the image."""
        wanted = wanted_preview(request.path_params["picture"], request.query_params)
        return await self._rendered(request, str(wanted), lambda path: make_preview(path, wanted))

    @_for(Role.VIEWER)
    async def pixels(self, request: Request, who: Identity) -> Response:
        """Pixels for a viewer."""
        cutout = wanted_cutout(request.query_params)
        coding = choose_coding(request.headers.get("accept-encoding"), CODINGS)
        return await self._rendered(request, f"{cutout} {coding}", lambda path: make_pixels(path, cutout, coding))

    async def description(self, request: Request) -> Response:
        """What can be asked here, as OpenAPI; for everybody."""
        return self._described.answer()

    async def _rendered(self, request: Request, what: str, make: Callable[[Path], Rendered]) -> Response:
        image = await self._stored(request)
        tag = f'"{image.sha256[:32]}-{ids.derived_seed(what):016x}"'
        fields = {"etag": tag, "cache-control": download.UNCHANGING, "vary": "accept-encoding"}
        if matches_any(request.headers.get("if-none-match"), tag):
            return Response(status_code=304, headers=fields)
        made = await self._renderer.render(image, what, make)
        return Response(made.body, headers=fields | made.fields | {"x-content-type-options": "nosniff"})

    async def _stored(self, request: Request) -> StoredImage:
        return await in_thread(self._files.get, _id(request))

    async def refuse(self, request: Request, error: PytelError) -> Response:
        """Answer with an error; what is still coming of a body is let pass, or the client would not hear it."""
        if request.method in ("POST", "PUT") and "expect" not in request.headers and not isinstance(error, Timeout):
            await _drain(request)
        fields = {"connection": "close"} if request.method in ("POST", "PUT") else {}
        status = status_of(error)
        if isinstance(error, ChecksumError) and request.method in ("GET", "HEAD"):
            self.log.error("%s", error.message)
            status = 500
        if status == 401:
            fields["www-authenticate"] = 'Bearer realm="pytel", Basic realm="pytel", charset="UTF-8"'
        if status == 416:
            fields["content-range"] = f"bytes */{error.data.get('size', '*')}"
        if status == 503:
            fields["retry-after"] = "1"
        if isinstance(error, TooManyAttempts):
            fields["retry-after"] = str(error.data["seconds"])
        return error_answer(error, status, fields)


def status_of(error: PytelError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, NotAllowed):
        return 401 if isinstance(error, Unauthenticated) else 403
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def error_answer(error: PytelError, status: int, fields: dict[str, str]) -> Response:
    """The error as JSON; paths of this host stay here."""
    wire = error.to_wire()
    wire["data"] = {key: value for key, value in wire["data"].items() if key != "path"}
    if isinstance(error, ImageError | StorageFull):
        wire["message"] = _PLAIN[type(error)]
    headers = {**fields, "cache-control": "no-store"}
    return Response(refusal_body(status, wire), status, headers, "application/json")


_PLAIN: dict[type[PytelError], str] = {
    ImageError: "the stored file is no image that can be read",
    StorageFull: "the store has no room left; what it has is untouched",
}


async def _no_such_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    sentence = f"{HTTPStatus(status).phrase}: there are /images and /images/{{id}}"
    kept = {key: value for key, value in (getattr(error, "headers", None) or {}).items() if key.lower() == "allow"}
    return error_answer(NotFound(sentence) if status == 404 else InvalidParams(sentence), status, kept)


def _id(request: Request) -> str:
    image = str(request.path_params["id"])
    if not ids.is_id(image):
        raise NotFound("there is no image of this id")
    return image


def _noting_the_end(request: Request) -> Receive:
    """Receive, and write down when the body has ended: who asks then waits until the client goes."""
    receive = request.receive
    request.state.ended = False

    async def noting() -> Message:
        message = await receive()
        request.state.ended = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    return noting


async def _drain(request: Request) -> None:
    left = _DRAINED
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_TIME):
            while left > 0 and not request.state.ended:
                left -= len((await request.receive()).get("body", b""))
