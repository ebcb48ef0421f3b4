"""Real and lying INDI servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from indi_kit import IndiServer, Starter


@pytest.fixture
async def indi_server(tmp_path: Path) -> AsyncIterator[Starter]:
    """Start real indiservers: `server = await indi_server("indi_simulator_focus")`, also with `env={…}`.

    They are killed hard at the end. A missing indiserver is a failure.
    """
    servers: list[IndiServer] = []

    async def start(*drivers: str, env: dict[str, str] | None = None) -> IndiServer:
        server = IndiServer(tmp_path / f"indi{len(servers)}", env)
        servers.append(server)
        return await server.start(*drivers)

    yield start
    for server in servers:
        await server.kill()
