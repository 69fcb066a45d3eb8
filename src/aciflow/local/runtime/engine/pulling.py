"""Carry out ``PullImage``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from aciflow.local.protocol import Observation, Pulled, PullFailed, PullImage, PullStarted
from aciflow.local.runtime.engine import images
from aciflow.local.runtime.engine.api import EngineError, Interrupt


__all__ = ["pull"]


def pull(
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
