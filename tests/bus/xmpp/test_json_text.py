"""JSON between tags: whatever the gate lets through is valid XML and comes back as it was."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from pytel.bus.contract import Builtin
from pytel.bus.xmpp.json_text import json_text

_TEXT = st.text(st.characters(codec="utf-8")) | st.sampled_from(["\ufffe", "\x00", "\x7f", "\ud800", "]]>", "é"])
_ATOMS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT
_VALUES: st.SearchStrategy[Builtin] = st.recursive(
    _ATOMS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4), max_leaves=10
)


@given(_VALUES)
def test_it_comes_back_through_xml_as_it_was(value: Builtin) -> None:
    element = ElementTree.fromstring(f"<json>{json_text(value)}</json>")
    assert json.loads(element.text or "") == value


@given(_VALUES)
def test_it_is_ascii(value: Builtin) -> None:
    assert json_text(value).isascii()
