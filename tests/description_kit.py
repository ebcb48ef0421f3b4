"""Requests made from a server's own description, and its answers held against that (schemathesis)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance
from starlette.routing import BaseRoute, Route, WebSocketRoute

PATIENCE = 20.0
CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance]
few = settings(
    max_examples=10,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def assert_whole(document: Mapping[str, Any], routes: Iterable[BaseRoute]) -> None:
    """Every route is described, and nothing else."""
    described = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    served = {
        (route.path, method)
        for route in routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert described == served
    assert document.get("x-websockets", []) == [route.path for route in routes if isinstance(route, WebSocketRoute)]


@schemathesis.serializer("application/fits")
def as_it_is(context: Any, value: Any) -> bytes:
    """What is sent as an image."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


async def fuzz(url: str, headers: Mapping[str, str], ids: Iterable[str] = ()) -> set[tuple[str, int]]:
    """Ask a server that this loop serves for all that it describes; gives the statuses of each operation.

    `ids` are values for the path parameter `id` that stand for something.
    """
    async with asyncio.timeout(110):
        return await asyncio.to_thread(_fuzz, url, dict(headers), list(ids))


def _fuzz(url: str, headers: dict[str, str], ids: list[str]) -> set[tuple[str, int]]:
    seen: set[tuple[str, int]] = set()
    with requests.Session() as session:
        session.trust_env = False
        document = session.get(f"{url}/openapi.json", timeout=PATIENCE).json()
        schema = schemathesis.openapi.from_dict(document)
        schema.validate()
        for found in schema.get_all_operations():
            assert isinstance(found, Ok), found
            operation = found.ok()
            for known in [None, *(ids if "{id}" in operation.path else [])]:
                path = {"id": known} if known else None
                _ask(operation, GenerationMode.POSITIVE, path, (url, session, headers), seen)
                described = document["paths"][operation.path][operation.method]
                if described["parameters"] or "requestBody" in described:  # else nothing can be wrong
                    _ask(operation, GenerationMode.NEGATIVE, path, (url, session, headers), seen)
            _ask(operation, GenerationMode.POSITIVE, None, (url, session, {}), seen)
    return seen


def _ask(operation: Any, mode: GenerationMode, path: Any, at: tuple[str, Any, Any], seen: set[tuple[str, int]]) -> None:
    url, session, headers = at

    @few
    @given(operation.as_strategy(mode, path_parameters=path))
    def ask(case: Any) -> None:
        options = case.as_transport_kwargs(base_url=url, headers={**(case.headers or {}), **headers})
        with session.request(**options, timeout=PATIENCE, stream=True) as response:
            seen.add((operation.label, response.status_code))
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                assert response.status_code == 200  # and it goes on for ever
                return
            assert b"Traceback" not in response.content
            case.validate_response(response, checks=CHECKS)

    ask()
