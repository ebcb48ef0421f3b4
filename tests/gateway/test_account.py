"""`pytel account`, as it is typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pytel.bus import people as accounts
from pytel.bus.passwords import is_right
from pytel.cli.app import app


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTEL_STATE", raising=False)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "lock").touch()
    return tmp_path / "state"


def pytel(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, ["account", *arguments], input=typed)


def test_people_come_and_go(state: Path) -> None:
    path = state / "gateway" / accounts.FILE
    assert "nobody can log in yet" in pytel("list").output
    assert "anna may log in as operator" in pytel("add", "anna", "--role", "operator", typed="first password\n").output
    assert is_right(accounts.read_accounts(path)["anna"].password, "first password")
    assert "another password" in pytel("passwd", "anna", typed="second password\n").output
    assert not is_right(accounts.read_accounts(path)["anna"].password, "first password")
    token = pytel("token", "anna", "nightly", "--days", "2").stdout.strip()
    assert token.startswith("pytel_")
    shown = pytel("list").output
    assert "nightly (until" in shown
    assert token not in shown
    assert "worth nothing" in pytel("token", "anna", "nightly", "--revoke").output
    assert "no longer" in pytel("remove", "anna").output
    assert accounts.read_accounts(path) == {}
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("arguments", "typed", "sentence"),
    [
        (("add", "Anna"), "long enough\n", "cannot be a name"),
        (("add", "../x"), "long enough\n", "cannot be a name"),
        (("add", "anna"), "short\n", "8 to 1000"),
        (("add", "anna"), "", "no password"),
        (("add", "anna", "--role", "module"), "long enough\n", "a person is viewer"),
        (("passwd", "nobody"), "long enough\n", "no account"),
        (("remove", "nobody"), None, "no account"),
        (("token", "nobody", "x"), None, "no account"),
        (("token", "nobody", "x", "--revoke"), None, "no account"),
    ],
)
def test_what_is_refused_and_why(state: Path, arguments: tuple[str, ...], typed: str | None, sentence: str) -> None:
    result = pytel(*arguments, typed=typed)
    assert result.exit_code == 1
    assert sentence in result.output
    assert not (state / "gateway" / accounts.FILE).exists() or not accounts.read_accounts(
        state / "gateway" / accounts.FILE
    )


def test_a_name_or_label_twice(state: Path) -> None:
    pytel("add", "anna", typed="long enough\n")
    assert "already" in pytel("add", "anna", typed="long enough\n").output
    pytel("token", "anna", "x")
    assert "already" in pytel("token", "anna", "x").output


def test_where_the_site_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no site has run" in pytel("list").output
    pytel("add", "anna", "--state", "elsewhere", typed="long enough\n")
    assert (tmp_path / "elsewhere" / "gateway" / accounts.FILE).exists()
    monkeypatch.setenv("PYTEL_STATE", "elsewhere")
    assert "anna" in pytel("list").output


def test_what_is_written_at_once_by_two_is_not_lost(state: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    path = state / "gateway" / accounts.FILE
    accounts.add_account(path, "anna", accounts.ROLES[0], "long enough")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: accounts.add_token(path, "anna", f"t{number}", None), range(20)))
    assert len(accounts.read_accounts(path)["anna"].tokens) == 20
