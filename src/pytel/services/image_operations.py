"""What image stores answer over HTTP, described for OpenAPI: the same at a store and at the gateway."""

from __future__ import annotations

from pytel.bus.http.openapi import JSON, Answer, Operation, Schema

ID: Schema = {"type": "string", "pattern": "^[0-9A-HJKMNP-TV-Z]{26}$"}
_TAGS = {"If-None-Match": {"type": "string"}}
_BINARY: Schema = {}
_NOT_CHANGED = Answer("It is still what the caller has.")
_COORDINATE: Schema = {"type": "integer", "minimum": 0}
_CARD: Schema = {"type": "array", "minItems": 3, "maxItems": 3}

IMAGE_PARAMETERS = {"id": ID, "picture": {"enum": ["webp", "jpg"]}}
IMAGE_OPERATIONS = {
    "GET /images/{id}": Operation(
        summary="The FITS file, or a range of it.",
        headers={"Range": {"type": "string"}, "If-Match": {"type": "string"}, **_TAGS},
        answers={
            200: Answer("The file.", {"application/fits": _BINARY}),
            206: Answer("A range of it.", {"application/fits": _BINARY}),
            304: _NOT_CHANGED,
            412: Answer("It is not what the caller expects."),
        },
    ),
    "GET /images/{id}/header": Operation(
        summary="The cards of its header: keyword, value, comment.",
        headers=_TAGS,
        answers={200: Answer("The cards.", {JSON: {"type": "array", "items": _CARD}}), 304: _NOT_CHANGED},
    ),
    "GET /images/{id}/preview.{picture}": Operation(
        summary="A small picture of it.",
        query={
            "size": {"type": "integer", "minimum": 16, "maximum": 2048},
            "stretch": {"enum": ["asinh", "linear", "sqrt", "log"]},
        },
        headers=_TAGS,
        answers={
            200: Answer("The picture.", {"image/webp": _BINARY, "image/jpeg": _BINARY}),
            304: _NOT_CHANGED,
        },
    ),
    "GET /images/{id}/pixels": Operation(
        summary="Pixels for a viewer, binned, in an unbinned window; headers tell how they are coded.",
        query={"bin": {"enum": [1, 2, 4, 8]}, "x": _COORDINATE, "y": _COORDINATE, "w": _COORDINATE, "h": _COORDINATE},
        headers=_TAGS,
        answers={200: Answer("The values.", {"application/octet-stream": _BINARY}), 304: _NOT_CHANGED},
    ),
}
