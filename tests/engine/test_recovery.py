"""A second process of an endpoint adopts what the first one left; a dead one's things are removed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.conftest import Rig, fetch
from tests.images import Engine

from aciflow.local.protocol import Exited, SandboxReady, Started


pytestmark = pytest.mark.engine


def _known(rig: Rig, uid: str, **running: Started) -> dict[str, object]:
    return {
        "resource_id": "/subscriptions/s/resourceGroups/r/containerGroups/group",
        "ip": rig.ip(uid),
        "running": {
            name: {"attempt": started.attempt, "container_id": started.container_id}
            for name, started in running.items()
        },
    }


@pytest.mark.parametrize("addresses", ["bridge", "loopback"])
def test_a_running_container_is_adopted_and_watched(
    rigs: Callable[..., Rig], addresses: str
) -> None:
    """Nothing is restarted; its exit is reported, and it comes back where the endpoint knows."""
    first = rigs(addresses=addresses)
    uid = first.open(80, name="name", restarts="always")
    started = first.run(uid)
    known = _known(first, uid, c=started)
    first.runtime.close(remove=False)

    second = rigs(first.endpoint_id, addresses=addresses)
    second.runtime.recover({uid: known})
    assert [] == second.seen
    assert b"hello from a container\n" == fetch(first.ip(uid), 80)
    second.begin(uid)  # asked again, it is the same one
    assert started.container_id == second.wait(Started, uid=uid).container_id
    other = second.open(80)
    second.run(other)
    assert second.ip(other) != first.ip(uid)

    assert second.runtime._api is not None
    second.runtime._api.stop(started.container_id, 0.0)
    assert 0 == second.wait(Exited, uid=uid).attempt
    second.shell(uid, "hostname; exec httpd -f -p 80 -h /www", attempt=1)
    told = [one.ip for one in second.seen if isinstance(one, SandboxReady) and one.uid == uid]
    assert b"hello from a container\n" == fetch((told or [first.ip(uid)])[-1] or "", 80)
    assert "name\n" == second.logs(uid)


def test_an_adopted_group_keeps_its_address_when_its_container_comes_back(
    rigs: Callable[..., Rig],
) -> None:
    """Whoever adopts a container knows its restart policy, also if it has ended meanwhile."""
    first = rigs(addresses="bridge")
    uid = first.open(80, restarts="always")
    known = _known(first, uid, c=first.shell(uid, "sleep 0.5"))
    first.runtime.close(remove=False)
    time.sleep(0.6)

    second = rigs(first.endpoint_id, addresses="bridge")
    second.runtime.recover({uid: known})
    second.wait(Exited, uid=uid)
    second.ask(uid, 80, restarts="always")
    second.run(uid, attempt=1)
    ip = second.ip(uid)
    assert b"hello from a container\n" == fetch(ip, 80)
    assert 1 == len(second.runtime._api.containers(f"aciflow.uid={uid}", "aciflow.pause=1"))


def test_what_ended_or_vanished_meanwhile_is_reported(
    rigs: Callable[..., Rig], engine: Engine
) -> None:
    """The exit code where the engine knows it, 137 where nobody does."""
    first = rigs(addresses="bridge")
    uid = first.open(80, containers=3)
    ended = first.shell(uid, "sleep 0.4; exit 5", "ended")
    vanished = first.run(uid, "vanished")
    runs = first.run(uid, "runs", command=("sleep", "60"))
    first.runtime.close(remove=False)
    engine.request("DELETE", f"/containers/{vanished.container_id}?force=1")
    time.sleep(0.5)

    second = rigs(first.endpoint_id, addresses="bridge")
    known = _known(first, uid, ended=ended, vanished=vanished, runs=runs)
    second.runtime.recover({uid: known})
    assert 5 == second.wait(Exited, uid=uid, container="ended").exit_code
    assert 137 == second.wait(Exited, uid=uid, container="vanished").exit_code
    assert {"ended", "vanished"} == {
        one.container for one in second.seen if isinstance(one, Exited)
    }


def test_a_start_that_the_endpoint_had_not_heard_of(rigs: Callable[..., Rig]) -> None:
    """The killed process had started it; asked again, it is reported, and then its exit."""
    first = rigs(addresses="bridge")
    uid = first.open()
    started = first.shell(uid, "exit 4")
    first.wait(Exited, uid=uid)
    first.runtime.close(remove=False)

    second = rigs(first.endpoint_id, addresses="bridge")
    second.runtime.recover({uid: {"resource_id": "r", "ip": None, "running": {}}})
    assert [] == second.seen
    second.begin(uid)
    assert started.container_id == second.wait(Started, uid=uid).container_id
    assert 4 == second.wait(Exited, uid=uid).exit_code


def test_a_sandbox_that_is_opened_again_is_the_same(rigs: Callable[..., Rig]) -> None:
    """The endpoint gives what was under way again; the address stays."""
    first = rigs(addresses="bridge")
    uid = first.open(80, containers=2)
    known = _known(first, uid)
    first.runtime.close(remove=False)
    second = rigs(first.endpoint_id, addresses="bridge")
    second.runtime.recover({uid: known})
    second.ask(uid, 80, containers=2)
    assert first.ip(uid) == second.wait(SandboxReady, uid=uid).ip


def test_groups_that_nobody_knows_are_removed(rigs: Callable[..., Rig], engine: Engine) -> None:
    """They were deleted, or never accepted."""
    first = rigs(addresses="bridge")
    uid = first.open(80, containers=2)
    first.run(uid)
    first.runtime.close(remove=False)
    second = rigs(first.endpoint_id, addresses="bridge")
    second.runtime.recover({})
    end = time.monotonic() + 10
    while engine.labelled(f"aciflow.uid={uid}") and time.monotonic() < end:
        time.sleep(0.05)
    assert {} == engine.labelled(f"aciflow.uid={uid}")


def test_what_a_killed_process_left_is_swept_by_the_next(
    rigs: Callable[..., Rig], engine: Engine, web_image: str
) -> None:
    """Its containers, volumes and image go; those of a living one stay."""
    living = rigs(addresses="bridge")
    kept = living.open(80)
    living.run(kept)
    program = f"""
