"""
What a machine needs before anything of aciflow can run: an environment for nox, and an engine.

Standard library only: it runs on a Debian that has nothing but python3. It installs system packages
only as root and with apt-get; everywhere else it says what is missing.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time

from collections.abc import Sequence
from pathlib import Path


ROOT = Path(__file__).resolve().parent.parent
TOOLS = ("nox>=2025.2",)

sys.path.insert(0, str(ROOT))
from tests.azure_cli import AZ_VERSION, az_directory  # noqa: E402
from tests.clients.environments import OTHER_CLIENTS, clients_directory  # noqa: E402
from tests.images import cache_directory, find_engine, left_by  # noqa: E402


CACHE = cache_directory()


class MissingError(Exception):
    """Something that only the user can put right; the message says how."""


def say(text: str) -> None:
    """Tell what takes time."""
    print(f"aciflow: {text}", file=sys.stderr, flush=True)


# --- system packages --------------------------------------------------------------------------


def _is_root() -> bool:
    return os.name == "posix" and os.geteuid() == 0


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def _installed(package: str) -> bool:
    done = _run("dpkg-query", "-W", "-f", "${db:Status-Status}", package)
    return done.returncode == 0 and done.stdout == "installed"


def debian_packages(*packages: str, why: str) -> None:
    """
    Install those of ``packages`` that are missing.

    Raises:
        MissingError: This is not Debian's family, or not root, or apt-get failed.
    """
    if not shutil.which("apt-get"):
        raise MissingError(f"not installed: {', '.join(packages)}, as Debian calls them ({why})")
    missing = [package for package in packages if not _installed(package)]
    if not missing:
        return
    command = ("apt-get", "install", "-y", "-q", "--no-install-recommends", *missing)
    if not _is_root():
        names = " ".join(missing)
        raise MissingError(f"not installed: {names} ({why}); as root: apt-get install {names}")
    say(f"installing {', '.join(missing)} ({why})")
    # An image of Debian comes without package lists, and old ones name versions that are gone.
    if _run(*command).returncode:
        _run("apt-get", "update", "-q")
        done = _run(*command)
        if done.returncode:
            raise MissingError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}")


# --- Python -----------------------------------------------------------------------------------


def _make_environment(where: Path) -> None:
    """An environment with pip at ``where``, also on a Debian whose Python lacks ensurepip."""
    if uv := shutil.which("uv"):
        subprocess.run([uv, "venv", "-q", "--seed", "-p", sys.executable, where], check=True)
        return
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        debian_packages("python3-venv", why="without it, this Python makes no environments")
    subprocess.run([sys.executable, "-m", "venv", where], check=True)


def nox() -> Path:
    """
    Where a Python that has nox is; made at the first call.

    Raises:
        MissingError: This Python is too old, or cannot make an environment.
    """
    if sys.version_info < (3, 11):  # noqa: UP036 (said here, where one meets it)
        version = ".".join(map(str, sys.version_info[:2]))
        raise MissingError(f"aciflow needs Python 3.11 or newer, and {sys.executable} is {version}")
    wanted = "\n".join((sys.executable, sys.version, *TOOLS))
    where = CACHE / "tools" / hashlib.sha256(wanted.encode()).hexdigest()[:12]
    python = where / "bin" / "python"
    if not (where / "complete").exists():
        say(f"making an environment for nox in {where}")
        shutil.rmtree(where, ignore_errors=True)
        where.parent.mkdir(parents=True, exist_ok=True)
        _make_environment(where)
        pip = (str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check")
        subprocess.run([*pip, *TOOLS], check=True)
        (where / "complete").touch()
    return python


def azure_cli() -> Path:
    """
    Where an ``az`` is; installed at the first call, in an environment of its own (two minutes, 730 MB).

    Raises:
        MissingError: This Python cannot make an environment, or pip failed.
    """
    if named := os.environ.get("ACIFLOW_AZ"):
        return Path(named)
    wanted = f"azure-cli=={AZ_VERSION}"
    return _program_environment(az_directory(), AZ_VERSION, [wanted], "two minutes") / "bin" / "az"


def other_clients() -> None:
    """
    Install what others have built on Azure's SDK, each in an environment of its own (200 to 360 MB).

    Raises:
        MissingError: This Python cannot make an environment, or pip failed.
    """
    for name, requirements in OTHER_CLIENTS.items():
        _program_environment(clients_directory(), name, requirements, "half a minute")


def _program_environment(parent: Path, name: str, requirements: Sequence[str], takes: str) -> Path:
    """
    An environment for programs that are not to be mixed with anything else.

    Its folder is ``NAME-DIGEST`` below ``parent``, with a file ``complete`` in it once it is.
    """
    wanted = "\n".join((sys.executable, sys.version, *requirements))
    where = parent / f"{name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    if (where / "complete").exists():
        return where
    what = ", ".join(requirements)
    say(f"installing {what} in {where} ({takes})")
    parent.mkdir(parents=True, exist_ok=True)
    for old in parent.glob(f"{name}-*"):  # what was interrupted here, and versions of the past
        shutil.rmtree(old, ignore_errors=True)
    _make_environment(where)
    command: tuple[str, ...] = (str(where / "bin" / "python"), "-m", "pip", "install", "-q")
    if uv := shutil.which("uv"):
        command = (uv, "pip", "install", "-q", "-p", str(where / "bin" / "python"))
    done = _run(*command, *requirements)
    if done.returncode:
        raise MissingError(f"pip could not install {what}:\n{done.stdout[-2000:]}")
    (where / "complete").touch()
    return where


def environments() -> Path:
    """
    Where nox keeps its environments: one folder a clone and state of pyproject.toml.

    Outside the clone, so that a clean checkout stays clean; of each clone the last three are kept.
    """
    clone = CACHE / "envs" / hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
    content = (ROOT / "pyproject.toml").read_bytes() + sys.version.encode()
    where = clone / hashlib.sha256(content).hexdigest()[:12]
    where.mkdir(parents=True, exist_ok=True)
    where.touch()
    for old in sorted(clone.iterdir(), key=lambda path: path.stat().st_mtime)[:-3]:
        shutil.rmtree(old, ignore_errors=True)
    return where


# --- the engine -------------------------------------------------------------------------------


def left_on_engine(state: Path) -> list[str]:
    """What endpoints with their state in ``state`` still have on the engine."""
    engine = find_engine()
    return left_by(engine, state) if engine else []


def ensure_engine() -> None:
    """
    See to it that a container engine answers: install it and start it where that is allowed.

    Raises:
        MissingError: There is none; the message says what to do.
    """
    if find_engine():
        return
    if host := os.environ.get("DOCKER_HOST"):
        raise MissingError(f"DOCKER_HOST is {host}, and no engine answers there")
    if not shutil.which("dockerd"):
        debian_packages("docker.io", "ca-certificates", "iptables", why="a container engine")
        if _answers(within=3.0):  # where services are managed, the package has started it
            return
    if not _is_root():
        raise MissingError(
            "no container engine answers to this user: start Docker and join the group docker, "
            "or start Podman (systemctl --user start podman.socket), or set DOCKER_HOST"
        )
    if Path("/run/systemd/system").is_dir():
        _run("systemctl", "start", "docker")
        if _answers(within=30.0):
            return
    CACHE.mkdir(parents=True, exist_ok=True)
    log = CACHE / "dockerd.log"
    with log.open("wb") as out:
        daemon = subprocess.Popen(
            ["dockerd"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    say(f"started dockerd (it stays; to stop it: kill {daemon.pid}; its log: {log})")
    if not _answers(within=60.0, daemon=daemon):
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
        raise MissingError(f"dockerd does not come up on this machine; the end of its log:\n{tail}")


def _answers(*, within: float, daemon: subprocess.Popen[bytes] | None = None) -> bool:
    until = time.monotonic() + within
    while time.monotonic() < until:
        if find_engine():
            return True
        if daemon is not None and daemon.poll() is not None:
            return False
        time.sleep(0.1)
    return False
