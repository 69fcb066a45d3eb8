"""
Clone a repository for a volume, with nothing of this user's in it and nothing of the repository's run.

No configuration, credentials, hooks or submodules; no prompt; only repositories that Azure could reach
too, so neither files nor programs of this machine. Credentials in the URL reach git through its
environment, and its helpers by a pipe: no command line has them, which every user of the machine could
read, nor does the clone.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tarfile
import time

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from attrs import frozen


__all__ = ["GitError", "Wanted", "clone", "pack", "redacted"]

_SCHEMES = frozenset({"http", "https", "git"})
_HELPER = '!printf "username=%s\\npassword=%s\\n" "$ACIFLOW_GIT_USER" "$ACIFLOW_GIT_PASSWORD"; :'
"""Git's credential helper (gitcredentials(7)): a line of shell, which prints what git asks for."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PATIENCE = 600.0
"""Seconds for all of a clone."""
_KEPT = (
    *("PATH", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO"),
    *("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"),
)


class GitError(Exception):
    """There is no clone; says why, without credentials."""


@frozen(kw_only=True)
class Wanted:
    """
    What to clone, as in :class:`aciflow.local.protocol.Mount`.

    Attributes:
        repository: Its URL.
        directory: Where in the volume.
        revision: Which, or empty.
    """

    repository: str
    directory: str = ""
    revision: str = ""

    def problem(self) -> str | None:
        """Why it is not even tried."""
        parts = _split(self.repository)
        if parts.scheme not in _SCHEMES or not parts.netloc:
            return "its URL must begin with https://, http:// or git://"
        if any(map(_CONTROL.search, (self.repository, unquote(parts.netloc)))):
            return "its URL has control characters"
        if self.revision.startswith("-"):
            return "its revision must not begin with '-'"
        directory = PurePosixPath(self.directory)
        if directory.is_absolute() or ".." in directory.parts or self.directory.startswith("-"):
            return "its directory must be one below the volume"
        if "\0" in self.directory + self.revision:
            return "its directory and revision must not have NUL characters"
        if shutil.which("git") is None:
            return "this machine has no git, which the local engine clones with: install it"
        return None


def clone(wanted: Wanted, folder: Path, cancelled: Callable[[], bool]) -> None:
    """
    Clone into an empty folder, which is the volume's root.

    As the kubelet does it: into a folder named after the repository unless ``directory`` says where.

    Args:
        wanted: What.
        folder: Where; its parent is used for git's own files.
        cancelled: Whether nobody wants it any more.

    Raises:
        GitError: It failed, or was cancelled.
    """
    if problem := wanted.problem():
        raise GitError(problem)
    public, userinfo = _without_userinfo(wanted.repository)
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment |= {
        "HOME": str(folder.parent),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_ALLOW_PROTOCOL": ":".join(sorted(_SCHEMES)),
        "GIT_LFS_SKIP_SMUDGE": "1",
    }
    if userinfo:
        parts = _split(public)
        user, _, password = userinfo.partition(":")
        environment |= {
            "GIT_CONFIG_COUNT": "1",
            # for this server alone, wherever it leads to
            "GIT_CONFIG_KEY_0": f"credential.{parts.scheme}://{parts.netloc}.helper",
            "GIT_CONFIG_VALUE_0": _HELPER,
            "ACIFLOW_GIT_USER": unquote(user),
            "ACIFLOW_GIT_PASSWORD": unquote(password),
        }

    def git(*arguments: str) -> None:
        _run(arguments, folder, environment, wanted.repository, cancelled)

    target = [wanted.directory] if wanted.directory else []
    git("clone", "--quiet", "--template=", "--no-recurse-submodules", "--", public, *target)
    if wanted.revision:
        cloned = folder / wanted.directory if wanted.directory else next(folder.iterdir())
        git("-C", str(cloned), "checkout", "--quiet", "--force", wanted.revision, "--")


def pack(folder: Path, tar: Path) -> None:
    """Put all of a folder into a tar archive, owned by root and readable for everybody."""

    def belonging_to_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
        return entry

    with tarfile.open(tar, "w") as archive:
        archive.add(folder, arcname=".", filter=belonging_to_root)


def redacted(text: str, repository: str) -> str:
    """A text without the credentials of a repository's URL."""
    userinfo = _split(repository).netloc.rpartition("@")[0]
    password = userinfo.partition(":")[2]
    for secret in (userinfo, unquote(userinfo), password, unquote(password)):
        if secret:
            text = text.replace(secret, "***")
    return text


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # half an IPv6 address
        return SplitResult("", "", url, "", "")


def _without_userinfo(repository: str) -> tuple[str, str]:
    parts = _split(repository)
    userinfo, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=host)), userinfo


def _run(
    arguments: tuple[str, ...],
    folder: Path,
    environment: Mapping[str, str],
    repository: str,
    cancelled: Callable[[], bool],
) -> None:
    options = ("-c", "core.hooksPath=/dev/null", "-c", "http.lowSpeedLimit=100")
    command = ["git", *options, "-c", "http.lowSpeedTime=60", *arguments]
    try:
        process = subprocess.Popen(  # noqa: S603 - what is not ours comes after `--`, or is checked
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise GitError(f"git cannot be run: {error.strerror}") from error
    until = time.monotonic() + _PATIENCE
    with process:
        while True:
            try:
                _, said = process.communicate(timeout=0.1)
            except subprocess.TimeoutExpired:
                late = time.monotonic() > until
                if not late and not cancelled():
                    continue
                os.killpg(process.pid, signal.SIGKILL)  # with what it has started
                process.communicate()
                raise GitError(
                    "it took too long" if late else "it was not wanted any more"
                ) from None
            break
    if process.returncode:
        lines = [line for line in redacted(said, repository).splitlines() if line.strip()]
        raise GitError("; ".join(lines[-3:]) or f"git ended with {process.returncode}")
