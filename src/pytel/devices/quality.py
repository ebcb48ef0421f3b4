"""How good the drivers of real hardware are: rules in three levels, and which of them each driver meets.

The record is `quality.yaml` beside this file; tests hold it to the code. docs/drivers.md is made from it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from pathlib import Path

import msgspec
from ruamel.yaml import YAML

from pytel.base.errors import ConfigError

RECORD = Path(__file__).with_name("quality.yaml")


class Level(enum.StrEnum):
    """What a driver has reached."""

    NONE = "none"
    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of a driver."""

    level: Level
    what: str
    checked: bool = False
    """By code, and not by a test that is named as evidence."""


class Family(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What drivers that speak one protocol share."""

    package: str
    page: str
    proved: dict[str, str] = {}


class Driver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is on record of one driver: each rule that code does not check is proved, not met or without meaning."""

    page: str
    in_tests: str
    """What it is called in tests."""
    simulator: str | None = None
    """What stands for the hardware in tests."""
    proved: dict[str, str] = {}
    """Rule to the test that shows it."""
    not_met: dict[str, str] = {}
    """Rule to the reason."""
    exempt: dict[str, str] = {}
    """Rule to why it has no meaning for such a driver."""


class Scale(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole record."""

    rules: dict[str, Rule]
    families: dict[str, Family]
    drivers: dict[str, Driver]

    def family(self, driver: str) -> Family:
        """The family of a driver, by the first word of its type."""
        return self.families[driver.partition("-")[0]]

    def proved(self, driver: str) -> dict[str, str]:
        """The evidence for a driver: its family's, and its own."""
        said = self.drivers[driver]
        shared = {
            rule: test
            for rule, test in self.family(driver).proved.items()
            if rule not in said.not_met and rule not in said.exempt
        }
        return shared | said.proved

    def level(self, driver: str) -> Level:
        """The highest level of which, and of those below, no rule is missed."""
        reached = Level.NONE
        for level in (Level.BRONZE, Level.SILVER, Level.GOLD):
            if any(self.rules[rule].level is level for rule in self.drivers[driver].not_met):
                break
            reached = level
        return reached

    def faults(self) -> Iterator[str]:
        """Tell of rules that do not exist, and of those of which nothing or two things are said."""
        for name, driver in self.drivers.items():
            proved = self.proved(name)
            for rule in {*proved, *driver.not_met, *driver.exempt} - set(self.rules):
                yield f"{name}: there is no rule {rule!r}"
            for rule, asked in self.rules.items():
                said = [rule in proved, rule in driver.not_met, rule in driver.exempt]
                if sum(said) > 1 or (sum(said) == 0 and not asked.checked):
                    yield f"{name}: {rule} must be under one of 'proved', 'not_met' and 'exempt'"


def read_scale(path: Path = RECORD) -> Scale:
    """Read the record. Raises `ConfigError`."""
    try:
        return msgspec.convert(YAML(typ="safe").load(path.read_text(encoding="utf-8")), Scale)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path.name}: {error}") from error
