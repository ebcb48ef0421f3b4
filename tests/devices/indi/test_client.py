"""The client and a real indiserver."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest

from indi_kit import CAMERA, FOCUSER, WHEEL, Starter
from pytel.base.errors import (
    ConfigError,
    ConnectionLost,
    DeviceTimeout,
    InvalidParams,
    LimitExceeded,
    NotAllowed,
    NotReady,
)
from pytel.devices.indi.client import IndiClient
from pytel.devices.indi.properties import Kind, Permission, PropertyState, Rule, Vector
from pytel.devices.indi.shared import acquire_client, release_client, shared_client

PATIENCE = 20.0


@contextlib.asynccontextmanager
async def connected(address: str) -> AsyncIterator[IndiClient]:
    """A client whose link stands."""
    client = IndiClient(address)
    await client.start()
    try:
        await client.until_connected(PATIENCE)
        yield client
    finally:
        await client.stop()


async def switch_on(client: IndiClient, device: str) -> None:
    """Connect a device."""
    await client.require(device, "CONNECTION", PATIENCE)
    await client.set(device, "CONNECTION", {"CONNECT": True}, PATIENCE, lambda vector: vector.on("CONNECT"))


@pytest.mark.parametrize("transport", ["tcp", "unix"])
async def test_properties_and_moves(indi_server: Starter, transport: str) -> None:
    server = await indi_server("indi_simulator_focus", "indi_simulator_wheel")
    async with connected(server.address if transport == "tcp" else server.socket) as client:
        await switch_on(client, FOCUSER)
        await switch_on(client, WHEEL)
        assert client.devices() == (WHEEL, FOCUSER)
        position = await client.require(FOCUSER, "ABS_FOCUS_POSITION", PATIENCE)
        assert (position.kind, position.permission) == (Kind.NUMBER, Permission.READ_WRITE)
        (member,) = position.members.values()
        assert member.minimum < member.maximum
        target = position.number("FOCUS_ABSOLUTE_POSITION") + 500
        states: list[PropertyState] = []
        end = client.on_change(
            FOCUSER, lambda vector: states.append(vector.state) if vector.name == "ABS_FOCUS_POSITION" else None
        )
        moved = await client.set(FOCUSER, "ABS_FOCUS_POSITION", {"FOCUS_ABSOLUTE_POSITION": target}, PATIENCE)
        end()
        assert moved.number("FOCUS_ABSOLUTE_POSITION") == target
        assert states[-1] is PropertyState.OK
        assert moved.count > position.count
        assert client.vector(FOCUSER, "CONNECTION").rule is Rule.ONE_OF_MANY  # type: ignore[union-attr]
        assert client.vectors("nobody") == {}


async def test_what_is_asked_wrongly(indi_server: Starter) -> None:
    server = await indi_server("indi_simulator_focus")
    async with connected(server.address) as client:
        await switch_on(client, FOCUSER)
        name, member = "ABS_FOCUS_POSITION", "FOCUS_ABSOLUTE_POSITION"
        await client.require(FOCUSER, name, PATIENCE)
        with pytest.raises(LimitExceeded, match="goes from 0 to"):
            await client.send(FOCUSER, name, {member: -1})
        for value in (True, "5", float("nan")):
            with pytest.raises(InvalidParams, match="is a number"):
                await client.send(FOCUSER, name, {member: value})
        with pytest.raises(InvalidParams, match="no 'POSITION'"):
            await client.send(FOCUSER, name, {"POSITION": 1})
        with pytest.raises(InvalidParams, match="give values"):
            await client.send(FOCUSER, name, {})
        with pytest.raises(InvalidParams, match="is a switch"):
            await client.send(FOCUSER, "CONNECTION", {"CONNECT": 1.0})
        with pytest.raises(InvalidParams, match="one must be on"):
            await client.send(FOCUSER, "CONNECTION", {"CONNECT": False})
        with pytest.raises(InvalidParams, match="only one may be on"):
            await client.send(FOCUSER, "CONNECTION", {"CONNECT": True, "DISCONNECT": True})
        with pytest.raises(NotAllowed, match="only be read"):
            await client.send(FOCUSER, "DRIVER_INFO", {"DRIVER_NAME": "mine"})
        with pytest.raises(NotReady, match="has no property"):
            await client.send(FOCUSER, "NOT_THERE", {"A": 1})
        with pytest.raises(NotReady, match="has no device 'Nobody'; it has Focuser Simulator"):
            await client.require("Nobody", "CONNECTION", 0.2)
        with pytest.raises(DeviceTimeout, match="it stands at"):
            await client.wait(FOCUSER, name, lambda vector: vector.number(member) < 0, 0.2)


@pytest.mark.slow
async def test_the_server_dies_in_mid_move_and_comes_back(
    indi_server: Starter, caplog: pytest.LogCaptureFixture
) -> None:
    server = await indi_server("indi_simulator_focus")
    caplog.set_level(logging.INFO, "pytel.indi")
    async with connected(server.address) as client:
        presence: list[bool] = []
        client.on_presence(FOCUSER, presence.append)
        for _ in range(2):
            await switch_on(client, FOCUSER)
            position = await client.require(FOCUSER, "ABS_FOCUS_POSITION", PATIENCE)
            target = 90000.0 if position.number("FOCUS_ABSOLUTE_POSITION") < 60000 else 10.0
            moving = asyncio.create_task(
                client.set(FOCUSER, "ABS_FOCUS_POSITION", {"FOCUS_ABSOLUTE_POSITION": target}, PATIENCE)
            )
            await asyncio.sleep(0.1)
            caplog.clear()
            await server.kill()
            with pytest.raises(ConnectionLost):
                await moving
            assert not client.connected
            assert client.devices() == ()
            assert client.vector(FOCUSER, "CONNECTION") is None
            with pytest.raises(ConnectionLost):
                await client.send(FOCUSER, "CONNECTION", {"CONNECT": True})
            with pytest.raises(ConnectionLost, match="cannot be reached"):
                await client.require(FOCUSER, "CONNECTION", 1.0)
            await server.restart()
            await client.require(FOCUSER, "CONNECTION", PATIENCE)
            assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
        assert presence[-4:] == [False, True, False, True]


async def test_devices_are_plugged_and_unplugged(indi_server: Starter) -> None:
    server = await indi_server("indi_simulator_focus")
    async with connected(server.address) as client:
        await client.require(FOCUSER, "CONNECTION", PATIENCE)
        gone = asyncio.Event()
        client.on_presence(WHEEL, lambda present: None if present else gone.set())
        for _ in range(2):
            gone.clear()
            waiting = asyncio.create_task(client.require(WHEEL, "CONNECTION", PATIENCE))
            await server.plug("indi_simulator_wheel")
            await waiting
            waits = asyncio.create_task(client.wait(WHEEL, "CONNECTION", lambda vector: vector.on("CONNECT"), PATIENCE))
            await asyncio.sleep(0)
            await server.unplug("indi_simulator_wheel")
            with pytest.raises(NotReady, match="taken its property CONNECTION back"):
                await waits
            async with asyncio.timeout(PATIENCE):
                await gone.wait()
            assert client.devices() == (FOCUSER,)


async def test_a_server_that_stands_still(indi_server: Starter) -> None:
    server = await indi_server("indi_simulator_focus")
    async with connected(server.address) as client:
        await switch_on(client, FOCUSER)
        server.pause()
        with pytest.raises(DeviceTimeout, match="did not do what CONNECTION was asked for"):
            await client.set(FOCUSER, "CONNECTION", {"DISCONNECT": True}, 0.5)
        server.resume()
        await client.wait(FOCUSER, "CONNECTION", lambda vector: vector.on("DISCONNECT"), PATIENCE)


async def test_a_client_is_shared_until_its_last_user_leaves(indi_server: Starter) -> None:
    server = await indi_server("indi_simulator_focus")
    first = await acquire_client(server.address)
    second = await acquire_client(server.address)
    async with shared_client(server.socket) as other:
        assert first is second is not other
        await other.until_connected(PATIENCE)
    assert not other.connected
    await first.until_connected(PATIENCE)
    await release_client(second)
    assert first.connected
    waiting = asyncio.create_task(first.require("Nobody", "CONNECTION", PATIENCE))
    await asyncio.sleep(0)
    await release_client(first)
    with pytest.raises(ConnectionLost, match="was stopped"):
        await waiting
    with pytest.raises(ConnectionLost, match="was not started"):
        await first.require(FOCUSER, "CONNECTION", 1.0)


async def test_a_callback_that_fails_harms_nobody(indi_server: Starter, caplog: pytest.LogCaptureFixture) -> None:
    server = await indi_server("indi_simulator_focus")
    async with connected(server.address) as client:

        def fail(vector: Vector) -> None:
            raise KeyError("oops")

        heard: list[str] = []
        client.on_change(FOCUSER, fail)
        client.on_change(FOCUSER, lambda vector: heard.append(vector.name))
        await switch_on(client, FOCUSER)
        assert "CONNECTION" in heard
    assert "what was to hear of Focuser Simulator failed" in caplog.text


@pytest.mark.parametrize("address", ["", "host:port", "host:0", "host:99999", "http://host", "a b", "/" + "x" * 200])
async def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(ConfigError):
        await IndiClient(address).start()


@pytest.mark.parametrize(
    "address", ["/nowhere/at/all", "@/pytel-nobody", "[::1]:1", "127.0.0.1:1", "no.such.invalid", "a..b"]
)
async def test_nobody_is_there(address: str) -> None:
    client = IndiClient(address)
    await client.start()
    with pytest.raises(ConnectionLost, match="does indiserver run there"):
        await client.until_connected(1.0)
    await client.stop()


async def test_camera_properties_come_and_go_with_its_connection(indi_server: Starter) -> None:
    server = await indi_server("indi_simulator_ccd")
    async with connected(server.socket) as client:
        for _ in range(3):
            await switch_on(client, CAMERA)
            await client.require(CAMERA, "CCD_EXPOSURE", PATIENCE)
            waits = asyncio.create_task(
                client.wait(CAMERA, "CCD_EXPOSURE", lambda vector: vector.count > 10**6, PATIENCE)
            )
            await asyncio.sleep(0)
            await client.send(CAMERA, "CONNECTION", {"DISCONNECT": True})
            with pytest.raises(NotReady, match="CCD_EXPOSURE back"):
                await waits
            assert client.vector(CAMERA, "CCD_EXPOSURE") is None


async def test_two_real_servers_with_devices_of_one_name(indi_server: Starter) -> None:
    one, other = await indi_server("indi_simulator_focus"), await indi_server("indi_simulator_focus")
    async with connected(f"localhost:{one.port}") as first, connected(other.socket) as second:
        for client in (first, second):
            await switch_on(client, FOCUSER)
            await client.require(FOCUSER, "FOCUS_SPEED", PATIENCE)
        await second.set(FOCUSER, "FOCUS_SPEED", {"FOCUS_SPEED_VALUE": 4}, PATIENCE)
        speeds = [client.vectors(FOCUSER)["FOCUS_SPEED"].number("FOCUS_SPEED_VALUE") for client in (first, second)]
        assert speeds == [1.0, 4.0]
        await one.kill()
        assert (await second.wait(FOCUSER, "CONNECTION", lambda vector: vector.on("CONNECT"), PATIENCE)).on("CONNECT")
        assert second.connected
