"""One thread hears of every container of an endpoint that ends."""

from __future__ import annotations

import json
import threading
import time

from collections.abc import Callable

from aciflow.local.runtime.engine.api import EngineApi, EngineError, Stream
from aciflow.local.runtime.engine.containers import ENDPOINT


__all__ = ["ExitWatcher"]


class ExitWatcher:
    """
    Follows the engine's events.

    Args:
        api: The engine.
        endpoint_id: Whose containers.
        exited: Called with a container's id and its exit code, in the watcher's thread.
        resumed: Called whenever the stream is open, also after it broke: look for what was missed.
    """

    def __init__(
        self,
        api: EngineApi,
        endpoint_id: str,
        exited: Callable[[str, int], None],
        resumed: Callable[[], None],
    ) -> None:
        self._api = api
        self._endpoint_id = endpoint_id
        self._exited = exited
        self._resumed = resumed
        self._stream: Stream | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="aciflow-engine-exits", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and wait for the thread."""
        self._closing.set()
        if self._stream is not None:
            self._stream.close()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        filters = {
            "type": ["container"],
            "event": ["die"],
            "label": [f"{ENDPOINT}={self._endpoint_id}"],
        }
        delay = 0.1
        while not self._closing.is_set():
            # A moment back, since the engine answers before it subscribes; hearing twice does no harm.
            params = {"filters": json.dumps(filters), "since": f"{time.time() - 2:.3f}"}
            try:
                with self._api.stream("GET", "/events", params=params) as stream:
                    self._stream = stream
                    if self._closing.is_set():
                        return
                    self._resumed()
                    delay = 0.1
                    for event in stream:
                        actor = event.get("Actor") or {}
                        code = (actor.get("Attributes") or {}).get("exitCode", "0")
                        self._exited(str(actor.get("ID", "")), int(code))
            except EngineError:
                pass  # the engine restarts, or is gone: the next request of an action will say so
            self._stream = None
            self._closing.wait(delay)
            delay = min(delay * 2, 5.0)
