"""Every test of pytel fails when it leaves tasks or threads behind, or blocks an event loop."""

from __future__ import annotations

import signal

import hypothesis
import pytest

pytest_plugins = ("pytester",)

# How long an example takes says something of the machine's load, not of the code.
hypothesis.settings.register_profile("pytel", deadline=None)
hypothesis.settings.load_profile("pytel")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in its background with Ctrl-C ignored, and children would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _clean(no_leaks: None, no_blocking: None) -> None:
    """Hold all tests to what we ask of others."""
