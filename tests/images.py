"""
A web-server image for tests and demonstrations, made on the spot.

Nothing is fetched from a container registry: the one file in it is Debian's statically linked busybox.
Standard library only, since the demonstration runs it before anything else is there.

As a script it prints the name of an image to launch::

    python tests/images.py            # aciflow-test/web:1, made if the engine lacks it
    python tests/images.py nginx      # nginx if the engine has it or a registry answers, else the above
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import io
import json
import os
import platform
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit


WEB_IMAGE = "aciflow-test/web:1"

APPLETS = (
    "[ awk cat chmod cp cut date dd df du echo env false find free grep head hostname httpd id ip kill "
    "ls mkdir mount mv nc netstat nproc nslookup od ping printf ps pwd readlink rm sed seq sh sleep "
    "sort stat tail tar tee test timeout touch tr true tty uname uniq vi wc wget which whoami xargs yes"
)


# --- the engine -------------------------------------------------------------------------------


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass(frozen=True)
class Engine:
    """The Engine API at one address, as far as making and counting things needs it."""

    address: str

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> tuple[int, bytes]:
        """One request; the status and all of the body."""
        url = urlsplit(self.address)
        connection = (
            _UnixConnection(url.path, timeout)
            if url.scheme == "unix"
            else http.client.HTTPConnection(url.hostname or "", url.port or 2375, timeout=timeout)
        )
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return response.status, response.read()

    def json(self, path: str) -> Any:
        """GET ``path``, which must succeed."""
        status, body = self.request("GET", path)
        if status != 200:
            raise RuntimeError(f"GET {path}: {status} {body.decode(errors='replace')}")
        return json.loads(body)

    def has(self, image: str) -> bool:
        """Whether the engine has ``image``."""
        return self.request("GET", f"/images/{quote(image, safe='/:')}/json")[0] == 200

    def can_pull(self, image: str, *, within: float = 8.0) -> bool:
        """Whether a registry tells the engine of ``image`` in time; nothing is pulled."""
        try:
            path = f"/distribution/{quote(image, safe='/:')}/json"
            return self.request("GET", path, timeout=within)[0] == 200
        except OSError:
            return False

    def labelled(self, label: str) -> dict[str, Mapping[str, str]]:
        """
        What carries ``label``: "container NAME", "network NAME" or "volume NAME" to its labels.

        Things that vanish while one looks are not there.
        """
        query = quote(json.dumps({"label": [label]}))
        found: dict[str, Mapping[str, str]] = {}
        for item in self.json(f"/containers/json?all=1&filters={query}"):
            found[f"container {item['Names'][0].lstrip('/')}"] = item["Labels"] or {}
        for item in self.json(f"/networks?filters={query}"):
            found[f"network {item['Name']}"] = item["Labels"] or {}
        for item in self.json(f"/volumes?filters={query}")["Volumes"] or ():
            found[f"volume {item['Name']}"] = item["Labels"] or {}
        return found

    def remove(self, name: str) -> None:
        """Remove something by the name that :meth:`labelled` gave it; it may be gone."""
        kind, what = name.split(" ", 1)
        force = "?force=1" if kind == "container" else ""
        self.request("DELETE", f"/{kind}s/{quote(what)}{force}")


def addresses() -> Iterator[str]:
    """Where an engine may listen, in the order in which to try."""
    if host := os.environ.get("DOCKER_HOST"):
        yield host
        return
    runtime_dir = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    for path in (
        "/var/run/docker.sock",
        f"{runtime_dir}/docker.sock",
        f"{runtime_dir}/podman/podman.sock",
        "/run/podman/podman.sock",
    ):
        if os.path.exists(path):  # noqa: PTH110 (no directory of it may be readable)
            yield f"unix://{path}"


def find_engine() -> Engine | None:
    """The first engine that answers, or ``None``."""
    for address in addresses():
        engine = Engine(address)
        try:
            if engine.request("GET", "/_ping", timeout=5.0)[0] == 200:
                return engine
        except (OSError, http.client.HTTPException):
            continue
    return None


def left_by(engine: Engine, state: Path) -> list[str]:
    """What endpoints whose state is in the folder ``state`` have on ``engine``, whoever else uses it."""
    ids = {path.stem for path in state.glob("local/*/leases/*.lease")}
    for path in state.glob("local/*/shared/identity.json"):
        ids.add(json.loads(path.read_text())["endpoint_id"])
    found = engine.labelled("aciflow.endpoint") if ids else {}
    return sorted(name for name, labels in found.items() if labels["aciflow.endpoint"] in ids)


# --- busybox ----------------------------------------------------------------------------------


def _is_static(path: Path) -> bool:
    """Whether an ELF file names no dynamic loader, and so runs in an image without a C library."""
    data = path.read_bytes()[:4096]
    if data[:5] != b"\x7fELF\x02":
        return False
    (offset,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    program_headers = (struct.unpack_from("<I", data, offset + i * size)[0] for i in range(count))
    return 3 not in program_headers  # PT_INTERP


def cache_directory() -> Path:
    """Where things are kept between runs; safe to remove at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "aciflow"


