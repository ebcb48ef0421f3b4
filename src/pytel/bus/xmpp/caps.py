"""What an entity is and can do: service discovery (XEP-0030) told by a verified hash (XEP-0115)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from xml.etree.ElementTree import Element

from pytel.base.errors import InvalidRequest
from pytel.bus.xmpp.names import CAPS, DISCO_INFO, FORMS, attribute, child

NODE = "urn:pytel"
IDENTITY = ("client", "bot", "", "pytel")
"""Category, type, language and name."""
_IDENTITY = f"{{{DISCO_INFO}}}identity"
_FEATURE = f"{{{DISCO_INFO}}}feature"
_FORM = f"{{{FORMS}}}x"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def verification_string(
    identities: Iterable[tuple[str, str, str, str]],
    features: Iterable[str],
    forms: Iterable[tuple[str, dict[str, list[str]]]] = (),
) -> str:
    """The hash over identities, features and forms (XEP-0115, section 5.1)."""
    parts = ["/".join(identity) for identity in sorted(identities)] + sorted(features)
    for form_type, fields in sorted(forms):
        parts.append(form_type)
        for name in sorted(fields):
            parts += [name, *sorted(fields[name])]
    told = "".join(f"{part}<" for part in parts)
    return base64.b64encode(hashlib.sha1(told.encode(), usedforsecurity=False).digest()).decode()


class OwnCaps:
    """What this entity announces."""

    def __init__(self, features: Iterable[str]) -> None:
        self.features = tuple(sorted({DISCO_INFO, CAPS, *features}))
        self.ver = verification_string([IDENTITY], self.features)

    def element(self) -> str:
        """The `<c/>` of a presence."""
        return f"<c xmlns='{CAPS}' hash='sha-1' node='{NODE}' ver='{self.ver}'/>"

    def info(self, node: str | None) -> str | None:
        """The answer to a query for information; None for a node that is not known."""
        if node not in (None, NODE, f"{NODE}#{self.ver}"):
            return None
        category, kind, _, name = IDENTITY
        head = f"<query xmlns='{DISCO_INFO}'" + (f" node={attribute(node)}>" if node else ">")
        features = "".join(f"<feature var={attribute(feature)}/>" for feature in self.features)
        return f"{head}<identity category='{category}' type='{kind}' name='{name}'/>{features}</query>"


def announced(presence: Element) -> tuple[str, str] | None:
    """Node and hash that a presence announces (SHA-1 only, the mandatory one); None for neither."""
    told = child(presence, CAPS, "c")
    if told is None or told.get("hash") != "sha-1":
        return None
    node, ver = told.get("node"), told.get("ver")
    return (node, ver) if node and ver else None


def query_for(node: str, ver: str) -> str:
    """The question what a hash stands for."""
    return f"<query xmlns='{DISCO_INFO}' node={attribute(f'{node}#{ver}')}/>"


def verified_features(answer: Element, ver: str) -> frozenset[str]:
    """The features in an answer. Raises `InvalidRequest` when they are not what the hash was made of."""
    query = child(answer, DISCO_INFO, "query")
    if query is None:
        raise InvalidRequest("the answer tells no information")
    identities = [
        (item.get("category", ""), item.get("type", ""), item.get(_LANG, ""), item.get("name", ""))
        for item in query.iterfind(_IDENTITY)
    ]
    features = [item.get("var", "") for item in query.iterfind(_FEATURE)]
    forms = [_form(item) for item in query.iterfind(_FORM)]
    made = verification_string(identities, features, [form for form in forms if form is not None])
    if made != ver or len(set(features)) != len(features) or len(set(identities)) != len(identities):
        raise InvalidRequest("what is told does not match its hash")
    return frozenset(features)


def _form(form: Element) -> tuple[str, dict[str, list[str]]] | None:
    fields = {
        field.get("var", ""): [value.text or "" for value in field.iterfind(f"{{{FORMS}}}value")]
        for field in form.iterfind(f"{{{FORMS}}}field")
    }
    form_type = fields.pop("FORM_TYPE", None)
    return (form_type[0], fields) if form_type else None
