"""The image of an endpoint's own containers: pause containers, and helpers with a program put in."""

from __future__ import annotations

import threading

from aciflow.local.runtime.engine import pause
from aciflow.local.runtime.engine.api import EngineApi
from aciflow.local.runtime.engine.containers import ENDPOINT


__all__ = ["OwnImage"]


class OwnImage:
    """
    Made when it is first needed. Thread-safe.

    Args:
        api: The engine.
        endpoint_id: For its name and label.
    """

    def __init__(self, api: EngineApi, endpoint_id: str) -> None:
        self._api = api
        self._endpoint_id = endpoint_id
        self._lock = threading.Lock()
        self._made = False

    @property
    def name(self) -> str:
        """The image of this endpoint."""
        return f"aciflow-pause:{self._endpoint_id[:8]}"

    def ensure(self) -> None:
        """
        See to it that the engine has it.

        Raises:
            EngineError: It cannot be made.
            ValueError: There is no program for the engine's processor.
        """
        with self._lock:
            if self._made or self._api.inspect_image(self.name) is not None:
                self._made = True
                return
            changes = (*pause.CHANGES, f"LABEL {ENDPOINT}={self._endpoint_id}")
            tar = pause.image_tar(self._api.version.arch)
            self._api.import_image(tar, self.name, changes)
            self._made = True
