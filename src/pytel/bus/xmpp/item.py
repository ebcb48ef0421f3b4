"""A state or event as it stands in a node: `<item id='BOOT-SEQ'><json xmlns='urn:xmpp:json:0'>…</json></item>`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from xml.etree.ElementTree import Element

import msgspec

from pytel.base.errors import InvalidRequest, LimitExceeded
from pytel.bus.address import Address
from pytel.bus.contract import Builtin, Publication, Topic
from pytel.bus.xmpp.names import JSON, PUBSUB_EVENT, attribute, text

MAX_ITEM = 200_000
"""Bytes of one publication; what is larger belongs into the image store."""
_PAYLOAD = f"{{{JSON}}}json"


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A publication with the real time of its sending (Unix seconds)."""

    publication: Publication
    sent: float


class _Payload(msgspec.Struct):
    seq: int
    boot: str
    time: float
    sent: float
    data: Builtin


def encode_item(publication: Publication, sent: float) -> str:
    """The `<item/>`. Raises `LimitExceeded`."""
    told = {
        "seq": publication.seq,
        "boot": publication.boot,
        "time": publication.time,
        "sent": sent,
        "data": publication.data,
    }
    payload = text(json.dumps(told, separators=(",", ":"), allow_nan=False))
    if len(payload) > MAX_ITEM:
        raise LimitExceeded(
            f"{publication.topic.name} has {len(payload)} bytes, more than the {MAX_ITEM} that a bus carries; "
            "put what is large into the image store"
        )
    identity = attribute(f"{publication.boot}-{publication.seq}")
    return f"<item id={identity}><json xmlns='{JSON}'>{payload}</json></item>"


def decode_item(item: Element, publisher: Address, topic: Topic) -> Sent:
    """Read an `<item/>` of any namespace. Raises `InvalidRequest`."""
    payload = item.find(_PAYLOAD)
    if payload is None or not payload.text:
        raise InvalidRequest(f"an item of {topic} by {publisher} holds no JSON")
    try:
        told = msgspec.json.decode(payload.text, type=_Payload)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidRequest(f"an item of {topic} by {publisher} is misshapen: {error}") from error
    publication = Publication(
        publisher=publisher, topic=topic, seq=told.seq, boot=told.boot, time=told.time, data=told.data
    )
    return Sent(publication=publication, sent=told.sent)


def direct_message(to: str, topic: Topic, items: str) -> str:
    """Items sent to one listener, in the form in which a node would notify it."""
    return (
        f"<message type='headline' to={attribute(to)}><event xmlns='{PUBSUB_EVENT}'>"
        f"<items node={attribute(str(topic))}>{items}</items></event></message>"
    )


def items_of(message: Element) -> Iterator[tuple[Topic, list[Element]]]:
    """The items in a notification, by topic; nodes that are none of pytel's are passed over."""
    for event in message.iterfind(f"{{{PUBSUB_EVENT}}}event"):
        for items in event.iterfind(f"{{{PUBSUB_EVENT}}}items"):
            try:
                topic = Topic.parse(items.get("node", ""))
            except ValueError:
                continue
            yield topic, items.findall(f"{{{PUBSUB_EVENT}}}item")
