"""An INDI server that has its frames encoded before it is asked: what a client takes is all there is to measure.

`python -m benchmarks.indi_blob_server PORT SOCKET`: over TCP frames are base64 on one line, as indiserver writes
them; over the Unix socket (abstract) shared memory. A client that sets the number `GO` of a device gets frame
number `GO` of it, or 12 frames in a row for -1.
"""

from __future__ import annotations

import array
import base64
import io
import os
import re
import socket
import sys
import threading
from typing import Any, ClassVar

import numpy as np
from astropy.io import fits

SIDE = 4096
VARIANTS = 3
IN_A_ROW = 12
_DEFINITIONS = """\
<defNumberVector device="{0}" name="GO" label="" group="" state="Idle" perm="rw" timeout="60" {1}>
<defNumber name="GO" label="" format="%g" min="-1" max="9" step="1">0</defNumber></defNumberVector>
<defBLOBVector device="{0}" name="CCD1" label="" group="" state="Idle" perm="ro" timeout="60" {1}>
<defBLOB name="CCD1" label=""/></defBLOBVector>
"""
_STAMP = 'timestamp="2026-11-23T00:00:00"'
_ASKED = re.compile(
    rb'<enableBLOB device=["\'](?P<blob>[^"\']+)["\'][^>]*>(?P<mode>\w+)|<(?P<get>getProperties)'
    rb'|<newNumberVector[^>]*device=["\'](?P<go>[^"\']+)["\'].*?<oneNumber[^>]*>\s*(?P<value>[-\d.]+)',
    re.DOTALL,
)
DEVICES = ("ours-tcp", "ours-unix", "indipyclient-tcp", "pyindi-tcp", "pyindi-unix")


def frame(number: int) -> Any:
    """The frame of a number: noise, and its number in the first pixel."""
    pixels = np.random.default_rng(number).normal(1000, 20, (SIDE, SIDE)).astype(np.uint16)
    pixels[0, 0] = number
    return pixels


def fits_file(number: int) -> bytes:
    """The frame as FITS."""
    buffer = io.BytesIO()
    fits.PrimaryHDU(frame(number)).writeto(buffer)
    return buffer.getvalue()


class Frames:
    """The frames, made once in each form."""

    def __init__(self) -> None:
        self.encoded: list[bytes] = []
        self.shared: list[tuple[int, int]] = []
        for number in range(VARIANTS):
            content = fits_file(number)
            size = len(content)
            announced = f'    <oneBLOB name="CCD1" size="{size}" format=".fits" len="{size}">\n'
            whole = base64.b64encode(content)
            self.encoded.append(announced.encode() + whole + b"\n    </oneBLOB>\n</setBLOBVector>\n")
            descriptor = os.memfd_create("frame")
            os.write(descriptor, content)
            self.shared.append((descriptor, len(content)))


class Visit(threading.Thread):
    """One connection."""

    everybody: ClassVar[dict[str, list[Visit]]] = {}

    def __init__(self, connection: socket.socket, frames: Frames) -> None:
        super().__init__(daemon=True)
        self.connection, self.frames = connection, frames
        self.is_unix = connection.family == socket.AF_UNIX

    def run(self) -> None:
        """Answer until the client goes."""
        heard = b""
        while data := self._receive():
            heard += data
            end = 0
            for asked in _ASKED.finditer(heard):
                self._answer(asked)
                end = asked.end()
            heard = heard[end:]
        for enabled in self.everybody.values():
            if self in enabled:
                enabled.remove(self)

    def _receive(self) -> bytes:
        try:
            return self.connection.recv(65536)
        except OSError:
            return b""

    def _answer(self, asked: re.Match[bytes]) -> None:
        if asked["get"]:
            self.connection.sendall("".join(_DEFINITIONS.format(device, _STAMP) for device in DEVICES).encode())
        elif asked["blob"]:
            enabled = self.everybody.setdefault(asked["blob"].decode(), [])
            if asked["mode"] != b"Never" and self not in enabled:
                enabled.append(self)
        else:
            device, number = asked["go"].decode(), int(float(asked["value"]))
            for visit in tuple(self.everybody.get(device, [])):
                for one in [number] if number >= 0 else range(IN_A_ROW):
                    visit.send(device, one % VARIANTS)

    def send(self, device: str, number: int) -> None:
        """Send a frame."""
        head = f'<setBLOBVector device="{device}" name="CCD1" state="Ok" timeout="60" {_STAMP}>\n'.encode()
        if not self.is_unix:
            self.connection.sendall(head)
            self.connection.sendall(self.frames.encoded[number])
            return
        descriptor, size = self.frames.shared[number]
        announced = f'<oneBLOB name="CCD1" size="{size}" format=".fits" attached="true"/>\n</setBLOBVector>\n'
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))
        self.connection.sendmsg([head + announced.encode()], [rights])


def serve(listening: socket.socket, frames: Frames) -> None:
    """Take clients."""
    while True:
        connection, _ = listening.accept()
        Visit(connection, frames).start()


def main(port: int, path: str) -> None:
    """Serve until stdin ends."""
    frames = Frames()
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(f"\0{path}")
    unix.listen()
    for listening in (socket.create_server(("127.0.0.1", port)), unix):
        threading.Thread(target=serve, args=(listening, frames), daemon=True).start()
    print("{}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
