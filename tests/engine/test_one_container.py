"""A group of one container, from nothing to nothing, on the real engine."""

from __future__ import annotations

import pytest

from tests.engine.conftest import Rig, fetch, listening
from tests.images import Engine

from aciflow.local.protocol import (
    Exited,
    ImageAnswer,
    Pulled,
    PullFailed,
    PullImage,
    ResolveImages,
    SandboxReady,
    StartFailed,
    StopContainer,
)


pytestmark = pytest.mark.engine


def test_serves_on_its_own_address_and_is_gone_when_closed(rig: Rig, engine: Engine) -> None:
    """The port asked for answers on the group's address; after the close neither is there."""
    uid = rig.open(80)
    rig.runtime.execute(PullImage(uid=uid, container="c", image=rig.image))
    assert rig.wait(Pulled, uid=uid).cached
    started = rig.run(uid)

    assert fetch(rig.ip(uid), 80) == b"hello from a container\n"
    labels = engine.labelled(f"aciflow.uid={uid}")
    assert [f"container aciflow-{uid}-c-0"] == list(labels)
    [found] = labels.values()
    assert {
        "aciflow.endpoint": rig.endpoint_id,
        "aciflow.uid": uid,
        "aciflow.container": "c",
        "aciflow.attempt": "0",
        "aciflow.resource-id": "/subscriptions/s/resourceGroups/r/containerGroups/group",
    }.items() <= found.items()

    rig.close(uid)
    assert (
        engine.json(f"/containers/json?all=1&filters=%7B%22id%22:[%22{started.container_id}%22]%7D")
        == []
    )


def test_two_groups_serve_the_same_port(rig: Rig) -> None:
    """Each group has an address of its own."""
    first, second = rig.open(80), rig.open(80)
    rig.run(first)
    rig.run(second)
    assert rig.ip(first) != rig.ip(second)
    assert fetch(rig.ip(first), 80) == fetch(rig.ip(second), 80)


def test_exit_code_and_log(rig: Rig) -> None:
    """A container that ends reports its exit code once, and its output stays to be read."""
    uid = rig.open()
    rig.shell(uid, "echo out; echo err >&2; exit 3")
    exited = rig.wait(Exited, uid=uid)
    assert (exited.exit_code, exited.attempt, exited.oom_killed) == (3, 0, False)
    assert sorted(rig.logs(uid).split()) == ["err", "out"]
    rig.close(uid)
    assert [exited] == [one for one in rig.seen if isinstance(one, Exited)]
    assert {None} == {one.ip for one in rig.seen if isinstance(one, SandboxReady)}  # no port


def test_environment_command_and_hostname(rig: Rig) -> None:
    """The command replaces the image's, the environment arrives, the hostname is the group's."""
    uid = rig.open(name="my-group")
    rig.shell(uid, 'echo "$GREETING $(hostname)"', env={"GREETING": "a=b c"})
    rig.wait(Exited, uid=uid)
    assert rig.logs(uid) == "a=b c my-group\n"


def test_a_stop_and_a_start_keep_the_logs(rig: Rig) -> None:
    """A new attempt serves at the address that is told, with a fresh file system and the old log."""
    uid = rig.open(80, restarts="always")
    script = "[ -e /mark ] && echo stale; touch /mark; echo here; exec httpd -f -p 80 -h /www"
    rig.shell(uid, script)
    fetch(rig.ip(uid), 80)
    rig.runtime.execute(StopContainer(uid=uid, container="c", grace=0.0))
    assert rig.wait(Exited, uid=uid).attempt == 0
    assert not listening(rig.ip(uid), 80)

    rig.shell(uid, script, attempt=1)
    fetch(rig.ip(uid), 80)
    assert rig.logs(uid) == "here\nhere\n"


def test_start_that_cannot_be(rig: Rig) -> None:
    """A command that does not exist is a failed start with the engine's words."""
    uid = rig.open()
    rig.begin(uid, command=("/no/such/program",))
    assert "no such file" in rig.wait(StartFailed, uid=uid).message


def test_same_action_again_is_answered_again_and_does_nothing_twice(
    rig: Rig, engine: Engine
) -> None:
    """What an endpoint asks anew, after its process was killed, finds what is there."""
    uid = rig.open(80)
    first = rig.run(uid)
    rig.begin(uid)
    second = rig.wait(type(first), uid=uid, count=2)
    assert first.container_id == second.container_id
    assert len(engine.labelled(f"aciflow.uid={uid}")) == 1


def test_missing_image_is_told_before_and_by_the_pull(rig: Rig) -> None:
    """Neither the question nor the action takes an image for granted."""
    image = "127.0.0.1:9/no/such:image"
    [answer] = rig.runtime.answer(ResolveImages(images=(image,)))
    assert isinstance(answer, ImageAnswer)
    assert answer.problem == "registry"  # nothing listens there
    uid = rig.open()
    rig.runtime.execute(PullImage(uid=uid, container="c", image=image))
    assert "127.0.0.1:9" in rig.wait(PullFailed, uid=uid).message


def test_present_image_resolves(rig: Rig) -> None:
    """An image that the engine has can run, asked for twice or once."""
    answers = rig.runtime.answer(ResolveImages(images=(rig.image, rig.image)))
    assert tuple(answer.problem for answer in answers) == (None, None)
    assert (rig.image, rig.image) == tuple(answer.image for answer in answers)


def test_close_of_what_was_never_opened(rig: Rig) -> None:
    """Closing is always answered."""
    rig.close("neveropened1")
