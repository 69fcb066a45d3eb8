"""Words of the command line as values; what is wrong with one is a usage error."""

from __future__ import annotations

import json
import os
import re
import shlex

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from aciflow import Ready, Registry


__all__ = ["UsageError", "duration", "files", "pairs", "ready", "registry", "secrets", "traces"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
PASSWORD = "ACIFLOW_REGISTRY_PASSWORD"  # noqa: S105 (the variable's name)


class UsageError(Exception):
    """What was typed makes no sense."""


def pairs(option: str, words: Sequence[str], form: str = "NAME=VALUE") -> dict[str, str]:
    """
    ``NAME=VALUE`` words; ``form`` is what an error says is expected.

    Raises:
        UsageError: A word has no ``=``.
    """
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise UsageError(f"{option} {word}: {form} is expected")
        found[name] = value
    return found


def secrets(words: Sequence[str]) -> dict[str, str]:
    """
    ``NAME`` words, whose values come from the environment, and ``NAME=VALUE`` words.

    Raises:
        UsageError: There is no such variable. The word itself is not repeated: it may be a secret.
    """
    found = {}
    for place, word in enumerate(words, 1):
        name, equals, value = word.partition("=")
        if not equals:
            if name not in os.environ:
                raise UsageError(
                    f"--secure-env, word {place} of {len(words)}: there is no such environment variable"
                )
            value = os.environ[name]
        found[name] = value
    return found


def files(words: Sequence[str]) -> dict[str, bytes]:
    """
    ``PATH=LOCAL`` words, as contents by path.

    Raises:
        UsageError: A local file cannot be read.
    """
    found = {}
    for path, local in pairs("--file", words).items():
        try:
            found[path] = Path(local).read_bytes()
        except OSError as error:
            raise UsageError(f"--file {path}={local}: {error.strerror}") from error
    return found


def duration(word: str | None) -> timedelta | None:
    """
    ``90s``, ``30m``, ``2h`` or ``1d``.

    Raises:
        UsageError: It is none of these.
    """
    if word is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", word)
    if match is None:
        raise UsageError(f"--delete-after {word}: a time like 90s, 30m, 2h or 1d is expected")
    return timedelta(seconds=float(match[1]) * _UNITS[match[2]])


def ready(words: Sequence[str] | None) -> Ready | None:
    """
    Conditions, all of which must hold.

    Raises:
        UsageError: A word is no condition.
    """
    if not words:
        return None
    whole = _condition(words[0])
    for word in words[1:]:
        whole = whole & _condition(word)
    return whole


def _condition(word: str) -> Ready:
    from aciflow import Ready

    if word == "running":
        return Ready.running()
    if word == "completed":
        return Ready.completed()
    if word.startswith("log:"):
        return Ready.log(word.removeprefix("log:"))
    if word.startswith("exec:"):
        try:
            argv = shlex.split(word.removeprefix("exec:"))
        except ValueError as error:
            raise UsageError(f"--ready {word}: {error}") from error
        return Ready.exec(argv)
    match = re.fullmatch(r"tcp(?::(\d+))?", word)
    if match is not None:
        return Ready.tcp(int(match[1]) if match[1] else None)
    match = re.fullmatch(r"http(?::(\d+))?:?(/.*)?", word)
    if match is not None:
        return Ready.http(match[2] or "/", int(match[1]) if match[1] else None)
    raise UsageError(
        f"--ready {word}: tcp[:PORT], http[:PORT][/PATH], log:PATTERN, exec:COMMAND, running or "
        "completed"
    )


def registry(server: str | None, user: str | None, identity: str | None) -> Registry | None:
    """
    A private registry.

    Raises:
        UsageError: There is no password for the user, or a user and no server.
    """
    from aciflow import Registry

    if server is None:
        if user is not None or identity is not None:
            raise UsageError("--registry-user and --registry-identity need --registry SERVER")
        return None
    if identity is not None:
        return Registry(server=server, identity=identity)
    if user is None:
        raise UsageError(f"--registry {server}: give --registry-user or --registry-identity")
    if PASSWORD not in os.environ:
        raise UsageError(f"--registry-user {user}: its password is read from {PASSWORD}")
    return Registry(server=server, username=user, password=os.environ[PASSWORD])


def traces(path: Path) -> list[dict[str, Any]]:
    """
    Recorded starts of a file.

    Raises:
        UsageError: It has none, or cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--traces {path}: {error}") from error
    rows = content.get("starts") if isinstance(content, dict) else content
    if not isinstance(rows, list) or not rows:
        raise UsageError(f'--traces {path}: recorded starts are expected, {{"starts": [...]}}')
    return rows
