"""ejabberd's configuration file."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pytel.servers.setup import (
    EVENTS,
    EVENTS_KEPT,
    GUEST_SITE_BYTES_PER_SECOND,
    MAX_STANZA,
    PEOPLE_BURST_SECONDS,
    PEOPLE_BYTES_PER_SECOND,
    PEOPLE_STANZAS_PER_SECOND,
    STATES,
    Federation,
    ServerSetup,
)

_MECHANISMS_OFF = ["PLAIN", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "X-OAUTH2", "ANONYMOUS"]
_TLS = ["no_sslv2", "no_sslv3", "no_tlsv1", "no_tlsv1_1"]
_BURST_SECONDS = 2
_COMMANDS = [
    "status",
    "register",
    "unregister",
    "registered_users",
    "check_password",
    "change_password",
    "kick_user",
    "srg_list",
    "srg_create",
    "srg_user_add",
]
_NODE = {
    "access_model": "open",
    "publish_model": "publishers",
    "persist_items": True,
    "presence_based_delivery": False,
    "notify_retract": False,
    "send_last_published_item": "on_sub_and_presence",
}


def ejabberd_config(setup: ServerSetup, *, home: Path, admin_socket: Path, certificate: Path, ca_file: Path) -> str:
    """Render the file; the paths are absolute."""
    tree = {
        # At `info` every order of the API is logged, with the password in it.
        "loglevel": "warning",
        "log_rotate_size": 10_000_000,
        "log_rotate_count": 1,
        "hosts": [setup.domain],
        "certfiles": [str(certificate)],
        "ca_file": str(ca_file),
        "auth_method": ["internal"],
        "auth_password_format": "scram",
        "auth_scram_hash": "sha256",
        "disable_sasl_mechanisms": _MECHANISMS_OFF,
        "c2s_protocol_options": _TLS,
        "s2s_protocol_options": _TLS,
        "listen": _listeners(setup, admin_socket),
        "acl": {
            "anybody": {"user_regexp": ""},
            "people": {"user": [f"{name}@{setup.domain}" for name in setup.people]},
        },
        "access_rules": {
            "anybody": {"allow": "anybody"},
            "nobody": {"deny": "all"},
            "peers": [{"deny": "all"}],
        },
        "api_permissions": {
            "the administrators' socket": {"from": ["mod_http_api"], "who": "all", "what": _COMMANDS},
        },
        "shaper": {
            "people": {"rate": PEOPLE_BYTES_PER_SECOND, "burst_size": _BURST_SECONDS * PEOPLE_BYTES_PER_SECOND},
            "guest_sites": {
                "rate": GUEST_SITE_BYTES_PER_SECOND,
                "burst_size": _BURST_SECONDS * GUEST_SITE_BYTES_PER_SECOND,
            },
        },
        "shaper_rules": {
            "max_user_sessions": 20,
            "accounts": [{"people": "people"}, {"none": "all"}],
            "sites": {"guest_sites": "all"},
        },
        "registration_timeout": "infinity",  # for the administrators: no module registers on behalf of others
        "modules": {**_modules(), "mod_pytel_people": _people(setup)},
    }
    if setup.federation:
        tree |= _federation(setup.federation)
        tree["acl"]["peers"] = {"server": list(setup.federation.peers)}  # type: ignore[index]
        tree["access_rules"]["peers"] = [{"allow": "peers"}, {"deny": "all"}]  # type: ignore[index]
    else:
        tree |= {"s2s_access": "nobody"}
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 4096
    yaml.representer.ignore_aliases = lambda _: True  # ejabberd's parser knows none
    text = StringIO()
    yaml.dump(tree, text)
    return text.getvalue()


def _listeners(setup: ServerSetup, admin_socket: Path) -> list[dict[str, Any]]:
    listeners: list[dict[str, Any]] = [
        {
            "port": setup.port,
            "ip": setup.host,
            "module": "ejabberd_c2s",
            "starttls_required": True,
            "max_stanza_size": MAX_STANZA,
            "shaper": "accounts",
            "access": "anybody",
        },
        {"port": f"unix:{admin_socket}", "module": "ejabberd_http", "request_handlers": {"/api": "mod_http_api"}},
    ]
    if setup.federation:
        listeners.append(
            {
                "port": setup.federation.port,
                "ip": setup.host,
                "module": "ejabberd_s2s_in",
                "max_stanza_size": MAX_STANZA,
                "shaper": "sites",
            }
        )
    return listeners


def _federation(federation: Federation) -> dict[str, Any]:
    options: dict[str, Any] = {
        "s2s_access": "peers",
        "s2s_use_starttls": "required",
        "s2s_max_retry_delay": "5 s",
        "s2s_timeout": "1 hour",
    }
    if federation.hosts:
        options |= {"s2s_dns_timeout": "2 s", "s2s_dns_retries": 1}
    return options


def _people(setup: ServerSetup) -> dict[str, Any]:
    return {
        "people": list(setup.people),
        "stanzas_per_second": PEOPLE_STANZAS_PER_SECOND,
        "burst_seconds": PEOPLE_BURST_SECONDS,
    }


def _modules() -> dict[str, Any]:
    return {
        "mod_admin_extra": {},
        "mod_caps": {},
        "mod_disco": {},
        "mod_http_api": {},
        "mod_ping": {},
        "mod_roster": {"access": "nobody"},
        "mod_shared_roster": {},
        "mod_time": {},
        "mod_pubsub": {
            "plugins": ["pep"],
            "access_createnode": "anybody",
            "last_item_cache": False,
            "ignore_pep_from_offline": False,
            "max_items_node": 256,
            "force_node_config": {
                f"{EVENTS}*": {**_NODE, "max_items": EVENTS_KEPT},
                f"{STATES}*": {**_NODE, "max_items": 1},
            },
        },
    }
