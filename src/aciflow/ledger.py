"""
What this machine's launches meant to make, on disk before they made it.

One small JSON file a launch, mode 0600, written whole or not at all. It names resources and how to remove
them; it never holds a secret.
"""

from __future__ import annotations

import json
import os
import tempfile

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aciflow.local.state import private_directory


__all__ = ["Ledger"]


class Ledger:
    """
    The records in one folder.

    Args:
        folder: Made when the first record is written.
        durable: Whether a record must survive a power failure and not only this process. What is on a
            local engine does not survive one itself.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self._folder = folder
        self._durable = durable

    def write(self, record: Mapping[str, Any]) -> None:
        """Add a launch's record, or replace it. It is on disk when this returns."""
        private_directory(self._folder)
        handle, temporary = tempfile.mkstemp(dir=self._folder, suffix=".new")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(dict(record), file, indent=1)
                if self._durable:
                    file.flush()
                    os.fsync(file.fileno())
            Path(temporary).replace(self._path(record["launch_id"]))
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def clear(self, launch_id: str) -> None:
        """Drop a launch's record; none is fine."""
        self._path(launch_id).unlink(missing_ok=True)

    def clear_id(self, resource_id: str) -> None:
        """Drop every record of a container group that is known to be gone."""
        for record in self.records():
            if record["id"].lower() == resource_id.lower():
                self.clear(record["launch_id"])

    def records(self) -> list[dict[str, Any]]:
        """All records, oldest first."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                found.append(json.loads(path.read_text(encoding="utf-8")))
            except (FileNotFoundError, json.JSONDecodeError):
                continue  # cleared meanwhile by another process
        return sorted(found, key=lambda record: record["began"])

    def _path(self, launch_id: str) -> Path:
        return self._folder / f"{launch_id}.json"
