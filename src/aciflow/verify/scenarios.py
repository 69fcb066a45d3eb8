"""
What is done to an endpoint, written once for all of them.

Each scenario is a function of a :class:`~aciflow.verify.stage.Stage`. It checks what the documentation,
the recorded traffic or aciflow itself relies on, and answers what it can of what nobody has verified.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from aciflow.verify import life, refusals, region, running, sessions
from aciflow.verify.stage import Stage


__all__ = ["SCENARIOS", "Scenario"]


@frozen
class Scenario:
    """
    One scenario.

    Attributes:
        name: Short, unique.
        about: One line.
        run: Does it.
        cpu_seconds: vCPU-seconds that it is expected to use on Azure, for the estimate.
        gb_seconds: GB-seconds likewise.
    """

    name: str
    about: str
    run: Callable[[Stage], None]
    cpu_seconds: float = 0.0
    gb_seconds: float = 0.0


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("region", "what the region offers and counts", region.offers),
    Scenario("web", "a web server on a public address, watched", life.web, 90, 90),
    Scenario("usage", "a group counts in the usages", region.usage, 60, 60),
    Scenario("again", "PUT over a group, and what it may change", life.again, 360, 400),
    Scenario("tags", "PATCH of the tags", life.tags, 60, 60),
    Scenario("logs", "early, whole, last lines, stopped", life.logs, 90, 90),
    Scenario("exec", "a shell, arguments, what is missing", sessions.execute, 120, 120),
    Scenario("attach", "a container's output as it comes", sessions.attach, 90, 90),
    Scenario("stop", "stop, start, restart", life.stop_start, 180, 180),
    Scenario("moving", "a second request while a group starts", life.transitioning, 60, 60),
    Scenario("delete", "what DELETE answers, twice", life.delete, 60, 60),
    Scenario("job", "a job that ends well", running.job, 60, 60),
    Scenario("failing", "a job that fails", running.failing, 60, 60),
    Scenario("loop", "a container that always ends", running.crash_loop, 120, 120),
    Scenario("inside", "several containers, volumes, secrets", running.whole, 120, 180),
    Scenario("probes", "liveness and readiness", running.probes, 120, 120),
    Scenario("volume", "a volume that cannot be had", running.bad_volume, 180, 180),
    Scenario("names", "DNS labels and their scopes", region.names, 180, 180),
    Scenario("refusals", "mistakes, and what they are called", refusals.requests),
    Scenario("limits", "the smallest and the largest group", refusals.limits, 320, 2400),
    Scenario("images", "images and registries that cannot be had", refusals.images),
    Scenario("spot", "a group that may be evicted", region.spot, 60, 60),
    Scenario("resource-group", "made, asked for, deleted", region.resource_group),
    Scenario("aciflow", "launch and run, by aciflow itself", sessions.by_aciflow, 120, 180),
)
"""All of them, in order. Names and steps are what two runs are compared by."""
