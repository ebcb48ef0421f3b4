"""How often one may try: what is kept of those who guess stays small."""

from __future__ import annotations

import pytest

from pytel.bus import attempts
from pytel.bus.attempts import ADDRESS_FAILURES, Attempts, TooManyAttempts


@pytest.fixture(autouse=True)
def standing_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "monotonic", lambda: 1000.0)


def test_a_name_is_counted_from_wherever_it_is_tried() -> None:
    tried = Attempts()
    for number in range(attempts.NAME_FAILURES[0]):
        tried.charge(f"10.0.0.{number}", "anna")
    with pytest.raises(TooManyAttempts, match="try again in 6 s"):
        tried.charge("10.0.1.1", "anna")
    tried.charge("10.0.1.1", "otto")


def test_an_attempt_that_was_good_does_not_count() -> None:
    tried = Attempts()
    for _ in range(3 * ADDRESS_FAILURES[0]):
        tried.charge("10.0.0.1", "anna")
        tried.give_back("10.0.0.1", "anna")


def test_the_hosts_of_one_ipv6_network_are_one_address() -> None:
    tried = Attempts()
    for number in range(ADDRESS_FAILURES[0]):
        tried.charge(f"2001:db8::{number:x}", None)
    with pytest.raises(TooManyAttempts):
        tried.charge("2001:db8::ffff", None)


def test_names_are_kept_no_longer_than_names_are() -> None:
    tried = Attempts()
    tried.charge("10.0.0.1", "x" * 1_000_000)
    assert max(map(len, tried._by_name._free_at)) <= 100
    tried.give_back("10.0.0.1", "x" * 1_000_000)
    tried.refuse_too_many("10.0.0.1", "x" * 1_000_000)
