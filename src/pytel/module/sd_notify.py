"""Telling systemd how a service fares: sd_notify(3), over its datagram socket."""

from __future__ import annotations

import contextlib
import os
import socket


def notify(*assignments: str) -> bool:
    """Send lines such as `READY=1`; returns False when nobody asked for them (no `NOTIFY_SOCKET`)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):  # the abstract namespace
        address = f"\0{address[1:]}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, contextlib.suppress(OSError):
        sender.setblocking(False)
        sender.sendto("\n".join(assignments).encode(), address)
        return True
    return False


def wants_watchdog() -> bool:
    """Whether systemd waits for `WATCHDOG=1` of this very process."""
    pid = os.environ.get("WATCHDOG_PID")
    return "WATCHDOG_USEC" in os.environ and pid in (None, str(os.getpid()))
