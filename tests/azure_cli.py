"""
Where the ``az`` of the tests is, and one to run.

``ACIFLOW_AZ`` names one; else it is the one that ``.ci/machine.py`` has installed, else the user's own.
Whichever it is, it runs with a configuration of its own: the user's login is not touched.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.images import cache_directory


AZ_VERSION = "2.91.0"
"""Pinned: what it sends changes from release to release, and the tests are about that."""

NO_AZ = (
    f"no az command line; CI=true python3 noxfile.py tests installs one ({AZ_VERSION}, 730 MB) in the "
    "cache; or install azure-cli and set ACIFLOW_AZ to its az"
)


def az_directory() -> Path:
    """Below it, each install has a folder, with a file ``complete`` once it is."""
    return cache_directory() / "azure-cli"


def find_az() -> Path | None:
    """The az to use, or ``None``."""
    if named := os.environ.get("ACIFLOW_AZ"):
        return Path(named)
    complete = sorted(
        az_directory().glob(f"{AZ_VERSION}-*/complete"), key=lambda path: path.stat().st_mtime
    )
    if complete:
        return complete[-1].parent / "bin" / "az"
    found = shutil.which("az")
    return Path(found) if found else None


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    command: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its standard output."""
        assert self.code == 0, self
        return json.loads(self.out) if self.out.strip() else None


@dataclass(frozen=True)
class Az:
    """
    An az on an endpoint.

    Attributes:
        program: Where it is.
        environment: Of its processes.
    """

    program: Path
    environment: Mapping[str, str] = field(repr=False)

    def __call__(self, *arguments: str, timeout: float = 90.0, stdin: str = "") -> Done:
        """Run it to its end."""
        done = subprocess.run(
            [self.program, *arguments],
            env=dict(self.environment),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Done(arguments, done.returncode, done.stdout, done.stderr)

    def json(self, *arguments: str, timeout: float = 90.0) -> Any:
        """Run it, which must succeed, and read its output."""
        return self(*arguments, timeout=timeout).json

    def refused(self, *arguments: str) -> str:
        """Run it, which must fail; what it says."""
        done = self(*arguments)
        assert done.code != 0, done
        assert done.out == "", done
        return done.err
