"""
The pytest plugin: the fixture ``aci``, an Azure Container Instances of each test's own.

pytest loads this module whenever aciflow is installed, so it imports nothing until a test asks for the
fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest


if TYPE_CHECKING:
    from aciflow.client import Client
    from aciflow.local.azure import LocalAzure


__all__ = ["aci", "aci_client"]

_RUNTIMES = ("auto", "engine", "simulated")

_HELP = (
    "what the fixture aci runs containers on: engine (fails without one), simulated (no containers, "
    "only ACI's timing), auto (an engine; tests are skipped without one)"
)

_REMEDY = "run them with --aci-runtime simulated, if what they test needs no real containers"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option and the setting."""
    group = parser.getgroup("aciflow", "Azure Container Instances without Azure")
    group.addoption("--aci-runtime", choices=_RUNTIMES, default=None, help=_HELP)
    parser.addini("aci_runtime", _HELP, default="auto")


def pytest_configure(config: pytest.Config) -> None:
    """The marker, and a look at the setting."""
    config.addinivalue_line(
        "markers",
        "aci(**options): arguments of aciflow.local.LocalAzure for the fixture aci; "
        "runtime='simulated' and the like.",
    )
    chosen = config.getini("aci_runtime")
    if chosen not in _RUNTIMES:
        raise pytest.UsageError(f"aci_runtime = {chosen}: choose one of {', '.join(_RUNTIMES)}")


@pytest.fixture
def aci(request: pytest.FixtureRequest) -> Iterator[LocalAzure]:
    """
    A fresh, isolated local endpoint of Azure Container Instances; an :class:`aciflow.local.LocalAzure`.

    ``aci.client()`` is a client of aciflow's; ``aci.serve()`` and ``aci.environ()`` are for other programs
    and SDKs; ``aci.faults`` and ``aci.clock`` make it misbehave. Afterwards everything on it is removed,
    and a test of which something is left fails.
    """
    from aciflow.errors import EngineUnavailableError
    from aciflow.local.azure import LocalAzure

    marked, options = _options(request)
    runtime = options.setdefault("runtime", marked)
    may_skip = runtime == "auto"
    if may_skip:
        options["runtime"] = "engine"
    endpoint = LocalAzure(**options)
    try:
        try:
            endpoint.start()
        except EngineUnavailableError as problem:
            missing = f"no container engine: {problem.message}\nOr {_REMEDY}"
            (pytest.skip if may_skip else pytest.fail)(missing)
        yield endpoint
    finally:
        endpoint.close()
    left = _left(endpoint)
    if left and not options.get("keep"):
        pytest.fail(f"left on the engine: {', '.join(left)}", pytrace=False)


@pytest.fixture
def aci_client(aci: LocalAzure) -> Iterator[Client]:
    """A client of the fixture :func:`aci`; closed before it."""
    with aci.client() as client:
        yield client


def _options(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """The runtime that was chosen for all, and what the test's marker says; a closer one wins."""
    config = request.config
    chosen: str = config.getoption("aci_runtime") or config.getini("aci_runtime")
    options: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("aci"))):
        if marker.args:
            raise pytest.UsageError(
                "the marker aci takes arguments by name: aci(runtime='simulated')"
            )
        options.update(marker.kwargs)
    return chosen, options


def _left(endpoint: LocalAzure) -> list[str]:
    """What a closed endpoint still has on its engine."""
    if endpoint.kind != "engine":
        return []
    from aciflow.local.runtime.engine.address import require_engine
    from aciflow.local.runtime.engine.api import EngineApi
    from aciflow.local.runtime.engine.containers import ENDPOINT
    from aciflow.local.runtime.engine.runtime import EngineRuntime

    runtime = endpoint.runtime
    if not isinstance(runtime, EngineRuntime):
        return []
    api = EngineApi(require_engine())
    try:
        label = f"{ENDPOINT}={runtime.endpoint_id}"
        containers = [str(one["Names"][0]).lstrip("/") for one in api.containers(label)]
        return [*containers, *api.volumes(label)]
    finally:
        api.close()
