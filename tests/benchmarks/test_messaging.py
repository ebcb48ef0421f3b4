"""The benchmark of messages counts what is lost, refuses wrong answers, and compares rounds in pairs."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from benchmarks.measure import Figure
from benchmarks.messaging.actor import measured_calls, published
from benchmarks.messaging.calls import Burst
from benchmarks.messaging.cast import BARE, BARE_PROSODY, OURS, OURS_PROSODY, PEER
from benchmarks.messaging.claims import Claim, of_calls, wrong
from benchmarks.messaging.events import judged


class Fellow:
    """Gives back what it gets, but for one value."""

    def __init__(self, wrong: float | None = None) -> None:
        self.wrong = wrong
        self.under_way = self.most = 0
        self.said: list[tuple[str, int]] = []

    async def start(self) -> None:
        """Do nothing."""

    async def call(self, value: float) -> float:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        return -1.0 if value == self.wrong else value

    async def publish(self, kind: str, number: int) -> None:
        self.said.append((kind, number))


async def test_all_calls_are_made_with_as_many_under_way_as_asked() -> None:
    fellow = Fellow()
    told = await measured_calls(fellow, count=100, in_flight=7)
    assert len(told["seconds"]) == 100
    assert fellow.most == 7


async def test_a_wrong_answer_ends_the_measurement() -> None:
    with pytest.raises(AssertionError, match=r"3\.5 came back as -1"):
        await measured_calls(Fellow(wrong=3.5), count=10, in_flight=1)


async def test_what_is_published_is_written_down_before_it_goes() -> None:
    fellow = Fellow()
    sent = await published(fellow, kind="state", first=5, count=3, pause=0.0)
    assert fellow.said == [("state", 5), ("state", 6), ("state", 7)]
    assert [number for number, _ in sent] == [5, 6, 7]


def test_lost_and_doubled_publications_are_counted() -> None:
    sent = {1: 10.0, 2: 20.0}
    heard = [(0, 1, 10.001), (1, 1, 10.003), (1, 1, 10.004), (0, 2, 20.002)]
    found = judged(sent, heard, modules=2)
    assert (found.lost, found.twice) == (1, 1)
    assert [round(value) for value in found.first] == [1, 2]
    assert [round(value) for value in found.last] == [4, 2]


def test_only_losses_of_our_own_are_faults() -> None:
    bad = judged({1: 0.0}, [], modules=1)
    assert wrong({(PEER, "event", 1): [bad]}) == []
    assert wrong({(OURS, "event", 1): [bad, bad]}) == [f"{OURS}: events to 1 modules: 2 lost and 0 heard twice"]


def test_ratios_are_taken_round_by_round() -> None:
    def bursts(*p50: float) -> list[Burst]:
        return [Burst(value, value, 1000 / value, 1.0) for value in p50]

    rounds = {(name, crowd): bursts(1.0, 10.0) for name in (OURS, OURS_PROSODY, BARE_PROSODY) for crowd in (1, 50)}
    rounds |= {(name, crowd): bursts(2.0, 20.0) for name in (PEER, BARE) for crowd in (1, 50)}
    first, *_ = of_calls(rounds)
    assert first.ratio == Figure(0.5, 0.5, 0.5)
    assert not first.holds


def test_a_claim_says_whether_it_holds() -> None:
    assert Claim("x", Figure(0.4, 0.3, 0.6), 0.45).row()[-1] == "holds"
    assert Claim("x", Figure(4.0, 3.0, 6.0), 5.0, at_most=False).row()[-1] == "DOES NOT HOLD"


def test_what_runs_at_the_peer_needs_nothing_of_ours() -> None:
    code = "import sys, benchmarks.messaging.actor; print([name for name in sys.modules if name.startswith('pytel')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
