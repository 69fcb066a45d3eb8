"""Where is a container engine? Looks at the environment and the usual sockets; imports no httpx."""

from __future__ import annotations

import hashlib
import json
import os
import socket

from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from attrs import field, frozen

from aciflow.errors import EngineUnavailableError


__all__ = ["EngineAddress", "find_engine", "require_engine"]


@frozen
class EngineAddress:
    """
    Where an engine listens.

    Attributes:
        url: ``unix:///var/run/docker.sock``, ``tcp://host:2375`` or ``https://host:2376``.
        source: What said so (``DOCKER_HOST``, a path).
        certificates: A directory with ``ca.pem``, ``cert.pem`` and ``key.pem``, for TLS.
    """

    url: str
    source: str
    certificates: str | None = field(default=None, kw_only=True)

    @property
    def socket_path(self) -> str | None:
        """The Unix socket, or ``None`` for an engine over TCP."""
        return self.url.removeprefix("unix://") if self.url.startswith("unix://") else None

    @property
    def host(self) -> str:
        """The machine on which published ports appear."""
        return "127.0.0.1" if self.socket_path else urlsplit(self.url).hostname or "127.0.0.1"

    @property
    def is_local(self) -> bool:
        """Whether the engine shares this machine's loopback, as far as its address tells."""
        return self.host in {"127.0.0.1", "localhost", "::1"}

    @property
    def key(self) -> str:
        """A short name for directories: the same for every process that uses this engine."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:12]

    def problem(self) -> str | None:
        """Why nothing answers here, or ``None`` if something does."""
        path = self.socket_path
        try:
            if path is not None:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.settimeout(2)
                    probe.connect(path)
            else:
                parts = urlsplit(self.url)
                if parts.scheme not in {"tcp", "http", "https"}:
                    return f"{parts.scheme}:// is not supported; use unix:// or tcp://"
                address = (parts.hostname or "", parts.port or 2375)
                with socket.create_connection(address, timeout=2):
                    pass
        except PermissionError:
            return "permission denied; is this user in the socket's group (often: docker)?"
        except (OSError, ValueError) as error:
            return getattr(error, "strerror", None) or str(error)
        return None


def candidates(environ: Mapping[str, str] | None = None) -> Iterator[EngineAddress]:
    """
    Where an engine may be, most wanted first.

    An explicit choice (``DOCKER_HOST``, ``CONTAINER_HOST``, a docker context) is the only candidate.
    """
    env = os.environ if environ is None else environ
    for name in ("DOCKER_HOST", "CONTAINER_HOST"):
        if url := env.get(name):
            secure = bool(env.get("DOCKER_TLS_VERIFY")) or url.startswith("https://")
            home = env.get("DOCKER_CERT_PATH") or str(Path.home() / ".docker")
            if secure:
                url = url.replace("tcp://", "https://", 1)
            yield EngineAddress(url, name, certificates=home if secure else None)
            return
    if context := _docker_context(env):
        yield context
        return
    runtime_dir = env.get("XDG_RUNTIME_DIR")
    paths = [Path("/var/run/docker.sock")]
    if runtime_dir:
        paths += [Path(runtime_dir) / "docker.sock", Path(runtime_dir) / "podman/podman.sock"]
    paths += [
        Path("/run/podman/podman.sock"),
        Path.home() / ".docker/run/docker.sock",
        Path.home() / ".docker/desktop/docker.sock",
    ]
    for path in paths:
        if path.exists():
            yield EngineAddress(f"unix://{path}", str(path))


def _docker_context(env: Mapping[str, str]) -> EngineAddress | None:
    """The endpoint of the docker command's current context, unless that is the default."""
    home = Path(env.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        name = env.get("DOCKER_CONTEXT") or json.loads((home / "config.json").read_bytes()).get(
            "currentContext"
        )
        if not name or name == "default":
            return None
        digest = hashlib.sha256(name.encode()).hexdigest()
        meta = json.loads((home / "contexts/meta" / digest / "meta.json").read_bytes())
        url = meta["Endpoints"]["docker"]["Host"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return EngineAddress(str(url), f"docker context {name}")


def find_engine(environ: Mapping[str, str] | None = None) -> EngineAddress | None:
    """The first engine that accepts a connection, or ``None``."""
    return next((found for found in candidates(environ) if found.problem() is None), None)


def require_engine(environ: Mapping[str, str] | None = None) -> EngineAddress:
    """
    The engine to use.

    Raises:
        EngineUnavailableError: None accepts a connection; says what was tried and what would help.
    """
    tried = []
    for candidate in candidates(environ):
        problem = candidate.problem()
        if problem is None:
            return candidate
        tried.append(f"  {candidate.url} ({candidate.source}): {problem}")
    what = "\n".join(tried) or "  no DOCKER_HOST, and no socket of Docker or Podman"
    raise EngineUnavailableError(
        "the local endpoint runs real containers and found no container engine:\n"
        f"{what}\n"
        "Start Docker or Podman (on Debian: `apt-get install docker.io`, then `dockerd &` where no "
        "service manager starts it), or point DOCKER_HOST at one."
    )
