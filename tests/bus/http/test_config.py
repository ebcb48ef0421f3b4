"""The section `http` of a site file, and the accounts that follow from it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pytel.base.errors import ConfigError
from pytel.bus.address import Address
from pytel.bus.contract import Role
from pytel.bus.http.accounts import Accounts
from pytel.bus.http.config import HttpConfig, Listen, borrowed_ports
from pytel.module.sitefile import parse_site

MODULES = {"roof": {"type": "simulated-roof"}, "camera": {"type": "simulated-camera"}}


def site(http: Any, directory: Path = Path("/site")) -> Any:
    source = {
        "site": {"name": "here", "latitude": 49, "longitude": 8},
        "bus": "http",
        "http": http,
        "simulation": {},
        "modules": MODULES,
        "groups": {"south": {"modules": {"focuser": {"type": "simulated-focuser"}}}},
    }
    return parse_site(source, directory=directory)


def config(http: Any) -> HttpConfig:
    found, faults = site(http)
    assert not faults
    made: HttpConfig = found.http
    return made


def test_ports_that_the_system_lends_to_others_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytel.bus.http.config._outgoing_ports", lambda: (32768, 60999))
    assert borrowed_ports(config({})) is None
    assert borrowed_ports(config({"port": 61000})) is None
    for http in ({"port": 32766}, {"listen": {"camera": "127.0.0.1:32768"}}):
        assert (borrowed_ports(config(http)) or "").startswith("port 32768 is one of those (32768 to 60999)")


def test_one_line_is_enough() -> None:
    made = config({})
    assert made.urls == {
        "site": "http://127.0.0.1:8100",
        "roof": "http://127.0.0.1:8101",
        "camera": "http://127.0.0.1:8102",
        "south.focuser": "http://127.0.0.1:8103",
    }
    assert made.listen["camera"] == Listen("127.0.0.1", 8102)
    assert made.accounts == Path("/site/state/http/accounts.json")
    assert made.people == Path("/site/state/gateway/accounts.json")
    assert [name for name, proxy in made.members.items() if proxy] == ["cli", "gateway"]


def test_places_can_be_chosen_one_by_one() -> None:
    made = config(
        {
            "port": 9000,
            "listen": {"camera": "[::1]:9100", "roof": "0.0.0.0:9200"},
            "modules": {"roof": "https://dome.example:9200/", "south.telescope": "https://south.example"},
            "tls": {"certificate": "host.crt", "key": "/etc/host.key"},
            "accounts": "secrets.json",
            "people": "people.json",
        }
    )
    assert made.urls == {
        "site": "http://127.0.0.1:9000",
        "roof": "https://dome.example:9200",
        "camera": "http://[::1]:9100",
        "south.focuser": "http://127.0.0.1:9003",
        "south.telescope": "https://south.example",
    }
    assert made.tls is not None
    assert (made.tls.certificate, made.tls.key, made.tls.ca) == (Path("/site/host.crt"), Path("/etc/host.key"), None)
    assert made.accounts == Path("/site/secrets.json")
    assert made.people == Path("/site/people.json")
    assert "south.telescope" not in made.listen


@pytest.mark.parametrize(
    ("http", "told"),
    [
        ({"port": 0}, "port"),
        ({"port": 65534}, "do not fit"),
        ({"listen": {"camera": "nowhere"}}, "no place to listen"),
        ({"listen": {"camera": "127.0.0.1:0"}}, "no place to listen"),
        ({"listen": {"camera": "127.0.0.1:99999"}}, "no place to listen"),
        ({"listen": {"kamera": "127.0.0.1:9000"}}, "kamera"),
        ({"listen": {"camera": "127.0.0.1:8101"}}, "cannot both listen"),
        ({"listen": {"camera": "192.168.1.2:8101"}}, "tls"),
        ({"listen": {"camera": "0.0.0.0:8101"}, "insecure": True}, "by which address"),
        ({"modules": {"mount": "dome:8101"}}, "no address of a module"),
        ({"modules": {"mount": "ftp://dome:8101"}}, "no address of a module"),
        ({"modules": {"mount": "https://alice:secret@dome"}}, "no address of a module"),
        ({"modules": {"mount": "http://dome:8101"}}, "in clear"),
        ({"tls": {"certificate": "x"}}, "key"),
        ({"prot": 8000}, "prot"),
    ],
)
def test_what_is_wrong_is_told(http: Any, told: str) -> None:
    found, faults = site(http)
    assert found is None
    assert any(told in fault.message for fault in faults)


def test_a_network_without_tls_must_be_asked_for() -> None:
    made = config({"listen": {"camera": "192.168.1.2:8101"}, "insecure": True})
    assert made.urls["camera"] == "http://192.168.1.2:8101"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.0.1", False), ("localhost.example", False), ("127.0.0.1.example", False)],
)  # fmt: skip
def test_what_counts_as_this_host(host: str, loopback: bool) -> None:
    assert Listen(host, 1).is_loopback == loopback


# accounts

MEMBERS = {"camera": False, "gateway": True}


def test_members_get_secrets_once(tmp_path: Path) -> None:
    path = tmp_path / "http" / "accounts.json"
    accounts = Accounts(path, MEMBERS)
    accounts.prepare()
    assert path.stat().st_mode & 0o777 == 0o600
    secret = accounts.secret_of("camera")
    assert len(secret) == 64
    more = Accounts(path, {**MEMBERS, "roof": False})
    more.prepare()
    assert more.secret_of("camera") == secret
    assert more.caller("gateway").is_proxy
    assert not more.caller("roof").is_proxy
    with pytest.raises(ConfigError, match="roof has no secret"):
        accounts.secret_of("roof")
    accounts.refresh()
    assert accounts.secret_of("roof") == more.secret_of("roof")


def test_many_may_begin_at_once(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"

    def begin(number: int) -> Accounts:
        accounts = Accounts(path, {"site": False, f"m{number}": False})
        accounts.prepare()
        return accounts

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(begin, range(16)))
    for accounts in made:
        accounts.refresh()
    assert len({accounts.secret_of("site") for accounts in made}) == 1
    assert len({made[0].secret_of(f"m{number}") for number in range(16)}) == 16


@pytest.mark.parametrize("text", ["", "[]", "{", '{"x": {"role": "god"}}', '{"x": {"rule": "viewer"}}', "\xff"])
def test_a_broken_file_is_told_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "accounts.json"
    path.write_text(text, encoding="latin-1")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="accounts"):
        Accounts(path, MEMBERS).prepare()
    assert path.read_text(encoding="latin-1") == text


def test_secrets_that_others_may_read_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    Accounts(path, MEMBERS).prepare()
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        Accounts(path, MEMBERS).prepare()


def test_addresses_of_modules_are_names_of_accounts(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path / "accounts.json", {str(Address("camera", "south")): False})
    accounts.prepare()
    assert accounts.caller("south.camera").role == Role.MODULE
