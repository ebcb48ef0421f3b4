"""The quality scale says what is so: code judges what it can, and named tests exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from devices.quality_checks import CHECKS, ROOT, drivers
from pytel.base.errors import ConfigError
from pytel.devices.quality import Level, read_scale

SCALE = read_scale()
KINDS = drivers(SCALE)


def test_every_driver_of_real_hardware_is_on_record() -> None:
    assert set(SCALE.drivers) == set(KINDS), "add it to src/pytel/devices/quality.yaml, and run make docs"


def test_of_every_rule_one_thing_is_said() -> None:
    assert list(SCALE.faults()) == []


def test_what_is_checked_has_a_check() -> None:
    assert {name for name, rule in SCALE.rules.items() if rule.checked} == set(CHECKS)
    assert 15 <= len(SCALE.rules) <= 22
    assert {rule.level for rule in SCALE.rules.values()} == {Level.BRONZE, Level.SILVER, Level.GOLD}


@pytest.mark.parametrize("rule", sorted(CHECKS))
@pytest.mark.parametrize("name", sorted(KINDS))
def test_what_code_can_judge(name: str, rule: str) -> None:
    wrong = list(CHECKS[rule](SCALE, name, KINDS[name]))
    said = SCALE.drivers[name]
    if rule in said.exempt:
        return
    if rule in said.not_met:
        assert wrong, f"{name} meets {rule}: take it out of 'not_met'"
    else:
        assert not wrong, "mend it, or say under 'not_met' why it is so"


@pytest.mark.parametrize("name", sorted(KINDS))
def test_no_private_name_of_a_driver_hides_one_of_its_base(name: str) -> None:
    kind = KINDS[name]
    package = SCALE.family(name).package
    for above in (base for base in kind.__mro__ if not base.__module__.startswith(package)):
        hidden = {
            member
            for own in kind.__mro__
            if own.__module__.startswith(package)
            for member in vars(own).keys() & vars(above).keys()
            if re.fullmatch(r"_[a-z]\w*", member)
        }
        assert hidden <= {"_is_protocol", "_abc_impl"}, f"{above.__name__} needs {hidden} for itself"


@pytest.mark.parametrize("name", sorted(SCALE.drivers))
def test_evidence_exists_and_is_about_this_driver(name: str) -> None:
    own = SCALE.drivers[name].proved
    for rule, test in SCALE.proved(name).items():
        path, _, function = test.partition("::")
        text = (ROOT / path).read_text(encoding="utf-8")
        defined = {
            node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert function in defined, f"{name}: {rule} is said to be shown by {test}"
        if rule in own and rule in ("tested", "abort", "lost-in-action", "whole-night"):
            called = SCALE.drivers[name].in_tests
            used = text + _used_by(text, (ROOT / path).parent)
            assert re.search(rf"\b{called}\b", used), f"{test} does not know {called}"
            assert re.search(rf"\b{name}\b", used), f"nothing there makes a {name}"


def _used_by(text: str, folder: Path) -> str:
    """What a test runs sites of: the kit beside it, and the page that it names."""
    named = [ROOT / "docs" / page for page in re.findall(r'"([\w-]+\.md)"', text)]
    files = [*folder.glob("*kit.py"), *(page for page in named if page.exists())]
    if folder.name == "foreign":
        files.append(ROOT / "docs" / "foreign-systems.md")
    return "".join(path.read_text(encoding="utf-8") for path in files)


def test_the_level_is_the_highest_without_a_gap() -> None:
    camera = SCALE.drivers["indi-camera"]
    assert SCALE.level("indi-camera") is Level.SILVER
    assert "real-hardware" in camera.not_met


def test_a_record_that_is_none_is_told(tmp_path: Path) -> None:
    record = tmp_path / "quality.yaml"
    record.write_text("rules: {a: {level: platinum, what: b}}\nfamilies: {}\ndrivers: {}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="platinum"):
        read_scale(record)
