"""The arguments of a launch, said three times and the same each time."""

from __future__ import annotations

import inspect

from typing import Any

import pytest

from attrs import NOTHING, fields

import aciflow

from aciflow import options
from aciflow.options import LaunchOptions, RunOptions, ShapeOptions


# DESIGN's words: name to default.
SHAPE = {
    "public_ip": False,
    "ports": None,
    "name": None,
    "cpu": 1.0,
    "memory_gb": 1.5,
    "command": None,
    "env": None,
    "secure_env": None,
    "files": None,
    "volumes": None,
    "dns_label": None,
    "dns_scope": "TenantReuse",
    "restart_policy": "Always",
    "os_type": "Linux",
    "registry": None,
    "identity": None,
    "subnet": None,
    "zone": None,
    "spot": False,
    "tags": None,
}
PLACE = {"resource_group": None, "location": None}
HOW = {
    "ready": None,
    "timeout": 300.0,
    "wait": True,
    "if_exists": "error",
    "lifetime": "process",
    "on_failure": "delete",
    "delete_after": None,
    "on_phase": None,
}
RUN = {
    "start_timeout": 300.0,
    "timeout": None,
    "check": False,
    "on_log": None,
    "on_phase": None,
    "delete_after": None,
}


def shown(function: Any) -> dict[str, Any]:
    """Keyword arguments and their defaults, as ``help()`` has them."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


@pytest.mark.parametrize("module", [aciflow, aciflow.aio], ids=["sync", "async"])
def test_signatures(module: Any) -> None:
    """``inspect.signature`` shows what was promised, defaults included."""
    assert {**SHAPE, **PLACE, **HOW, "client": None} == shown(module.launch)
    run = {**SHAPE, **PLACE, **RUN, "client": None}
    del run["command"]  # its second argument
    assert run == shown(module.run)
    assert ["image", "command"] == [
        name
        for name, parameter in inspect.signature(module.run).parameters.items()
        if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]


@pytest.mark.parametrize(
    "owner",
    [aciflow.Client, aciflow.AsyncClient, aciflow.ResourceGroup, aciflow.AsyncResourceGroup],
)
def test_methods_show_the_same(owner: type) -> None:
    """But for ``client``, which they are or have."""
    assert {**SHAPE, **PLACE, **HOW} == shown(owner.launch)  # type: ignore[attr-defined]
    assert "client" not in shown(owner.run)  # type: ignore[attr-defined]


def test_client_arguments() -> None:
    """Both clients take the same."""
    assert inspect.signature(aciflow.Client) == inspect.signature(aciflow.AsyncClient)
    assert {
        "subscription_id": None,
        "credential": None,
        "cloud": "public",
        "location": None,
        "resource_group": None,
        "tags": None,
        "api_version": None,
    } == shown(aciflow.Client)


def typed(name: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names in a typed dictionary, which exists for type checkers alone."""
    import typing

    monkeypatch.setattr(typing, "TYPE_CHECKING", True)
    source = inspect.getsource(options)
    names: dict[str, Any] = {"__name__": "options_for_checkers"}
    exec(compile(source, options.__file__, "exec"), names)
    kind = names[name]
    return set(kind.__required_keys__ | kind.__optional_keys__)


def test_checkers_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The typed dictionaries name what the attrs classes hold, no more and no less."""
    launch = {a.name for kind in (ShapeOptions, LaunchOptions) for a in fields(kind)}
    run = {a.name for kind in (ShapeOptions, RunOptions) for a in fields(kind)} - {"command"}
    assert launch == typed("ImageLaunch", monkeypatch)
    assert {a.name for a in fields(LaunchOptions)} == typed("SpecLaunch", monkeypatch)
    assert launch | {"client"} == typed("ImageLaunchVia", monkeypatch)
    assert run == typed("RunShape", monkeypatch)
    assert run | {"client"} == typed("RunShapeVia", monkeypatch)
    every = [a for kind in (ShapeOptions, LaunchOptions, RunOptions) for a in fields(kind)]
    assert all(a.default is not NOTHING for a in every)


def test_a_word_that_is_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A typing error is a TypeError, before anything else happens."""
    monkeypatch.setenv("ACIFLOW_TARGET", "local")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    with pytest.raises(TypeError, match="unexpected keyword argument 'imagee'"):
        aciflow.launch("web", imagee="x")  # type: ignore[call-overload]
    spec = aciflow.ContainerGroupSpec(
        name="web", containers=(aciflow.Container(name="web", image="web"),)
    )
    with pytest.raises(TypeError, match="'public_ip' with a spec"):
        aciflow.launch(spec, public_ip=True)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="'wait'"):
        aciflow.run("web", wait=False)  # type: ignore[call-arg]


def test_secrets_are_in_no_repr() -> None:
    """Not in the values that a call's arguments become."""
    made = ShapeOptions(secure_env={"A": "hunter2"}, env={"B": "hunter2"}, files={"/f": b"hunter2"})
    assert "hunter2" not in repr(made)