def busybox() -> Path:
    """
    A statically linked busybox: this machine's, a kept one, or the one in Debian's package.

    Raises:
        RuntimeError: There is none to be had; the message says what to do.
    """
    kept = cache_directory() / "busybox"
    for path in (Path("/bin/busybox"), Path("/usr/bin/busybox"), kept):
        if path.is_file() and _is_static(path):
            return path
    if not shutil.which("apt-get"):
        raise RuntimeError("no static busybox here: install one (Alpine: busybox-static)")
    with tempfile.TemporaryDirectory() as directory:
        # Only unpacked: installing it would replace a dynamically linked busybox that is there.
        done = subprocess.run(
            ["apt-get", "download", "-q", "busybox-static"],
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
        )
        packages = list(Path(directory).glob("*.deb"))
        if done.returncode or not packages:
            raise RuntimeError(
                "cannot get Debian's package busybox-static (as root: apt-get update, then again):\n"
                + done.stderr.strip()
            )
        subprocess.run(["dpkg-deb", "-x", packages[0], "."], cwd=directory, check=True)
        unpacked = next(Path(directory).glob("**/bin/busybox"))
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}")
        shutil.copy(unpacked, part)
        part.replace(kept)
    return kept


# --- images -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Image:
    """
    What goes into an image.

    Attributes:
        name: With its tag.
        command: The exec array (``CMD``).
        files: Path to content; they are not executable.
        ports: Exposed TCP ports.
        env: Environment of the image.
        architecture: As images name it (``amd64``); default: this machine's.
    """

    name: str
    command: Sequence[str]
    files: Mapping[str, bytes] = field(default_factory=dict)
    ports: Sequence[int] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    architecture: str | None = None

    def layer(self) -> bytes:
        """The only layer: busybox, a link for each of its commands, and the files."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:

            def add(path: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE) -> None:
                entry = tarfile.TarInfo(path.lstrip("/"))
                entry.type = kind
                entry.mode = 0o755 if kind == tarfile.DIRTYPE or path.startswith("/bin/") else 0o644
                if path == "/tmp":
                    entry.mode = 0o1777
                if kind == tarfile.SYMTYPE:
                    entry.linkname = "busybox"
                else:
                    entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))

            parents = {str(Path(path).parent) for path in self.files}
            for directory in sorted({"/bin", "/etc", "/tmp", *parents} - {"/"}):
                add(directory, kind=tarfile.DIRTYPE)
            add("/bin/busybox", busybox().read_bytes())
            for applet in APPLETS.split():
                add(f"/bin/{applet}", kind=tarfile.SYMTYPE)
            add("/etc/passwd", b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
            add("/etc/group", b"root:x:0:\nnogroup:x:65534:\n")
            for path, content in sorted(self.files.items()):
                add(path, content)
        return buffer.getvalue()

    def archive(self) -> bytes:
        """The image as ``docker load`` reads it."""
        layer = self.layer()
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())
        config = json.dumps(
            {
                "architecture": self.architecture or machine or platform.machine(),
                "os": "linux",
                "config": {
                    "Cmd": list(self.command),
                    "Env": [f"{k}={v}" for k, v in {"PATH": "/bin", **self.env}.items()],
                    "ExposedPorts": {f"{port}/tcp": {} for port in self.ports},
                },
                "rootfs": {
                    "type": "layers",
                    "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"],
                },
            },
            sort_keys=True,
        ).encode()
        config_name = f"{hashlib.sha256(config).hexdigest()}.json"
        manifest = [{"Config": config_name, "RepoTags": [self.name], "Layers": ["layer.tar"]}]
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, content in (
                (config_name, config),
                ("layer.tar", layer),
                ("manifest.json", json.dumps(manifest).encode()),
            ):
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                entry.mode = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH
                tar.addfile(entry, io.BytesIO(content))
        return buffer.getvalue()

    def ensure(self, engine: Engine) -> str:
        """Give ``engine`` this image unless it has one of that name; the name."""
        if not engine.has(self.name):
            status, body = engine.request(
                "POST",
                "/images/load?quiet=1",
                self.archive(),
                headers={"Content-Type": "application/x-tar"},
            )
            if status != 200 or b'"error"' in body:
                raise RuntimeError(f"the engine refuses {self.name}: {body.decode()}")
        return self.name


WEB = Image(
    name=WEB_IMAGE,
    command=("/bin/httpd", "-f", "-p", "80", "-h", "/www"),
    files={"/www/index.html": b"hello from a container\n"},
    ports=(80,),
)


def _main(preferred: str | None) -> int:
    engine = find_engine()
    if engine is None:
        print("no container engine answers", file=sys.stderr)
        return 1
    if preferred and (engine.has(preferred) or engine.can_pull(preferred)):
        print(preferred)
        return 0
    try:
        print(WEB.ensure(engine))
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1] if len(sys.argv) > 1 else None))