import time
from tests.engine.conftest import *
from aciflow.local.protocol import Mount
rig = Rig("victim000001", {web_image!r}, addresses="bridge")
uid = rig.open(80, containers=2)
rig.run(uid, mounts=(Mount(volume="v", path="/v"),))
print("up", flush=True)
time.sleep(60)
"""
    environ = {**os.environ, "PYTHONPATH": "src:."}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        env=environ,
        cwd=Path(__file__).parents[2],
    ) as victim:
        assert victim.stdout is not None
        assert b"up\n" == victim.stdout.readline()
        victim.send_signal(signal.SIGKILL)
    assert 3 == len(engine.labelled("aciflow.endpoint=victim000001"))

    rigs(addresses="bridge")
    end = time.monotonic() + 20
    while engine.has("aciflow-pause:victim00") and time.monotonic() < end:  # it goes last
        time.sleep(0.05)
    assert {} == engine.labelled("aciflow.endpoint=victim000001")
    assert not engine.has("aciflow-pause:victim00")
    assert b"hello from a container\n" == fetch(living.ip(kept), 80)


def test_killed_between_the_sandbox_and_the_first_start(rigs: Callable[..., Rig]) -> None:
    """Nothing of the group was on the engine yet; given again, both actions do their work."""
    first = rigs(addresses="bridge")
    uid = first.open(80)
    first.runtime.close(remove=False)
    second = rigs(first.endpoint_id, addresses="bridge")
    second.runtime.recover({uid: {"resource_id": "r", "ip": None, "running": {}}})
    second.ask(uid, 80)
    second.begin(uid)
    assert b"hello from a container\n" == fetch(second.ip(uid), 80)


def test_an_image_of_ours_without_a_name_is_removed_too(
    rigs: Callable[..., Rig], engine: Engine
) -> None:
    """Engines take only the name off an image that a container still uses."""
    rig = rigs()
    uid = rig.open(containers=2)
    rig.shell(uid, "exec sleep 300")
    label = f"aciflow.endpoint={rig.endpoint_id}"
    [image] = rig.runtime._api.images(label)
    engine.request("DELETE", f"/images/aciflow-pause:{rig.endpoint_id[:8]}?force=1")
    assert [image["Id"]] == [one["Id"] for one in rig.runtime._api.images(label)]
    rig.runtime.close(remove=True)
    assert 404 == engine.request("GET", f"/images/{image['Id']}/json")[0]
