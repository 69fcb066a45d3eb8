"""The clients that the module's functions make: they end when nothing needs them; on a simulated endpoint."""

from __future__ import annotations

import gc
import getpass
import threading

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.launch.conftest import Awaited, Run
from tests.launch.helpers import names
from tests.launch.test_books import azure, other
from tests.waiting import until

import aciflow
import aciflow.aio
import aciflow.client

from aciflow import lifetimes
from aciflow.core import Core
from aciflow.local import LocalAzure


__all__ = ["azure", "other"]


@pytest.fixture(params=["sync", "async"])
def module(
    request: pytest.FixtureRequest, loop: Run, azure: LocalAzure, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """A function of the module by its name, of either colour."""

    class Client(aciflow.Client):
        def __init__(self) -> None:
            super().__init__(azure)

    monkeypatch.setattr(aciflow.client, "Client", Client)
    monkeypatch.setattr(aciflow.aio, "AsyncClient", partial(aciflow.AsyncClient, azure))

    def call(name: str, /, *args: Any, **kwargs: Any) -> Any:
        if request.param == "sync":
            return getattr(aciflow.client, name)(*args, **kwargs)
        return Awaited(loop(getattr(aciflow.aio, name)(*args, **kwargs)), loop)

    return call


def threads() -> int:
    """How many there are that send requests."""
    return sum(thread.name == "aciflow-effect" for thread in threading.enumerate())


@pytest.mark.parametrize("how", ["get", "detached", "adopt"])
def test_dropped(how: str, module: Callable[..., Any], other: aciflow.Client) -> None:
    """Where nothing is its to delete, the client goes with its handle, and so do its threads."""
    theirs = other.launch("nginx", name="web", resource_group="theirs")
    gc.collect()
    before, registered = threads(), set(lifetimes._open)
    match how:
        case "get":
            group = module("get", "web", resource_group="theirs")
        case "detached":
            group = module("launch", "nginx", name="on", resource_group="theirs", lifetime=how)
        case _:
            group = module("launch", "nginx", name="web", resource_group="theirs", if_exists=how)
    assert "Running" == group.state
    assert registered == set(lifetimes._open)
    del group
    gc.collect()
    until(lambda: threads() <= before)
    assert "Running" == theirs.refresh().state
    if how == "detached":
        other.get("on", resource_group="theirs").delete()


@pytest.mark.parametrize("how", ["get", "detached"])
def test_left(how: str, module: Callable[..., Any], other: aciflow.Client) -> None:
    """Leaving its ``with`` deletes nothing, and the handle goes on working."""
    if how == "get":
        other.launch("nginx", name="on", resource_group="theirs")
        group = module("get", "on", resource_group="theirs")
    else:
        group = module("launch", "nginx", name="on", resource_group="theirs", lifetime=how)
    with group:
        assert "Running" == group.state
    assert "Running" == group.refresh().state
    group.delete()
    assert "Deleted" == group.state


def test_kept_while_it_owes(module: Callable[..., Any], other: aciflow.Client) -> None:
    """What is to be deleted is, also when nobody has the handle any more."""
    before = set(lifetimes._open)
    module("launch", "nginx", name="web")
    gc.collect()
    assert {"web"} == names(other)
    [mine] = set(lifetimes._open) - before
    lifetimes._open[mine][0].close_at_exit()
    assert set() == names(other)
    assert before == set(lifetimes._open)


def test_registered_while_it_owes(azure: LocalAzure) -> None:
    """A client is kept from its first launch until the last of what it made is gone."""
    with azure.client() as client:
        assert id(client) not in lifetimes._open
        group = client.launch("nginx", resource_group="mine")
        assert id(client) in lifetimes._open
        group.delete()
        assert id(client) not in lifetimes._open
        client.resource_group("block")
        assert id(client) in lifetimes._open
    assert id(client) not in lifetimes._open


def test_nobody_has_a_name(azure: LocalAzure, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python cannot tell the user's name (Windows, before 3.13) a launch goes on without."""

    def no_pwd() -> str:
        raise ImportError("No module named 'pwd'")

    monkeypatch.setattr(getpass, "getuser", no_pwd)
    assert "@" in Core(azure).owner
