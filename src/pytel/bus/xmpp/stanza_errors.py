"""Errors of stanzas (RFC 6120, section 8.3) and the errors of pytel they stand for."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from pytel.base.errors import (
    ConnectionLost,
    InternalError,
    LimitExceeded,
    ModuleNotFound,
    NotAllowed,
    PytelError,
    RemoteError,
    Timeout,
)
from pytel.bus.xmpp.names import CLIENT, STANZA_ERRORS, child, text

_ABSENT = {"service-unavailable", "recipient-unavailable", "item-not-found", "remote-server-not-found", "gone"}
_REFUSED = {"forbidden", "not-allowed", "not-authorized", "registration-required", "subscription-required"}


def condition_of(stanza: Element) -> tuple[str, str]:
    """The condition of an error stanza and its text, which may be empty."""
    error = child(stanza, CLIENT, "error")
    if error is None:
        return "undefined-condition", ""
    said = child(error, STANZA_ERRORS, "text")
    for item in error:
        namespace, _, name = item.tag.rpartition("}")
        if namespace == f"{{{STANZA_ERRORS}" and name != "text":
            return name, (said.text or "") if said is not None else ""
    return "undefined-condition", (said.text or "") if said is not None else ""


def error_of(stanza: Element, whom: str) -> PytelError:
    """What an error answer of `whom` means to the caller."""
    condition, said = condition_of(stanza)
    tail = f" ({condition}{': ' + said if said else ''})"
    if condition in _ABSENT:
        return ModuleNotFound(f"{whom} is not on the bus; is it started?{tail}")
    if condition in _REFUSED:
        return NotAllowed(f"{whom} refuses{tail}")
    if condition == "remote-server-timeout":
        return ConnectionLost(f"the server of {whom} cannot be reached{tail}")
    if condition in ("resource-constraint", "policy-violation"):
        return LimitExceeded(f"{whom} refuses what goes beyond its limits{tail}")
    if condition == "internal-server-error":
        return InternalError(f"{whom} has failed{tail}")
    if condition == "reset":
        return Timeout(f"{whom} gave up{tail}")
    return RemoteError(f"{whom} answers with an error{tail}", condition=condition)


def error_stanza(kind: str, identity: str | None, to: str | None, condition: str, said: str = "") -> str:
    """An IQ of type error. `identity` and `to` come with their quotes on."""
    what = f"<text xmlns='{STANZA_ERRORS}'>{text(said)}</text>" if said else ""
    return (
        f"<iq type='error' id={identity} to={to}><error type='{kind}'><{condition} xmlns='{STANZA_ERRORS}'/>{what}"
        "</error></iq>"
    )
