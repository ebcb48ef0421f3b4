"""The client and a real indiserver."""

from __future__ import annotations

import asyncio

from indi_kit import Starter


async def test_server(indi_server: Starter) -> None:
    server = await indi_server("indi_simulator_focus")
    for address in (server.port, server.port):
        reader, writer = await asyncio.open_connection("127.0.0.1", address)
        writer.write(b'<getProperties version="1.7"/>')
        await reader.readuntil(b"CONNECTION")
        writer.close()
        await server.kill()
        await server.restart()
