"""The directory of a demonstration: its site file, its reports, and whether it is to be gone on with."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from pytel.base.errors import ConfigError
from pytel.base.files import write_atomically
from pytel.base.location import Location
from pytel.cli.demo.options import DemoOptions

SUTHERLAND = Location(latitude=-32.38, longitude=20.81, elevation=1771.0)
VIRTUAL_START = datetime(2026, 6, 15, 14, 0, tzinfo=UTC)
BEFORE_DUSK = timedelta(minutes=10)
XMPP_PORT = 5222
GUIDED = """  acquisition: {type: plate-solving-acquisition}
  guider: {type: science-frame-guider}
"""
"""Left out as a rule: to measure all frames takes a night half as long again."""


class DemoNote(msgspec.Struct, frozen=True):
    """What a directory was made for; a later run with other options would not fit."""

    virtual: bool
    seed: int
    compress: bool
    start: datetime
    bus: str = "local"
    guided: bool = False


class DemoFolder:
    """A directory in which a demonstration runs."""

    def __init__(self, options: DemoOptions) -> None:
        self.path = options.out.absolute()
        self.site_file = self.path / "site.yaml"
        self.state = self.path / "state"
        self._note_file = self.path / "demo.json"
        self._options = options
        self.goes_on = False

    def prepare(self) -> DemoNote:
        """Make the directory, or find it as an interrupted run left it.

        Raises `ConfigError` when something else is in it or the demonstration there is finished.
        """
        if self._options.fresh:
            self._clear()
        note = self._read_note()
        if note is None:
            self._refuse_foreign()
            self.path.mkdir(parents=True, exist_ok=True)
            note = self._new_note()
            write_atomically(self._note_file, [msgspec.json.format(msgspec.json.encode(note))])
        else:
            self.goes_on = True
        self._refuse_other(note)
        done = self.collect()
        if done >= self._options.nights:
            raise ConfigError(
                f"{self.path} has a finished demonstration of {nights_text(done)}: "
                "start over with --fresh, or use another --out"
            )
        world = self.path / "world"
        if not world.is_symlink():
            world.symlink_to(self.state.relative_to(self.path) / "world")
        if not self.site_file.exists():
            write_atomically(self.site_file, [self._site_text(note).encode()])
        elif note.bus != "local":
            self._find_port_anew()
        return note

    def reports(self) -> list[Path]:
        """The reports of the nights that are over, oldest first."""
        return sorted(self.path.glob("night-????-??-??.json"))

    def collect(self) -> int:
        """Put the observer's reports where people look for them; returns of how many nights there are now."""
        for report in sorted(self.state.glob("observer/????-??-??/night.json")):
            kept = self.path / f"night-{report.parent.name}.json"
            content = report.read_bytes()
            if not kept.exists() or kept.read_bytes() != content:
                write_atomically(kept, [content])
        reports = self.reports()
        if reports:
            write_atomically(self.path / "night.json", [reports[-1].read_bytes()])
        return len(reports)

    def read_reports(self) -> list[Mapping[str, Any]]:
        """The reports, decoded."""
        return [msgspec.json.decode(path.read_bytes()) for path in self.reports()]

    def _clear(self) -> None:
        if not self.path.exists():
            return
        if self._read_note() is None:
            self._refuse_foreign()
        from pytel.base.lock import directory_lock

        with directory_lock(self.state):
            shutil.rmtree(self.path)

    def _refuse_foreign(self) -> None:
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise ConfigError(f"{self.path} is not empty and no demonstration: choose another --out")

    def _refuse_other(self, note: DemoNote) -> None:
        for name in ("virtual", "seed", "compress", "bus", "guided"):
            there, wanted = getattr(note, name), getattr(self._options, name)
            if there != wanted:
                raise ConfigError(
                    f"the demonstration in {self.path} was begun with {name} {str(there).lower()}, not "
                    f"{str(wanted).lower()}: start over with --fresh, or use another --out"
                )

    def _read_note(self) -> DemoNote | None:
        try:
            return msgspec.json.decode(self._note_file.read_bytes(), type=DemoNote)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except msgspec.MsgspecError as error:
            raise ConfigError(f"{self._note_file} is damaged ({error}): start over with --fresh") from error

    def _new_note(self) -> DemoNote:
        options = self._options
        start = VIRTUAL_START if options.virtual else _before_dusk(datetime.now(UTC))
        return DemoNote(options.virtual, options.seed, options.compress, start, options.bus, options.guided)

    def _find_port_anew(self) -> None:
        """Take another port for the server where somebody else has the one of last time."""
        text = self.site_file.read_text(encoding="utf-8")
        found = re.search(r"(?<=port: )\d+", text)
        if found is not None and (port := _free_port(int(found[0]))) != int(found[0]):
            write_atomically(self.site_file, [f"{text[: found.start()]}{port}{text[found.end() :]}".encode()])

    def _bus_text(self, note: DemoNote) -> str:
        if note.bus == "local":
            return "local"
        section = f"{{server: {self._options.server}, port: {_free_port(XMPP_PORT)}, people: {{visitor: operator}}}}"
        return f"{note.bus}\nxmpp: {section}"

    def _site_text(self, note: DemoNote) -> str:
        template = resources.files("pytel.cli.demo").joinpath("site.yaml").read_text(encoding="utf-8")
        mode = (
            "real" if note.virtual else f"scaled, rate: {self._options.rate:g}, start: {note.start:%Y-%m-%dT%H:%M:%SZ}"
        )
        # Who looks on wants to see it observe; a night on the virtual clock is to show what weather does.
        weather = "course" if note.virtual else "clear"
        compress = str(note.compress).lower()
        pairs = {
            "@SEED@": str(note.seed),
            "@TIME@": mode,
            "@COMPRESS@": compress,
            "@WEATHER@": weather,
            "@BUS@": self._bus_text(note),
            "@GUIDED@": GUIDED if note.guided else "",
        }
        for mark, text in pairs.items():
            template = template.replace(mark, text)
        return template


def _free_port(wanted: int) -> int:
    """A port of the loopback that nobody has: the usual one if it can be had."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise ConfigError("no free port for the XMPP server on this machine")


def nights_text(count: int) -> str:
    """A number of nights in words."""
    return "1 night" if count == 1 else f"{count} nights"


def _before_dusk(now: datetime) -> datetime:
    """Shortly before the dusk of tonight at the demonstration's site."""
    from pytel.sky.almanac import next_night

    night = next_night(now.timestamp(), SUTHERLAND, twilight=-12.0)
    dusk = night.dusk if night.dusk is not None else now.timestamp()
    return datetime.fromtimestamp(int(dusk), UTC) - BEFORE_DUSK
