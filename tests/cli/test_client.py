"""The connection of the commands to a running site."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from types import FrameType

import pytest

from pytel.base.errors import ConnectionLost, Timeout
from pytel.cli.client import SiteClient

ANSWER = {"jsonrpc": "2.0", "id": 1, "result": "x" * 200_000}
STATE = {"jsonrpc": "2.0", "method": "state", "params": {"publisher": "camera"}}


def line(message: object) -> bytes:
    return json.dumps(message).encode() + b"\n"


@pytest.fixture
def ends() -> Iterator[tuple[SiteClient, socket.socket]]:
    ours, theirs = socket.socketpair()
    with SiteClient(ours) as client, theirs:
        yield client, theirs


def test_messages_come_in_pieces_and_several_at_once(ends: tuple[SiteClient, socket.socket]) -> None:
    client, site = ends
    sender = threading.Thread(target=site.sendall, args=(line(STATE) + line(ANSWER) + line(STATE) * 3,))
    sender.start()
    told = client.news()
    assert [next(told)["publisher"] for _ in range(3)] == ["camera"] * 3
    sender.join()


def test_a_site_that_goes_away_in_the_middle_of_a_line(ends: tuple[SiteClient, socket.socket]) -> None:
    client, site = ends
    site.sendall(line(ANSWER)[:100])
    site.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionLost, match="went away before it answered"):
        client.call("site.list_modules")


def test_a_site_that_does_not_answer(ends: tuple[SiteClient, socket.socket]) -> None:
    client, _ = ends
    with pytest.raises(Timeout, match="does not answer"):
        client.call("site.list_modules", timeout=0.1)


def test_a_signal_that_does_not_wake_it_ends_the_wait_all_the_same(ends: tuple[SiteClient, socket.socket]) -> None:
    """Like a Ctrl-C that comes just before the wait begins: here another thread takes it."""
    client, site = ends
    over = threading.Event()

    class Interrupted(Exception):
        pass

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    def send() -> None:
        time.sleep(0.2)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)
        over.wait(5.0)
        site.shutdown(socket.SHUT_RDWR)

    site.sendall(line({"jsonrpc": "2.0", "id": 1, "result": None}))
    before = signal.signal(signal.SIGUSR2, interrupt)
    sender = threading.Thread(target=send)
    try:
        sender.start()
        with pytest.raises(Interrupted):
            next(client.news())
        assert sender.is_alive(), "it was the end of the connection that woke it"
    finally:
        over.set()
        sender.join()
        signal.signal(signal.SIGUSR2, before)
