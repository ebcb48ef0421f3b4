"""What an entity can do, told by a hash (XEP-0115)."""

from __future__ import annotations

import asyncio
from xml.etree.ElementTree import Element, fromstring

import pytest

from bus.harness import until
from pytel.base.errors import InvalidRequest, ModuleNotFound, Timeout
from pytel.bus.contract import Role
from pytel.bus.xmpp.access import Access
from pytel.bus.xmpp.caps import OwnCaps, verification_string, verified_features
from pytel.bus.xmpp.names import CAPS, DISCO_INFO, PYTEL, Realm
from pytel.bus.xmpp.neighbours import Neighbour, Neighbours

FEATURES = [
    "http://jabber.org/protocol/caps",
    "http://jabber.org/protocol/disco#info",
    "http://jabber.org/protocol/disco#items",
    "http://jabber.org/protocol/muc",
]
SOFTWARE = (
    "urn:xmpp:dataforms:softwareinfo",
    {
        "ip_version": ["ipv4", "ipv6"],
        "os": ["Mac"],
        "os_version": ["10.5.1"],
        "software": ["Psi"],
        "software_version": ["0.11"],
    },
)
SIMPLE = "QgayPKawpkPSDYmwT/WM94uAlu0="
"""XEP-0115, section 5.2."""
COMPLEX = "q07IKJEyjvHSyhy//CH0CxmKi8w="
"""XEP-0115, section 5.3."""


def test_the_simple_example_of_the_standard() -> None:
    assert verification_string([("client", "pc", "", "Exodus 0.9.1")], reversed(FEATURES)) == SIMPLE


def test_the_complex_example_of_the_standard() -> None:
    identities = [("client", "pc", "en", "Psi 0.11"), ("client", "pc", "el", "Ψ 0.11")]
    assert verification_string(identities, FEATURES, [SOFTWARE]) == COMPLEX


def complex_answer() -> Element:
    fields = "".join(
        f"<field var='{name}'>{''.join(f'<value>{one}</value>' for one in values)}</field>"
        for name, values in SOFTWARE[1].items()
    )
    return fromstring(
        f"<iq xmlns='jabber:client' type='result'><query xmlns='{DISCO_INFO}'>"
        "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>"
        "<identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>"
        + "".join(f"<feature var='{feature}'/>" for feature in FEATURES)
        + "<x xmlns='jabber:x:data' type='result'>"
        f"<field var='FORM_TYPE' type='hidden'><value>{SOFTWARE[0]}</value></field>{fields}</x></query></iq>"
    )


def test_an_answer_is_verified() -> None:
    assert verified_features(complex_answer(), COMPLEX) == set(FEATURES)


@pytest.mark.parametrize("harm", ["more", "less", "twice", "no query", "other identity"])
def test_an_answer_that_does_not_match_its_hash_is_refused(harm: str) -> None:
    answer = complex_answer()
    query = answer[0]
    if harm == "more":
        query.append(fromstring(f"<feature xmlns='{DISCO_INFO}' var='urn:pytel:interface:Roof:1'/>"))
    elif harm == "less":
        query.remove(query[2])
    elif harm == "twice":
        query.append(query[2])
    elif harm == "no query":
        answer.remove(query)
    else:
        query[0].set("type", "bot")
    with pytest.raises(InvalidRequest):
        verified_features(answer, COMPLEX)


def test_our_own_answer_matches_our_own_hash() -> None:
    caps = OwnCaps(("urn:b", "urn:a", "urn:<&'\">"))
    answer = fromstring(f"<iq xmlns='jabber:client'>{caps.info(f'urn:pytel#{caps.ver}')}</iq>")
    assert verified_features(answer, caps.ver) == set(caps.features)
    assert caps.info("urn:pytel#other") is None


class Town:
    """Neighbours who answer what they are asked with `answers` (by bare JID), or do not."""

    def __init__(self, count: int) -> None:
        self.members = [f"m{number}@pytel.test" for number in range(count)]
        self.answers: dict[str, str | None] = {}
        self.asked: list[str] = []
        self.busy = 0
        """How many questions at first get no answer in time."""
        self.known: dict[str, Neighbour | None] = {}
        self.neighbours = Neighbours(
            Realm("pytel.test"),
            Access({**dict.fromkeys(self.members, Role.MODULE), "alice@pytel.test": Role.VIEWER}),
            self._ask,
            self._changed,
            "me@pytel.test/pytel",
        )

    async def _ask(self, jid: str, content: str) -> Element:
        self.asked.append(jid)
        await asyncio.sleep(0.01)
        if len(self.asked) <= self.busy:
            raise Timeout(f"{jid} did not answer within 10 s")
        said = self.answers.get(jid.partition("/")[0])
        if said is None:
            raise ModuleNotFound(f"{jid} has gone")
        return fromstring(f"<iq xmlns='jabber:client'>{said}</iq>")

    def _changed(self, before: Neighbour | None, after: Neighbour | None) -> None:
        if after is not None:
            self.known[after.bare_jid] = after
        elif before is not None:
            self.known[before.bare_jid] = None

    def leaves(self, member: str) -> None:
        self.neighbours.receive(
            fromstring(f"<presence xmlns='jabber:client' from='{member}/pytel' type='unavailable'/>")
        )

    def comes(self, member: str, ver: str, resource: str = "pytel") -> None:
        self.neighbours.receive(
            fromstring(
                f"<presence xmlns='jabber:client' from='{member}/{resource}'>"
                f"<c xmlns='{CAPS}' hash='sha-1' node='urn:pytel' ver='{ver}'/>"
                f"<module xmlns='{PYTEL}' boot='b'/></presence>"
            )
        )


