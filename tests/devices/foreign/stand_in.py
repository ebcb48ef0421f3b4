"""A foreign control system as DESCRIPTION.md has it, in the standard library alone.

    python -I -S stand_in.py --memory FILE [--port PORT]

It prints its port. Its roof stands where it was when it is started again. `POST /sim` is the hand of the test: it sets
the weather, and has methods fail in all the ways that a server can.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USER, PASSWORD = "pytel", "open sesame"
SLEW_RATE = 60.0
ROOF_TRAVEL = 3.0
GOOD = {"temperature": 50.0, "humidity": 40, "pressure": 82000, "mean": 18.0, "gust": 27.0, "rain": 0.0, "clouds": 1}
BAD = {**GOOD, "humidity": 99, "rain": 0.2, "clouds": 8}


class Refused(Exception):
    def __init__(self, code: Any, message: Any) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Tower:
    def __init__(self, memory: Any) -> None:
        self.memory = memory
        self.lock = threading.RLock()
        self.weather: dict[str, Any] = dict(GOOD)
        self.frozen: Any = None
        self.behind = 0.0
        self.faults: dict[str, Any] = {}
        self.calls: list[Any] = []
        self.tasks: dict[int, Any] = {}
        self.queue: dict[str, Any] = {}
        self.state, self.position = "PARKED", (0.0, -30.0)
        self.motion: Any = None
        self.roof: list[Any] = [0.0, time.time(), 0]
        if os.path.exists(memory):
            with open(memory) as file:
                self.roof = json.load(file)

    # the telescope

    def settle(self) -> None:
        if self.motion is None:
            return
        number, begun, takes, start, end, then = self.motion
        part = min(1.0, (time.time() - begun) / takes)
        self.position = (start[0] + (end[0] - start[0]) * part, start[1] + (end[1] - start[1]) * part)
        if part == 1.0:
            self.state, self.motion = then, None
            self.tasks[number] = ("FINISHED", None)

    def move(self, ra: Any, dec: Any, then: Any) -> Any:
        self.settle()
        if self.motion is not None:
            raise Refused(4001, "the telescope is busy with another motion")
        number = len(self.tasks) + 1
        way = max(abs(ra - self.position[0]) * 15.0, abs(dec - self.position[1]))
        self.motion = (number, time.time(), max(0.3, way / SLEW_RATE), self.position, (ra, dec), then)
        self.tasks[number] = ("ACTIVE", None)
        self.state = "SLEW"
        return {"task": number}

    def telescope_slew(self, ra_hours: Any, dec: Any) -> Any:
        if not (0 <= ra_hours < 24 and -89 <= dec <= 60):
            raise Refused(4002, "outside the limits of the axes")
        return self.move(ra_hours, dec, "TRACK")

    def telescope_park(self) -> Any:
        return self.move(0.0, -30.0, "PARKED")

    def telescope_unpark(self) -> Any:
        return self.move(*self.position, "STILL")

    def telescope_track(self, on: Any) -> Any:
        self.settle()
        if self.motion is not None:
            raise Refused(4001, "the telescope is busy with another motion")
        self.state = "TRACK" if on == 1 else "STILL"
        return True

    def telescope_stop(self) -> Any:
        self.settle()
        if self.motion is not None:
            self.tasks[self.motion[0]] = ("ABORTED", "stopped by remote")
            self.state, self.motion = "STILL", None
        return True

    def telescope_status(self) -> Any:
        self.settle()
        return {"state": self.state, "position": {"ra_hours": self.position[0], "dec": self.position[1]}}

    def task_status(self, task: Any) -> Any:
        self.settle()
        if task not in self.tasks:
            raise Refused(4004, "there is no such task")
        state, reason = self.tasks[task]
        return {"task": task, "state": state, "reason": reason}

    # the roof

    def opening(self) -> Any:
        opening, since, direction = self.roof
        return max(0.0, min(1.0, opening + direction * (time.time() - since) / ROOF_TRAVEL))

    def drive(self, direction: Any) -> Any:
        self.roof = [self.opening(), time.time(), direction]
        with open(self.memory + ".part", "w") as file:
            json.dump(self.roof, file)
        os.replace(self.memory + ".part", self.memory)
        return True

    def roof_open(self) -> Any:
        if self.weather["rain"] > 0 or self.weather["humidity"] > 90:
            raise Refused(4003, "the weather does not permit it")
        return self.drive(1)

    def roof_close(self) -> Any:
        return self.drive(-1)

    def roof_stop(self) -> Any:
        return self.drive(0)

    def roof_status(self) -> Any:
        opening, direction = self.opening(), self.roof[2]
        state = {0: "HALTED", 1: "RISING", -1: "LOWERING"}[direction]
        if opening == 0.0 and direction <= 0:
            state = "SHUT"
        if opening == 1.0 and direction >= 0:
            state = "UP"
        return {"state": state, "percent": round(100 * opening, 1)}

    # weather and queue

    def weather_report(self) -> Any:
        if self.frozen is not None:
            return self.frozen
        now = self.weather
        return {
            "stamp": int((time.time() - self.behind) * 1000),
            "air": {name: now[name] for name in ("temperature", "humidity", "pressure")},
            "wind": [{"kind": kind, "speed": now[kind]} for kind in ("mean", "gust")],
            "rain": now["rain"],
            "clouds": now["clouds"],
        }

    def queue_submit(self, ref: Any, **entry: Any) -> Any:
        if set(entry) != {"object", "ra_hours", "dec", "blocks", "rank"}:
            raise Refused(-32602, "object, ra_hours, dec, blocks and rank are needed")
        entry["ref"] = ref
        known = self.queue.get(ref)
        if known is not None and {**known, "state": None} != {**entry, "state": None}:
            raise Refused(4005, "the reference is taken by another observation")
        self.queue.setdefault(ref, {**entry, "state": "WAITING"})
        return True

    def queue_list(self) -> Any:
        return {"observations": list(self.queue.values())}

    def queue_withdraw(self, ref: Any) -> Any:
        return self.queue_report(ref, "WITHDRAWN")

    def queue_report(self, ref: Any, state: Any, percent: Any = None) -> Any:
        if ref not in self.queue:
            raise Refused(4004, "there is no such observation")
        self.queue[ref]["state"] = state
        return True

    # the hand of the test

    def sim(self, weather: Any = None, change: Any = None, frozen: Any = None, **fault: Any) -> Any:
        if weather is not None:
            self.weather = dict(BAD if weather == "bad" else GOOD)
        if change:
            self.weather.update(change)
        if frozen is not None:
            self.frozen = self.weather_report() if frozen else None
        if fault.get("frozen_for"):
            self.frozen["stamp"] -= int(fault["frozen_for"] * 1000)
        if fault.get("behind"):
            self.behind = fault["behind"]
        if fault.get("clear"):
            self.faults = {}
        if fault.get("kind"):
            self.faults[fault["method"]] = (fault["kind"], fault.get("value"))
        modules = sorted({name.partition(".")[0] for name in sys.modules})
        return {"calls": self.calls[-500:], "modules": modules, "roof": self.roof_status(), "queue": self.queue}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    tower: Tower

    def log_message(self, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path == "/sim":
            with self.tower.lock:
                said = self.tower.sim(**json.loads(body))
            self.send(200, json.dumps(said).encode())
            return
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.path != "/rpc" or self.headers.get("Authorization") != expected:
            self.send(401 if self.path == "/rpc" else 404, b"no")
            return
        request = json.loads(body)
        method = request["method"]
        kind, value = self.tower.faults.get(method) or self.tower.faults.get("*") or (None, None)
        if kind is None or not self.fail(kind, value, request):
            self.send(200, json.dumps(self.answer(request)).encode())

    def answer(self, request: Any) -> Any:
        answer = {"jsonrpc": "2.0", "id": request["id"]}
        work = getattr(self.tower, request["method"].replace(".", "_"), None) if "." in request["method"] else None
        with self.tower.lock:
            self.tower.calls.append([request["method"], request.get("params", {})])
            try:
                if work is None:
                    raise Refused(-32601, "method not found")
                return {**answer, "result": work(**request.get("params", {}))}
            except Refused as refused:
                return {**answer, "error": {"code": refused.code, "message": refused.message}}
            except TypeError as error:
                return {**answer, "error": {"code": -32602, "message": str(error)}}

    def fail(self, kind: Any, value: Any, request: Any) -> Any:
        """Fail in some way; tells whether nothing is left to be answered."""
        if kind == "hang":
            time.sleep(3600)
        elif kind == "slow":
            time.sleep(value)
            return False
        elif kind == "drip":
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            while True:
                self.wfile.write(b" ")
                time.sleep(0.05)
        elif kind == "garbage":
            self.send(200, b"<html>{nonsense")
        elif kind == "bytes":
            self.send(200, base64.b64decode(value))
        elif kind == "huge":
            self.send(200, b'"' + b"x" * 3_000_000 + b'"')
        elif kind == "500":
            self.send(500, b"Internal Server Error")
        elif kind == "redirect":
            self.send(302, b"", Location="http://127.0.0.1:9/")
        elif kind == "drop":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif kind == "drop once":
            self.tower.faults.pop(request["method"], None)
            self.fail("drop", None, request)
        elif kind == "lie":
            self.send(200, json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": value}).encode())
        elif kind == "error":
            self.send(200, json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": value}).encode())
        elif kind == "other id":
            self.send(200, json.dumps({"jsonrpc": "2.0", "id": -1, "result": True}).encode())
        return True

    def send(self, status: Any, body: Any, **headers: Any) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--memory", required=True)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    Handler.tower = Tower(options.memory)
    ThreadingHTTPServer.daemon_threads = True
    ThreadingHTTPServer.allow_reuse_address = True
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    server.handle_error = lambda *args: None  # type: ignore[method-assign]
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
