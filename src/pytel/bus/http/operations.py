"""What one module answers, described for OpenAPI."""

from __future__ import annotations

from pytel.bus.http.openapi import DESCRIPTION, EVENT_STREAM, JSON, RPC, STATES, TEXT, Answer, Operation

_CARD = {
    "type": "object",
    "required": ["address", "card"],
    "properties": {"address": TEXT, "card": {"type": "object", "required": ["interfaces", "boot"]}},
}
_HEALTH = {
    "type": "object",
    "required": ["status", "time"],
    "properties": {"status": {"const": "ok"}, "time": {"type": "number"}},
}
OPERATIONS = {
    "POST /rpc": RPC,
    "GET /events": Operation(
        summary="The module's states and events as they come.",
        query={"topics": TEXT, "since": TEXT},
        headers={"Last-Event-ID": TEXT},
        answers={200: EVENT_STREAM},
    ),
    "GET /state": Operation(summary="The module's last states.", answers={200: STATES}),
    "GET /card": Operation(
        summary="What the module shows of itself.", answers={200: Answer("The card.", {JSON: _CARD})}
    ),
    "GET /health": Operation(
        summary="Whether the module lives, and its real time.",
        answers={200: Answer("It does.", {JSON: _HEALTH})},
        for_everybody=True,
    ),
    "GET /openapi.json": DESCRIPTION,
}