async def test_many_peers_with_one_hash_are_asked_once() -> None:
    town, caps = Town(40), OwnCaps(("urn:pytel:interface:Roof:1",))
    for member in town.members:
        town.answers[member] = caps.info(None)
        town.comes(member, caps.ver)
    await until(lambda: len(town.known) == 40)
    assert len(town.asked) == 1
    town.comes(town.members[0], caps.ver)
    await asyncio.sleep(0.05)
    assert len(town.asked) == 1
    assert {known.peer.card.interfaces for known in town.known.values() if known and known.peer} == {
        ("urn:pytel:interface:Roof:1",)
    }


async def test_who_does_not_match_his_hash_is_not_taken_in_and_spoils_it_for_nobody() -> None:
    town, caps = Town(3), OwnCaps(("urn:pytel:interface:Roof:1",))
    liar, *honest = town.members
    town.answers[liar] = OwnCaps(("urn:pytel:interface:Camera:1",)).info(None)
    for member in honest:
        town.answers[member] = caps.info(None)
    for member in town.members:
        town.comes(member, caps.ver)
    await until(lambda: set(honest) <= town.known.keys())
    await asyncio.sleep(0.05)
    assert liar not in town.known
    assert town.neighbours.get(liar) is None


async def test_others_are_asked_when_the_first_has_gone() -> None:
    town, caps = Town(3), OwnCaps(())
    gone, *there = town.members
    for member in there:
        town.answers[member] = caps.info(None)
    for member in town.members:
        town.comes(member, caps.ver)
    await until(lambda: set(there) <= town.known.keys())
    assert gone not in town.known


async def test_who_leaves_while_he_is_asked_is_not_taken_in() -> None:
    town, caps = Town(1), OwnCaps(())
    member = town.members[0]
    town.answers[member] = caps.info(None)
    town.comes(member, caps.ver)
    await asyncio.sleep(0)
    town.leaves(member)
    await asyncio.sleep(0.05)
    assert town.known == {}


async def test_who_is_said_to_be_gone_and_answers_has_not_gone() -> None:
    town, caps = Town(2), OwnCaps(())
    there, gone = town.members
    for member in town.members:
        town.answers[member] = caps.info(None)
        town.comes(member, caps.ver)
    await until(lambda: len(town.known) == 2)
    town.answers[there], town.answers[gone] = "", None
    for member in town.members:
        town.leaves(member)
    await until(lambda: town.known[gone] is None)
    await asyncio.sleep(0.05)
    assert town.known[there] is not None
    assert [known.bare_jid for known in town.neighbours.all()] == [there]


async def test_who_is_busy_at_first_is_asked_again() -> None:
    town, caps = Town(1), OwnCaps(())
    member = town.members[0]
    town.busy = 5
    town.answers[member] = caps.info(None)
    town.comes(member, caps.ver)
    await until(lambda: town.known.get(member) is not None)


async def test_another_program_under_a_module_s_name_is_not_the_module() -> None:
    town, caps = Town(1), OwnCaps(())
    member = town.members[0]
    town.answers[member] = caps.info(None)
    town.comes(member, caps.ver)
    await until(lambda: town.known.get(member) is not None)
    town.leaves(member)
    town.neighbours.receive(fromstring(f"<presence xmlns='jabber:client' from='{member}/pytel'/>"))
    assert town.known[member] is None
    await asyncio.sleep(0.05)
    assert town.neighbours.all() == []


async def test_people_are_not_asked_what_they_are_and_keep_no_module_waiting() -> None:
    town, caps = Town(1), OwnCaps(())
    town.answers[town.members[0]] = caps.info(None)
    for number in range(20):
        town.comes("alice@pytel.test", caps.ver, f"s{number}")
    assert len(town.neighbours.all()) == 20
    town.comes(town.members[0], caps.ver)
    await until(lambda: town.known.get(town.members[0]) is not None)
    assert town.asked == [f"{town.members[0]}/pytel"]
