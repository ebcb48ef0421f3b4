"""What the image store answers, described for OpenAPI."""

from __future__ import annotations

from pytel.bus.http.openapi import DESCRIPTION, ERROR, JSON, TEXT, Answer, Operation, Schema
from pytel.services.image_operations import ID, IMAGE_OPERATIONS

REFUSAL: Schema = {"type": "object", "required": ["error"], "properties": {"error": ERROR}}
_STORED = {
    JSON: {
        "type": "object",
        "required": ["id", "sha256", "size"],
        "properties": {"id": ID, "sha256": TEXT, "size": {"type": "integer"}},
    }
}
_FITS: dict[str, Schema] = {"application/fits": {"type": "string", "format": "binary"}}
OPERATIONS = {
    "POST /images": Operation(summary="Store an image.", body=_FITS, answers={201: Answer("It is stored.", _STORED)}),
    "PUT /images/{id}": Operation(
        summary="Store an image under an id.",
        body=_FITS,
        answers={200: Answer("It was there already.", _STORED), 201: Answer("It is stored.", _STORED)},
    ),
    **IMAGE_OPERATIONS,
    "GET /openapi.json": DESCRIPTION,
}
