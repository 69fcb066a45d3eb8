"""A container registry on loopback: Debian's docker-registry, for what is about pulling."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.request

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.images import Engine


NO_REGISTRY = "docker-registry is not installed (Debian, as root: apt-get install docker-registry)"

CONFIG = """\
version: 0.1
log: {{level: error}}
storage:
  filesystem: {{rootdirectory: {folder}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@dataclass(frozen=True)
class Registry:
    """
    A registry that runs.

    Attributes:
        server: Host and port, as images name it; engines take registries on loopback without TLS.
        engine: The engine that pushes to it.
    """

    server: str
    engine: Engine

    def push(self, image: str, repository: str) -> str:
        """
        Copy an image of the engine to ``repository``; its name for a pull.

        The engine does not keep it under that name, so that the next use really pulls.
        """
        name = f"{self.server}/{repository}"
        target = quote(name, safe="")
        query = f"repo={target}&tag=1"
        self._expect("POST", f"/images/{quote(image, safe='/:')}/tag?{query}")
        nobody = base64.urlsafe_b64encode(json.dumps({}).encode()).decode()
        self._expect("POST", f"/images/{name}/push?tag=1", {"X-Registry-Auth": nobody})
        self.forget(f"{name}:1")
        return f"{name}:1"

    def forget(self, image: str) -> None:
        """Remove a name from the engine; none is fine."""
        self.engine.request("DELETE", f"/images/{quote(image, safe='/:')}")

    def _expect(self, method: str, path: str, headers: dict[str, str] | None = None) -> None:
        status, body = self.engine.request(method, path, headers=headers)
        if status not in {200, 201} or b'"error"' in body:
            raise RuntimeError(f"{method} {path}: {status} {body.decode()}")


@contextlib.contextmanager
def running(folder: Path, engine: Engine) -> Iterator[Registry]:
    """Run a registry that keeps its images in ``folder``; needs docker-registry on the PATH."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "registry.yml"
    config.write_text(CONFIG.format(folder=folder / "images", port=port))
    program = shutil.which("docker-registry")
    if program is None:
        raise RuntimeError(NO_REGISTRY)
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen([program, "serve", config], stdout=log, stderr=log)
    try:
        until = time.monotonic() + 10.0
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=1.0).close()
                break
            except OSError:
                if time.monotonic() > until or process.poll() is not None:
                    raise
                time.sleep(0.05)
        yield Registry(f"127.0.0.1:{port}", engine)
    finally:
        process.terminate()
        process.wait(10)
