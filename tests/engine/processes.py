"""A process of its own that uses the shared local endpoint, told over a pipe what to do."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from pathlib import Path
from typing import Any


ROOT = Path(__file__).parents[2]


def arm(azure: Any, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """One request to a ``LocalAzure``; ``path`` begins below the resource group ``r``."""
    from aciflow.local.protocol import Request

    base = f"/subscriptions/{azure.subscription_id}/resourcegroups/r"
    reply = azure.handle(
        Request(
            method=method,
            path=base + path,
            query={"api-version": "2023-05-01" if "providers" in path else "2021-04-01"},
            headers={"authorization": f"Bearer {azure.credential().get_token().token}"},
            body=b"" if body is None else json.dumps(body).encode(),
        )
    )
    return reply.status, reply.body


def group_path(name: str) -> str:
    """Of a container group."""
    return f"/providers/Microsoft.ContainerInstance/containerGroups/{name}"


def put(azure: Any, name: str, image: str, **more: Any) -> tuple[int, Any]:
    """Create a container group of one container."""
    arm(azure, "PUT", "", {"location": "westus"})
    properties = {
        "image": image,
        "ports": [{"port": 80}],
        "resources": {"requests": {"cpu": 1.0, "memoryInGB": 1.0}},
        **more,
    }
    body = {
        "location": "westus",
        "properties": {
            "osType": "Linux",
            "containers": [{"name": "c", "properties": properties}],
            "ipAddress": {"type": "Public", "ports": [{"protocol": "TCP", "port": 80}]},
        },
    }
    return arm(azure, "PUT", group_path(name), body)


def wait_until_running(azure: Any, name: str, timeout: float = 20.0) -> dict[str, Any]:
    """The group's body once its container runs."""
    end = time.monotonic() + timeout
    while True:
        status, body = arm(azure, "GET", group_path(name))
        if status == 200 and body["properties"]["instanceView"]["state"] == "Running":
            return dict(body)
        assert time.monotonic() < end, (status, body)
        time.sleep(0.02)


class Process:
    """Runs one line of Python after another; each reply is the value of ``result`` as JSON."""

    _PROGRAM = """
import json, sys
from aciflow.local import LocalAzure
from tests.engine.processes import *
azure = LocalAzure.shared()
azure.start()
service = azure._service
print(json.dumps(service.holds), flush=True)
for line in sys.stdin:
    names = dict(globals(), result=None)
    exec(json.loads(line), names)
    print(json.dumps(names["result"]), flush=True)
"""

    def __init__(self) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", self._PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.held_at_start = bool(self._read())

    def do(self, line: str) -> Any:
        """Run a line; what it assigned to ``result``."""
        assert self.popen.stdin is not None
        self.popen.stdin.write(json.dumps(line) + "\n")
        self.popen.stdin.flush()
        return self._read()

    def end(self) -> int:
        """Let it come to its end by itself; its exit code."""
        assert self.popen.stdin is not None
        if not self.popen.stdin.closed:
            self.popen.stdin.close()
        code = self.popen.wait(timeout=20)
        self._close()
        return code

    def kill(self) -> None:
        """SIGKILL: it has no chance to do anything."""
        self.popen.kill()
        self.popen.wait()
        self._close()

    def _close(self) -> None:
        for pipe in (self.popen.stdin, self.popen.stdout):
            assert pipe is not None
            pipe.close()

    def _read(self) -> Any:
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        assert line, f"the process ended with {self.popen.wait(timeout=20)}"
        return json.loads(line)
