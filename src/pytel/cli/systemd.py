"""`pytel systemd`: units that run a site without a supervisor of ours: one service for each process, and a target."""

from __future__ import annotations

import contextlib
import getpass
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import typer

from pytel.base.errors import ConfigError
from pytel.bus.local import LocalHub
from pytel.cli.hardware import missing_world
from pytel.interfaces.enclosure import Enclosure
from pytel.interfaces.observer import Observer
from pytel.interfaces.safety import SafetyMonitor
from pytel.interfaces.weather import WeatherStation
from pytel.module.faults import raise_for
from pytel.module.interface import Interface
from pytel.module.patience import Patience
from pytel.module.plan import members_of, process_names
from pytel.module.process_wire import FOR_A_PERSON, process_directory
from pytel.module.runtime import ModuleRuntime
from pytel.module.sitefile import load_site
from pytel.module.specs import ModuleSpec, SiteFile

_BACKOFF_SINCE = 254
"""The version of systemd that knows RestartSteps."""
_CLOSING = 660.0
"""Seconds that the end of a whole site may take beyond its modules' own: the roof is told again and again."""
_HARDENING = """\
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
UMask=0027
"""


def write_units(path: Path, out: Path, user: str | None) -> None:
    """Write the units of a site into a directory. Raises `ConfigError` for a simulated site."""
    site = load_site(path)
    units = units_of(site, path.absolute(), user or getpass.getuser(), has_backoff=_version() >= _BACKOFF_SINCE)
    out.mkdir(parents=True, exist_ok=True)
    site.info.state_dir.mkdir(parents=True, exist_ok=True)  # what a unit may write to must be there
    for name, text in units.items():
        (out / name).write_text(text, encoding="utf-8")
        typer.echo(str(out / name))
    typer.echo(
        f"now: cp {out}/pytel-{site.info.name}* /etc/systemd/system/ && systemctl daemon-reload && "
        f"systemctl enable --now pytel-{site.info.name}.target",
        err=True,
    )


def units_of(site: SiteFile, path: Path, user: str, *, has_backoff: bool = True) -> dict[str, str]:
    """The units by their file names. Raises `ConfigError` for a simulated site, or one that lacks its simulation."""
    if site.info.simulation is not None:
        raise ConfigError(
            "the simulated hardware belongs to 'pytel run'; systemd units are for a site with real devices"
        )
    raise_for(missing_world(site))
    writer = _Units(site, path, user, has_backoff)
    return writer.whole_site() if site.bus == "local" else writer.processes()


