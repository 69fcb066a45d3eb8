"""
Where the programs of others are that the tests run against the endpoint.

Each has an environment of its own: none has aciflow in it, and none is to meet another's dependencies.
Standard library only: ``.ci/machine.py`` installs them.
"""

from __future__ import annotations

from pathlib import Path

from tests.images import cache_directory


OTHER_CLIENTS = {
    "airflow": ("apache-airflow==3.3.2", "apache-airflow-providers-microsoft-azure==15.2.1"),
    "custodian": ("c7n-azure==0.7.52",),
}
"""Name to requirements, pinned: the tests are about what these send."""

NO_CLIENT = (
    "{} is not installed for the tests; CI=true python3 noxfile.py tests does it, in the cache"
)


def clients_directory() -> Path:
    """Below it, each program has a folder, with a file ``complete`` once it is installed."""
    return cache_directory() / "clients"


def find_client(name: str) -> Path | None:
    """The folder of a program's environment, or ``None``."""
    complete = sorted(
        clients_directory().glob(f"{name}-*/complete"), key=lambda path: path.stat().st_mtime
    )
    return complete[-1].parent if complete else None
