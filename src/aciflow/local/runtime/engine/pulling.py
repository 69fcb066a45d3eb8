"""Carry out ``PullImage``, or cut it short."""

from __future__ import annotations

import threading

from collections.abc import Callable
from functools import partial

from aciflow.local.protocol import Observation, Pulled, PullFailed, PullImage, PullStarted
from aciflow.local.runtime.engine import images
from aciflow.local.runtime.engine.api import EngineError, Interrupt


__all__ = ["Pulls"]


class Pulls:
    """
    The pulls that are under way. Thread-safe.

    Args:
        lookups: The engine's images.
        tell: Takes what is observed.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        lookups: images.Lookups,
        tell: Callable[[Observation], None],
        clock: Callable[[], float],
    ) -> None:
        self._lookups = lookups
        self._tell = tell
        self._clock = clock
        self._lock = threading.Lock()
        self._running: dict[str, set[Interrupt]] = {}

    def begin(self, action: PullImage) -> Callable[[], None]:
        """From now on it can be cut; returns what pulls."""
        interrupt = Interrupt()
        with self._lock:
            self._running.setdefault(action.uid, set()).add(interrupt)

        def run() -> None:
            try:
                _pull(self._lookups, action, self._tell, self._clock, interrupt)
            finally:
                with self._lock:
                    left = self._running.get(action.uid, set())
                    left.discard(interrupt)
                    if not left:
                        self._running.pop(action.uid, None)

        return run

    def cut(self, uid: str | None = None) -> None:
        """End the pulls of a group, or all."""
        with self._lock:
            groups = list(self._running) if uid is None else [uid]
            for interrupt in [one for group in groups for one in self._running.get(group, ())]:
                interrupt.close()


def _pull(
    lookups: images.Lookups,
    action: PullImage,
    tell: Callable[[Observation], None],
    clock: Callable[[], float],
    interrupt: Interrupt,
) -> None:
    """
    Get an image unless it is there; never raises.

    Args:
        lookups: The engine's images.
        action: What to pull.
        tell: Takes what is observed.
        clock: Seconds since the epoch.
        interrupt: Ends the pull when it is closed.
    """
    api = lookups.api
    said = partial(dict[str, str], uid=action.uid, container=action.container)
    begun = clock()
    try:
        found = lookups.ask_or_recall(action.image)
        cached = found is not None
        digest = images.digest_of(found) if found else None
        tell(PullStarted(**said(), at=begun, digest=digest))
        if found is None:
            name, tag = images.split_reference(action.image)
            auth = images.auth_for(action.image, action.auths)
            with api.pull(name, tag, auth, interrupt) as progress:
                for entry in progress:
                    if "error" in entry:  # the status was 200: it began before it failed
                        raise EngineError(200, str(entry["error"]))
            found = api.inspect_image(action.image)
            if found is None:
                raise EngineError(404, f"the engine pulled '{action.image}' and does not have it")
        problem = images.platform_problem(
            api, action.image, str(found.get("Os", "")), str(found.get("Architecture", ""))
        )
        if problem:
            raise EngineError(0, problem)
    except EngineError as error:
        tell(PullFailed(**said(), at=clock(), message=error.message))
        return
    tell(Pulled(**said(), at=clock(), digest=images.digest_of(found), cached=cached))
