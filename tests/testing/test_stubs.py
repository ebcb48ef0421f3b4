"""Modules alone among stubs; the page for authors of modules is held to what it says in `tests/docs`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytel.base import clock
from pytel.base.errors import DeviceError, InternalError, InvalidParams, NotReady, Timeout
from pytel.base.units import Celsius, Seconds
from pytel.interfaces import (
    Focuser,
    FocuserCapabilities,
    FocuserState,
    MotionStatus,
    NewImage,
    Notifier,
    Urgency,
    WeatherState,
    WeatherStation,
)
from pytel.module import ErrorRaised, rpc
from pytel.services import Module, ModuleConfig, on
from pytel.testing import alone, on_virtual_clock, run, stub


class DewWatch(Module):
    """Tells people when dew is about to settle."""

    class Config(ModuleConfig, frozen=True, kw_only=True):
        margin: Celsius = 2.0

    config: Config

    @on(WeatherState)
    async def check(self, weather: WeatherState) -> None:
        if weather.temperature is None or weather.dew_point is None:
            return
        if weather.temperature - weather.dew_point < self.config.margin:
            await self.find(Notifier).notify(Urgency.WARNING, "Dew", f"{weather.temperature:.1f}")


class Temperatures(Module):
    """Moves the focus on request; for what stubs answer."""

    async def travel(self) -> float:
        capabilities = await self.capabilities_of(FocuserCapabilities)
        await self.find(Focuser).set_focus(capabilities.max_position)
        return capabilities.max_position


class Lens(Module, Focuser):
    """A focuser, to be called."""

    @rpc(long=True)
    async def set_focus(self, position: float) -> None:
        await clock.sleep(position)
        self.publish(FocuserState(status=MotionStatus.IDLE, position=position))

    def estimate_set_focus(self, position: float) -> Seconds:
        return position

    async def stop(self) -> None: ...


def wet(temperature: float = 4.0) -> WeatherState:
    return WeatherState(measured=clock.now(), temperature=temperature, dew_point=3.1)


@on_virtual_clock(start=datetime(2026, 3, 1, 22, tzinfo=UTC))
async def test_a_module_hears_what_the_test_publishes_and_calls_stubs() -> None:
    async with alone(DewWatch, stubs=[stub(Notifier), stub(WeatherStation)]) as (module, bus):
        assert isinstance(module, DewWatch)
        bus.publish(wet())
        call = await bus.called("notify")
        assert (call.interface, call.origin) == ("Notifier", "module")
        assert call.arguments == {"urgency": Urgency.WARNING, "subject": "Dew", "message": "4.0"}
        bus.publish(wet(temperature=9.0))
        with pytest.raises(Timeout):
            await bus.called("notify", timeout=30)
        assert len(bus.calls) == 1


@on_virtual_clock()
async def test_configuration_is_checked_as_in_a_site_file() -> None:
    async with alone(DewWatch, config={"margin": 20}, stubs=[stub(Notifier), stub(WeatherStation)]) as (module, bus):
        assert module.config.margin == 20
        bus.publish(wet(temperature=15.0))
        await bus.called("notify")
    with pytest.raises(Exception, match="margni"):
        async with alone(DewWatch, config={"margni": 20}):
            pass


@on_virtual_clock()
async def test_an_error_of_a_stub_becomes_the_modules_error() -> None:
    broken = stub(Notifier, notify=DeviceError("no signal", device="modem"))
    async with alone(DewWatch, stubs=[broken, stub(WeatherStation)]) as (_, bus):
        bus.publish(wet())
        raised = await bus.hears(ErrorRaised)
        assert (raised.error.source, raised.error.name, raised.error.message) == ("check", "DeviceError", "no signal")
        broken.answers["notify"] = None
        bus.publish(wet())
        await bus.called("notify")
        await bus.called("notify")


@on_virtual_clock()
async def test_stubs_answer_with_values_functions_and_capabilities() -> None:
    async def move(position: float) -> None:
        await clock.sleep(30)
        if position > 40:
            raise DeviceError("stuck", device="focuser")

    travel = FocuserCapabilities(min_position=0, max_position=30, step=0.01)
    lens = stub(Focuser, capabilities=travel, set_focus=move)
    async with alone(Temperatures, stubs=[lens]) as (module, bus):
        began = clock.time()
        assert await module.travel() == 30
        assert clock.time() - began == pytest.approx(30)
        assert bus.calls[0].arguments == {"position": 30.0}
        with pytest.raises(DeviceError, match="stuck"):
            await module.find(Focuser).set_focus(45.0)


@on_virtual_clock()
async def test_what_does_not_fit_the_contract_fails_as_on_a_real_bus() -> None:
    with pytest.raises(TypeError, match="set_focsu"):
        stub(Focuser, set_focsu=None)
    async with alone(DewWatch, stubs=[stub(WeatherStation, read_weather={"wrong": 1})]) as (module, _):
        with pytest.raises(InternalError, match="read_weather"):
            await module.find(WeatherStation).read_weather()
    async with alone(DewWatch, stubs=[stub(WeatherStation)]) as (module, _):
        with pytest.raises(InternalError, match="read_weather"):
            await module.find(WeatherStation).read_weather()
    async with alone(DewWatch, stubs=[stub(Focuser)]) as (module, _):
        with pytest.raises(InvalidParams, match="position"):
            await module.find(Focuser).set_focus("far")  # type: ignore[arg-type]
        with pytest.raises(NotReady):
            await module.capabilities_of(FocuserCapabilities)


@on_virtual_clock()
async def test_the_module_itself_can_be_called_and_heard() -> None:
    async with alone(Lens) as (_, bus):
        job = bus.find(Focuser).set_focus(12.5)
        assert await job.eta() == pytest.approx(12.5)
        await job
        state = await bus.hears(FocuserState)
        assert state.position == 12.5
        assert [type(message).__name__ for message in bus.published][-1] == "FocuserState"
        assert bus.said(NewImage) == []


def test_files_of_the_module_are_gone_afterwards() -> None:
    async def use() -> Path:
        async with alone(DewWatch) as (module, _):
            return module.directory

    directory = run(use)
    assert not directory.exists()
    assert not directory.parent.exists()


async def test_stubs_work_on_the_clock_on_the_wall_too() -> None:
    async with alone(DewWatch, stubs=[stub(Notifier), stub(WeatherStation)]) as (_, bus):
        bus.publish(wet())
        async with asyncio.timeout(20):
            await bus.called("notify")
