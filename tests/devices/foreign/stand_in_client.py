"""A foreign system that calls pytel, in the standard library alone.

    python -I -S stand_in_client.py URL < steps

`steps` is a JSON list of `{"user": […], "method": …, "params": …}`. A step with `"until": […], "at": "state"`
calls again until the result has one of these words there; `"$3.task"` stands for a part of the third step's result.
The answers are printed as a JSON list.
"""

from __future__ import annotations

import base64
import json
import sys
import time
import urllib.error
import urllib.request
from typing import Any


def post(url: str, user: Any, body: bytes) -> Any:
    headers = {"Content-Type": "application/json"}
    if user:
        headers["Authorization"] = "Basic " + base64.b64encode(":".join(user).encode()).decode()
    request = urllib.request.Request(url, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read())
    except urllib.error.HTTPError as error:
        return {"http": error.code}


def filled(value: Any, answers: list[Any]) -> Any:
    if isinstance(value, dict):
        return {name: filled(item, answers) for name, item in value.items()}
    if not (isinstance(value, str) and value.startswith("$")):
        return value
    number, _, path = value[1:].partition(".")
    found = answers[int(number) - 1]["result"]
    for name in path.split("."):
        found = found[name]
    return found


def main() -> None:
    answers: list[Any] = []
    for number, step in enumerate(json.load(sys.stdin)):
        request = {"jsonrpc": "2.0", "id": number, "method": step["method"]}
        request["params"] = filled(step.get("params", {}), answers)
        ends = time.time() + 60
        while True:
            answer = post(sys.argv[1], step.get("user"), json.dumps(request).encode())
            if "until" not in step or "result" not in answer or answer["result"][step["at"]] in step["until"]:
                break
            if time.time() > ends:
                raise SystemExit(f"{step['method']} never comes to an end: {answer}")
            time.sleep(0.2)
        answers.append(answer)
    modules = sorted({name.partition(".")[0] for name in sys.modules})
    print(json.dumps({"answers": answers, "modules": modules}))


if __name__ == "__main__":
    main()