class _Units:
    """Writes the units of one site."""

    def __init__(self, site: SiteFile, path: Path, user: str, has_backoff: bool) -> None:
        self._site, self._path, self._user, self._has_backoff = site, path, user, has_backoff
        self._prefix = f"pytel-{site.info.name}"
        self._manages_server = site.bus == "xmpp" and site.xmpp is not None and site.xmpp.server != "external"

    def whole_site(self) -> dict[str, str]:
        """All modules in one process."""
        name = f"{self._prefix}-site.service"
        command = [sys.executable, "-c", "from pytel.cli import main; main()", "run", str(self._path)]
        within = self._stop_within(self._site.modules) + _CLOSING
        return {name: self._service("all modules", command, within, watchdog=False), **self._target([name])}

    def processes(self) -> dict[str, str]:
        """A service for each process, and one for the XMPP server if that is ours."""
        units: dict[str, str] = {}
        if self._manages_server:
            command = [sys.executable, "-c", "from pytel.cli import main; main()", "xmpp", "up", str(self._path)]
            units[self._server] = self._service("the XMPP server", command, 30.0, watchdog=False, kind="exec")
        for process in process_names(self._site):
            members = members_of(self._site, process)
            home = process_directory(self._site.info.state_dir, process)
            command = [sys.executable, "-m", "pytel.cli.child", "--site", str(self._path), str(home)]
            units[self._unit(process)] = self._service(
                ", ".join(str(spec.address) for spec in members),
                command,
                self._stop_within(members),
                after=self._after(process),
            )
        return {**units, **self._target(units)}

    @property
    def _server(self) -> str:
        return f"{self._prefix}-xmpp.service"

    def _unit(self, process: str) -> str:
        return f"{self._prefix}-{process}.service"

    def _after(self, process: str) -> list[str]:
        """What starts before a process, and so is stopped after it: the robot goes first, the weather last."""
        own = self._site.process_of
        others = [spec for spec in self._site.modules if own(spec.address) != process]
        members = members_of(self._site, process)
        if _offers(members, Observer):
            before = [spec for spec in others if not _offers([spec], Observer)]
        elif _offers(members, Enclosure):
            before = [spec for spec in others if _offers([spec], SafetyMonitor, WeatherStation)]
            before = [
                spec for spec in before if not _offers(members_of(self._site, own(spec.address)), Observer, Enclosure)
            ]
        else:
            before = []
        names = dict.fromkeys(self._unit(own(spec.address)) for spec in before)
        return [*([self._server] if self._manages_server else []), *names]

    def _target(self, services: Iterable[str]) -> dict[str, str]:
        text = f"[Unit]\nDescription=The observatory {self._site.info.name}\nWants={' '.join(services)}\n\n"
        return {f"{self._prefix}.target": f"{text}[Install]\nWantedBy=multi-user.target\n"}

    def _service(
        self,
        what: str,
        command: Sequence[str],
        stop_within: float,
        *,
        after: Sequence[str] = (),
        watchdog: bool = True,
        kind: str = "notify",
    ) -> str:
        patience = Patience()
        backoff = f"RestartSteps=8\nRestartMaxDelaySec={patience.longest_pause:.0f}\n" if self._has_backoff else ""
        wants = [unit for unit in after if unit == self._server]
        return (
            "[Unit]\n"
            f"Description=pytel {self._site.info.name}: {what}\n"
            f"PartOf={self._prefix}.target\n"
            f"Wants={' '.join(['network-online.target', *wants])}\n"
            f"After={' '.join(['network-online.target', 'time-sync.target', *after])}\n"
            "# A roof is never given up: no limit on how often it is started again.\n"
            "StartLimitIntervalSec=0\n\n"
            "[Service]\n"
            f"Type={kind}\n"
            f"ExecStart={' '.join(_quoted(word) for word in command)}\n"
            f"WorkingDirectory={_escaped(str(self._path.parent))}\n"
            f"User={self._user}\n"
            "Environment=PYTHONUNBUFFERED=1\n"
            "Restart=on-failure\n"
            f"RestartSec={1.0 if self._has_backoff else 5.0:g}\n{backoff}"
            f"RestartPreventExitStatus={' '.join(str(status) for status in FOR_A_PERSON)}\n"
            "KillSignal=SIGTERM\n"
            "KillMode=mixed\n"
            f"TimeoutStartSec={patience.start * 2:.0f}\n"
            f"TimeoutStopSec={stop_within:.0f}\n"
            + (f"WatchdogSec={patience.silence:.0f}\nWatchdogSignal=SIGABRT\n" if watchdog else "")
            + _HARDENING
            + self._private_tmp()
            + f"ReadWritePaths={_quoted(str(self._site.info.state_dir))}\n"
        )

    def _private_tmp(self) -> str:
        """A folder of its own for temporary files, unless the site itself lives there."""
        shared = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - asks, does not write
        places = (self._path, self._site.info.state_dir)
        return "" if any(place.is_relative_to(folder) for place in places for folder in shared) else "PrivateTmp=yes\n"

    def _stop_within(self, specs: Sequence[ModuleSpec]) -> float:
        """As long as the supervisor would wait: jobs, tasks and `on_stop` of each module have its deadline each."""
        rate = self._site.time.rate if self._site.time.mode == "scaled" else 1.0
        return sum(3.0 * self._stop_deadline(spec) for spec in specs) / rate + Patience().margin

    def _stop_deadline(self, spec: ModuleSpec) -> float:
        runtime = ModuleRuntime(
            spec.kind, config=spec.config, site=self._site.info, bus=LocalHub().bus(spec.address), uses=spec.uses
        )
        return runtime.module.stop_deadline


def _offers(specs: Sequence[ModuleSpec], *interfaces: type[Interface]) -> bool:
    return any(issubclass(spec.kind, interfaces) for spec in specs)


def _escaped(word: str) -> str:
    """A word with what means something to systemd taken literally (systemd.unit(5), specifiers)."""
    return word.replace("%", "%%")


def _quoted(word: str) -> str:
    """A word of a command line (systemd.service(5), command lines)."""
    text = _escaped(word).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{text}"' if any(sign in text for sign in " \t;'\"\\") or not text else text


def _version() -> int:
    """The version of systemd on this machine; a recent one where there is none."""
    program = shutil.which("systemctl")
    if program is not None:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired, ValueError, IndexError):
            told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
            return int(told.stdout.split()[1])
    return _BACKOFF_SINCE
