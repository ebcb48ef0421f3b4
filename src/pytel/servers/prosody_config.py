"""Prosody's configuration file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytel.servers.setup import (
    EVENTS_KEPT,
    GUEST_SITE_BYTES_PER_SECOND,
    MAX_STANZA,
    MAX_STANZA_OF_PEOPLE,
    PEOPLE_BURST_SECONDS,
    PEOPLE_BYTES_PER_SECOND,
    PEOPLE_STANZAS_PER_SECOND,
    Federation,
    ServerSetup,
)

Lua = str | bool | int | Path | Sequence["Lua"] | Mapping[str, "Lua"]

PLUGINS = Path(__file__).parent / "prosody_plugins"
_MODULES = ("roster", "saslauth", "tls", "disco", "pep", "ping", "time", "admin_socket", "pytel_admin")
_MODULES_OF_HOST = ("pytel_site", "pytel_shaper")
_MECHANISMS_OFF = ("PLAIN", "LOGIN", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "ANONYMOUS", "OAUTHBEARER")


def prosody_config(
    setup: ServerSetup, *, home: Path, admin_socket: Path, certificate: Path, key: Path, ca_file: Path
) -> str:
    """Render the file; the paths are absolute."""
    options: dict[str, Lua] = {
        "run_as_root": os.geteuid() == 0,
        "pidfile": home / "prosody.pid",
        "data_path": home / "data",
        "plugin_paths": [PLUGINS],
        "admin_socket": admin_socket,
        "log": {"info": "*stdout"},
        "interfaces": [setup.host],
        "local_interfaces": [setup.host],
        "c2s_ports": [setup.port],
        "c2s_direct_tls_ports": [],
        "s2s_direct_tls_ports": [],
        "http_ports": [],
        "https_ports": [],
        "component_ports": [],
        "modules_enabled": list(_MODULES),
        "authentication": "internal_hashed",
        "password_hash": "SHA-256",
        "disable_sasl_mechanisms": list(_MECHANISMS_OFF),
        "allow_registration": False,
        "default_storage": "internal",
        # On disk, each item beyond the last kept one means that the whole node is written anew: 60 ms in which the
        # server does nothing else. Modules give their items again after a restart of the server.
        "storage": {"pep_data": "memory"},
        "c2s_require_encryption": True,
        "c2s_timeout": 30,
        "c2s_stanza_size_limit": MAX_STANZA,
        # Nagle's algorithm holds back small stanzas by 40 ms.
        "network_settings": {"nagle": False},
        "pep_max_items": 256,
        "pytel_events_kept": EVENTS_KEPT,
        "pytel_people": list(setup.people),
        "pytel_people_bytes_per_second": PEOPLE_BYTES_PER_SECOND,
        "pytel_people_stanzas_per_second": PEOPLE_STANZAS_PER_SECOND,
        "pytel_people_burst_seconds": PEOPLE_BURST_SECONDS,
        "pytel_people_stanza_size_limit": MAX_STANZA_OF_PEOPLE,
        **(_federation(setup.federation, home) if setup.federation else _alone()),
    }
    host: dict[str, Lua] = {
        "modules_enabled": [*_MODULES_OF_HOST, *(("pytel_peers",) if setup.federation else ())],
        "ssl": {
            "certificate": certificate,
            "key": key,
            "cafile": ca_file,
            "capath": "/nonexistent",  # the public authorities vouch for nobody here
            "protocol": "tlsv1_2+",
        },
    }
    lines = [f"{name} = {_lua(value)}" for name, value in options.items()]
    lines += ["", f"VirtualHost {_lua(setup.domain)}"]
    lines += [f"  {name} = {_lua(value)}" for name, value in host.items()]
    return "\n".join(lines) + "\n"


def _alone() -> dict[str, Lua]:
    return {"modules_disabled": ["offline", "s2s", "s2s_auth_certs"], "s2s_ports": []}


def _federation(federation: Federation, home: Path) -> dict[str, Lua]:
    options: dict[str, Lua] = {
        "modules_disabled": ["offline"],
        "s2s_ports": [federation.port],
        "s2s_require_encryption": True,
        "s2s_secure_auth": True,
        "s2s_stanza_size_limit": MAX_STANZA,
        "s2s_timeout": 20,
        "pytel_peers": list(federation.peers),
        "limits": {"s2sin": {"rate": f"{GUEST_SITE_BYTES_PER_SECOND // 1000}kb/s", "burst": "5s"}},
    }
    if federation.hosts:
        table = home / "hosts"
        table.write_text("".join(f"{address} {domain}\n" for domain, address in federation.hosts.items()))
        # A name that the table lacks is unknown at once: no question leaves the machine.
        options["unbound"] = {"hoststxt": table, "resolvconf": False, "forward": "127.0.0.1@1"}
    return options


def _lua(value: Lua) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (str, Path)):
        return _quoted(str(value))
    if isinstance(value, Mapping):
        return "{ " + "; ".join(f"[{_quoted(key)}] = {_lua(item)}" for key, item in value.items()) + " }"
    return "{ " + "; ".join(_lua(item) for item in value) + " }"


def _quoted(text: str) -> str:
    """A Lua string: everything that is not a plain character as `\\ddd`."""
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03d}" for byte in os.fsencode(text))
    return '"' + "".join(plain) + '"'
