"""Groups of several containers: one network, one set of volumes, on the real engine."""

from __future__ import annotations

import pytest

from tests.engine.conftest import Rig, fetch
from tests.images import Engine

from aciflow.local.protocol import Closed, CloseSandbox, Exited, Mount


pytestmark = pytest.mark.engine


def test_containers_share_loopback_hostname_and_address(rig: Rig) -> None:
    """A sidecar reaches the web server on localhost, and both have the group's name and address."""
    uid = rig.open(80, containers=2, name="pair")
    rig.run(uid, "web")
    assert fetch(rig.ip(uid), 80) == b"hello from a container\n"
    rig.shell(uid, "hostname; hostname -i; wget -qO- http://127.0.0.1/", "side")
    rig.wait(Exited, uid=uid, container="side")
    assert ["pair", rig.ip(uid), "hello from a container"] == rig.logs(uid, "side").split("\n")[:3]


def test_a_restart_of_one_leaves_the_others_connected(rig: Rig) -> None:
    """The namespaces belong to no container of the user's, so any of them may end and come back."""
    uid = rig.open(80, containers=2)
    rig.shell(uid, "exit 1", "flaky")
    rig.run(uid, "web")
    rig.wait(Exited, uid=uid, container="flaky", exit_code=1)
    rig.shell(uid, "wget -qO- http://127.0.0.1/", "flaky", attempt=1)
    rig.wait(Exited, uid=uid, container="flaky", attempt=1, exit_code=0)
    assert rig.logs(uid, "flaky") == "hello from a container\n"


def test_an_empty_directory_is_shared_and_hides_what_the_image_has_there(
    rig: Rig, engine: Engine
) -> None:
    """What one container writes another reads, and the volume is gone with the group."""
    shared = (Mount(volume="data", path="/www"),)
    uid = rig.open(80, containers=2)
    rig.shell(uid, "ls /www | wc -l; echo written > /www/index.html", "init", mounts=shared)
    rig.wait(Exited, uid=uid, container="init")
    assert rig.logs(uid, "init") == "0\n"
    rig.run(uid, "web", mounts=shared)
    assert fetch(rig.ip(uid), 80) == b"written\n"
    assert f"volume aciflow-{uid}-data" in engine.labelled(f"aciflow.uid={uid}")
    rig.close(uid)
    assert engine.labelled(f"aciflow.uid={uid}") == {}


@pytest.mark.parametrize("read_only", [False, True])
def test_secret_files_are_there_at_the_start(rig: Rig, read_only: bool) -> None:
    """Their bytes arrive unchanged, alone in their directory, also in a read-only mount."""
    mount = Mount(
        volume="conf",
        path="/etc/app",
        kind="secret",
        files={"a.conf": b"one\x00two", "b": b""},
        read_only=read_only,
    )
    uid = rig.open()
    rig.shell(uid, "cd /etc/app; ls; od -c a.conf; touch new 2>&- && echo wrote", mounts=(mount,))
    rig.wait(Exited, uid=uid)
    text = rig.logs(uid)
    assert text.startswith("a.conf\nb\n")
    assert r"o   n   e  \0   t   w   o" in text
    assert read_only != ("wrote" in text)


def test_user_and_environment_of_each_container(rig: Rig) -> None:
    """A container's user is what its security context says."""
    uid = rig.open()
    rig.shell(uid, "id -u; id -g", run_as_user=1234, run_as_group=99)
    rig.wait(Exited, uid=uid)
    assert rig.logs(uid) == "1234\n99\n"


def test_memory_limit_kills_with_137(rig: Rig) -> None:
    """Whoever takes more than its limit is killed by the kernel, and the report says so."""
    uid = rig.open()
    rig.shell(uid, "tail /dev/zero", memory_gb=0.02)
    exited = rig.wait(Exited, uid=uid)
    assert (exited.exit_code, exited.oom_killed) == (137, True)


def test_more_processors_than_there_are_is_clamped_and_noted(rig: Rig, engine: Engine) -> None:
    """An engine refuses such a limit; the container runs all the same, and a note says with what."""
    processors = engine.json("/info")["NCPU"]
    uid = rig.open()
    started = rig.shell(uid, "true", cpu=processors + 2.0)
    assert (
        f"cpu {processors + 2} limited to the {processors} of this engine's machine",
    ) == started.notes
    again = rig.shell(uid, "true", cpu=0.5, attempt=1)
    assert again.notes == ()
    found = engine.json(f"/containers/{again.container_id}/json")
    assert found["HostConfig"]["NanoCpus"] == 500_000_000


def test_a_group_closed_while_its_containers_start_leaves_nothing(rig: Rig, engine: Engine) -> None:
    """Closing waits for what is under way and removes it; nothing is reported after it."""
    uid = rig.open(80, containers=4)
    for number in range(4):
        rig.begin(uid, f"c{number}", mounts=(Mount(volume="v", path="/v"),))
    rig.runtime.execute(CloseSandbox(uid=uid))
    rig.wait(Closed, uid=uid)
    assert engine.labelled(f"aciflow.uid={uid}") == {}
    assert isinstance(rig.seen[-1], Closed)


def test_twenty_groups_at_once(rig: Rig, engine: Engine) -> None:
    """All start, each at an address of its own, and all are gone."""
    uids = [f"burst{number:07}" for number in range(20)]
    for uid in uids:
        rig.ask(uid, 80)
        rig.begin(uid)  # waits for its sandbox by itself
    assert 20 == len({rig.ip(uid) for uid in uids})
    assert {b"hello from a container\n"} == {fetch(rig.ip(uid), 80) for uid in uids}
    for uid in uids:
        rig.runtime.execute(CloseSandbox(uid=uid))
    for uid in uids:
        rig.wait(Closed, uid=uid, timeout=60)
    assert {} == engine.labelled(f"aciflow.endpoint={rig.endpoint_id}")
