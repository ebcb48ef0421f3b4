from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytel.automation.notifier import LogNotifier
from pytel.bus.address import Address
from pytel.bus.local import LocalHub
from pytel.interfaces.notifier import Notifier, Urgency
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.services import Module

Run = Callable[[Callable[[Any], Any]], Any]


def test_a_notice_is_kept_with_time_and_origin(bench: Run, tmp_path: Path) -> None:
    async def scenario(bench: Any) -> None:
        await bench.start("notifier", LogNotifier)
        caller = await bench.start("roof", Module)
        await caller.find(Notifier).notify(Urgency.CALL, "The roof", "It does not close.")
        await caller.find(Notifier).notify(Urgency.INFO, "The roof", "It closes.")

    bench(scenario)
    lines = (tmp_path / "notifier" / "notices.jsonl").read_text().splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["It does not close.", "It closes."]
    assert json.loads(lines[0]) == {
        "time": "2026-03-01T20:00:00Z",
        "urgency": "call",
        "subject": "The roof",
        "message": "It does not close.",
        "origin": "roof",
    }


async def test_the_command_gets_the_message_in_real_time(tmp_path: Path) -> None:
    script = 'cat > "$1.out"; echo "$2 $3" >> "$1.out"'
    config = LogNotifier.Config(command=("sh", "-c", script, "sh", str(tmp_path / "notice")))
    site = SiteInfo(name="t", location=_here(), seed=1, state_dir=tmp_path)
    runtime = ModuleRuntime(LogNotifier, config=config, site=site, bus=LocalHub().bus(Address("notifier")))
    await runtime.start()
    module = runtime.module
    assert isinstance(module, LogNotifier)
    await module.notify(Urgency.CALL, "Roof", "stuck\n")
    await runtime.stop()
    assert _text(tmp_path / "notice.out") == "stuck\ncall Roof\n"


def _here() -> Any:
    from pytel.base.location import Location

    return Location(latitude=0, longitude=0)


def _text(path: Path) -> str:
    return path.read_text()
