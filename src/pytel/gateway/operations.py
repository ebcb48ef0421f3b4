"""What the gateway answers, described for OpenAPI."""

from __future__ import annotations

from pytel.bus.contract import Role
from pytel.bus.http.openapi import (
    DESCRIPTION,
    ERROR,
    EVENT_STREAM,
    JSON,
    PUBLICATION,
    RPC,
    STATES,
    TEXT,
    Answer,
    Operation,
    Schema,
)
from pytel.services.image_operations import IMAGE_OPERATIONS

REFUSAL: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message"],
            "properties": {**ERROR["properties"], "status": {"type": "integer"}},
        }
    },
}
_WHO = Answer(
    "Where one is, and as whom.",
    {
        JSON: {
            "type": "object",
            "required": ["site", "origin", "role", "time", "rate", "name", "way"],
            "properties": {"role": {"enum": [role.value for role in Role]}, "rate": {"type": "number"}},
        }
    },
)
_LOG_IN: Schema = {
    "type": "object",
    "required": ["name", "password"],
    "properties": {"name": TEXT, "password": TEXT},
    "additionalProperties": False,
}
_HEALTH: Schema = {
    "type": "object",
    "required": ["status", "time"],
    "properties": {"status": {"const": "ok"}, "time": PUBLICATION["properties"]["time"]},
}
OPERATIONS = {
    "POST /rpc": RPC,
    "GET /events": Operation(
        summary="States and events as they come.",
        query={"topics": TEXT, "since": TEXT},
        headers={"Last-Event-ID": TEXT},
        answers={200: EVENT_STREAM},
    ),
    "GET /state": Operation(
        summary="The last states, of all modules or of one.",
        query={"module": TEXT, "topic": TEXT},
        answers={200: STATES},
    ),
    "GET /health": Operation(
        summary="Whether the gateway lives.",
        answers={200: Answer("It does.", {JSON: _HEALTH})},
        for_everybody=True,
    ),
    "GET /session": Operation(summary="Who one is.", answers={200: _WHO}),
    "POST /session": Operation(
        summary="Log in: the answer sets a cookie.", body={JSON: _LOG_IN}, answers={200: _WHO}, for_everybody=True
    ),
    "DELETE /session": Operation(
        summary="Log out.", answers={204: Answer("The session has ended.")}, for_everybody=True
    ),
    "GET /openapi.json": DESCRIPTION,
    **IMAGE_OPERATIONS,
}
