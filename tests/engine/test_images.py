"""Images: present, absent, for other machines, and from a real private registry."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import uuid

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hypothesis import given
from hypothesis import strategies as st
from tests.engine.conftest import Rig, fetch
from tests.images import Engine, Image

from aciflow.local.protocol import (
    Closed,
    CloseSandbox,
    ListImages,
    Pulled,
    PullFailed,
    PullImage,
    PullStarted,
    RegistryAuth,
    ResolveImages,
)
from aciflow.local.runtime.engine.address import require_engine
from aciflow.local.runtime.engine.api import EngineApi, _auth_header
from aciflow.local.runtime.engine.images import auth_for, server_of, split_reference


REGISTRY = shutil.which("docker-registry")


@pytest.mark.engine
def test_an_image_for_another_processor_is_told_apart(rig: Rig, engine: Engine) -> None:
    """Both the question and the pull name the two platforms, instead of an exec format error."""
    other = "arm64" if require_arch() == "amd64" else "amd64"
    image = Image(name="aciflow-test/elsewhere:1", command=("/bin/true",), architecture=other)
    image.ensure(engine)
    try:
        [answer] = rig.runtime.answer(ResolveImages(images=(image.name,)))
        uid = rig.open()
        rig.runtime.execute(PullImage(uid=uid, container="c", image=image.name))
        failed = rig.wait(PullFailed, uid=uid)
    finally:
        engine.request("DELETE", f"/images/{image.name}?force=1")
    assert "platform" == answer.problem
    assert f"is for linux/{other}, and this engine runs linux/{require_arch()}" in answer.detail
    assert answer.detail == failed.message


def require_arch() -> str:
    """The engine's."""
    api = EngineApi(require_engine())
    try:
        return api.version.arch
    finally:
        api.close()


class Registry:
    """Debian's docker-registry on a free port, with one user."""

    def __init__(self, directory: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.server = f"127.0.0.1:{self.port}"
        self.auth = RegistryAuth(
            server=f"https://{self.server}/", username="somebody", password="a pass:word"
        )
        users = directory / "htpasswd"
        users.write_text(  # bcrypt of "a pass:word"
            "somebody:$2b$05$HF3BCo75pbGbdmmgMVswbezUbywS4ITdEASsNA7r8ohI1YsVwahyW\n"
        )
        config = {
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(directory / "data")}},
            "http": {"addr": self.server},
            "auth": {"htpasswd": {"realm": "test", "path": str(users)}},
        }
        path = directory / "config.yml"
        path.write_text(json.dumps(config))
        assert REGISTRY is not None
        self.process = subprocess.Popen(
            [REGISTRY, "serve", str(path)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < end, "the registry does not come up"
                time.sleep(0.02)

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """A private registry with nothing in it."""
    if REGISTRY is None:
        pytest.skip("no docker-registry; install Debian's package docker-registry")
    made = Registry(tmp_path)
    yield made
    made.close()


def _push(name: str, registry: Registry) -> None:
    repository, _, tag = name.rpartition(":")
    api = EngineApi(require_engine())
    try:
        with api.stream(
            "POST",
            f"/images/{repository}/push",
            params={"tag": tag},
            headers=_auth_header(registry.auth),
        ) as progress:
            assert [] == [entry for entry in progress if "error" in entry]
    finally:
        api.close()


@pytest.fixture
def private(registry: Registry, engine: Engine, web_image: str) -> Iterator[str]:
    """An image in that registry which the engine does not have."""
    name = f"{registry.server}/team/web:{uuid.uuid4().hex[:6]}"
    repository, _, tag = name.rpartition(":")
    status, _ = engine.request("POST", f"/images/{web_image}/tag?repo={repository}&tag={tag}")
    assert 201 == status
    _push(name, registry)
    engine.request("DELETE", f"/images/{name}?force=1&noprune=1")
    assert not engine.has(name)
    yield name
    engine.request("DELETE", f"/images/{name}?force=1")


@pytest.mark.engine
def test_a_private_image_is_pulled_with_its_credentials(
    rig: Rig, private: str, registry: Registry
) -> None:
    """Looked up without pulling, then pulled, with its digest, and it serves."""
    [answer] = rig.runtime.answer(ResolveImages(images=(private,), auths=(registry.auth,)))
    assert None is answer.problem
    assert answer.digest.startswith("sha256:")
    uid = rig.open(80)
    rig.runtime.execute(PullImage(uid=uid, container="c", image=private, auths=(registry.auth,)))
    assert not rig.wait(Pulled, uid=uid).cached
    assert answer.digest == rig.wait(Pulled, uid=uid).digest
    assert rig.wait(PullStarted, uid=uid).at <= rig.wait(Pulled, uid=uid).at
    rig.run(uid, image=private)
    assert b"hello from a container\n" == fetch(rig.ip(uid), 80)


@pytest.mark.engine
@pytest.mark.parametrize("password", [None, "a wrong secret"])
def test_a_private_image_without_the_right_credentials(
    rig: Rig, private: str, registry: Registry, password: str | None
) -> None:
    """It is inaccessible, which is not the registry's failure; the password is never repeated."""
    auths: tuple[RegistryAuth, ...] = ()
    if password is not None:
        auths = (RegistryAuth(server=registry.server, username="somebody", password=password),)
    [answer] = rig.runtime.answer(ResolveImages(images=(private,), auths=auths))
    assert "inaccessible" == answer.problem
    uid = rig.open()
    rig.runtime.execute(PullImage(uid=uid, container="c", image=private, auths=auths))
    message = rig.wait(PullFailed, uid=uid).message
    assert password is None or password not in message + answer.detail + repr(auths)


@pytest.mark.engine
def test_credentials_are_checked_also_where_the_image_is_here(
    rig: Rig, private: str, registry: Registry
) -> None:
    """Those of one group serve no other; without a registry, or any credentials, what is here serves."""
    uid = rig.open()
    rig.runtime.execute(PullImage(uid=uid, container="c", image=private, auths=(registry.auth,)))
    rig.wait(Pulled, uid=uid)
    wrong = RegistryAuth(server=registry.server, username="somebody", password="a wrong secret")
    other = RegistryAuth(server="other.example", username="somebody", password="a wrong secret")

    def problem(*auths: RegistryAuth) -> str | None:
        [answer] = rig.runtime.answer(ResolveImages(images=(private,), auths=auths))
        assert "secret" not in answer.detail
        found: str | None = answer.problem
        return found

    assert "inaccessible" == problem(wrong)
    assert [None, None, None] == [problem(registry.auth), problem(other), problem()]
    registry.close()
    assert None is problem(wrong)


@pytest.mark.engine
def test_an_image_in_a_registry_for_other_processors_alone(
    rig: Rig, registry: Registry, engine: Engine
) -> None:
    """It is told before anything is pulled."""
    other = "arm64" if require_arch() == "amd64" else "amd64"
    name = f"{registry.server}/team/elsewhere:1"
    Image(name=name, command=("/bin/true",), architecture=other).ensure(engine)
    _push(name, registry)
    engine.request("DELETE", f"/images/{name}?force=1")
    [answer] = rig.runtime.answer(ResolveImages(images=(name,), auths=(registry.auth,)))
    assert "platform" == answer.problem
    assert f"is for linux/{other}, and this engine runs linux/{require_arch()}" in answer.detail
    assert not engine.has(name)


@pytest.mark.engine
def test_the_images_that_are_here(rig: Rig) -> None:
    """By name, sorted, without those that aciflow makes for itself."""
    uid = rig.open(80, containers=2)
    rig.run(uid)
    found = rig.runtime.answer(ListImages())
    assert rig.image in found
    assert list(found) == sorted(found)
    assert not [name for name in found if "aciflow-pause" in name or "<none>" in name]


@pytest.mark.engine
def test_a_tag_that_does_not_exist_and_a_registry_that_is_gone(
    rig: Rig, private: str, registry: Registry
) -> None:
    """The first is inaccessible; the second fails, which may pass."""
    missing = private.rpartition(":")[0] + ":missing"
    ask = ResolveImages(images=(missing,), auths=(registry.auth,))
    assert "inaccessible" == rig.runtime.answer(ask)[0].problem
    registry.close()
    assert "registry" == rig.runtime.answer(ask)[0].problem


@pytest.mark.engine
def test_closing_a_group_ends_its_pull(rig: Rig) -> None:
    """A registry that accepts and says nothing does not hold up the close."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        image = f"127.0.0.1:{silent.getsockname()[1]}/silent:1"
        uid = rig.open()
        rig.runtime.execute(PullImage(uid=uid, container="c", image=image))
        rig.wait(PullStarted, uid=uid)
        begun = time.monotonic()
        rig.runtime.execute(CloseSandbox(uid=uid))
        rig.wait(Closed, uid=uid)
        rig.runtime.close(remove=True)
        assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("image", "name", "tag", "server"),
    [
        ("nginx", "nginx", "latest", "docker.io"),
        ("nginx:1.27", "nginx", "1.27", "docker.io"),
        ("me/app", "me/app", "latest", "docker.io"),
        ("x.azurecr.io/app:v1", "x.azurecr.io/app", "v1", "x.azurecr.io"),
        ("localhost:5000/app", "localhost:5000/app", "latest", "localhost:5000"),
        ("localhost/app", "localhost/app", "latest", "localhost"),
        ("a.io/b@sha256:00", "a.io/b@sha256:00", None, "a.io"),
        ("index.docker.io/library/x", "index.docker.io/library/x", "latest", "docker.io"),
    ],
)
def test_references(image: str, name: str, tag: str | None, server: str) -> None:
    """What to pull and where; without a tag an engine would pull them all."""
    assert (name, tag) == split_reference(image)
    assert server == server_of(image)


@given(st.sampled_from(["docker.io", "index.docker.io", "https://index.docker.io/v1/"]))
def test_docker_hub_has_several_names(server: str) -> None:
    """Credentials for any of them serve an image that names no registry, and no other's."""
    auth = RegistryAuth(server=server, username="u", password="p")
    assert auth is auth_for("nginx", [auth])
    assert None is auth_for("x.azurecr.io/nginx", [auth])


@pytest.mark.engine
def test_the_pull_after_a_put_asks_the_engine_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It recalls what was found a moment ago, once: the pull after that looks again."""
    asked: list[str] = []
    inspect = rig.runtime._api.inspect_image

    def count(reference: str) -> dict[str, Any] | None:
        asked.append(reference)
        return inspect(reference)

    monkeypatch.setattr(rig.runtime._api, "inspect_image", count)
    uid = rig.open()
    rig.runtime.answer(ResolveImages(images=(rig.image,)))
    for name in ("first", "second"):
        rig.runtime.execute(PullImage(uid=uid, container=name, image=rig.image))
        assert rig.wait(Pulled, uid=uid, container=name).cached
    assert [rig.image] * 2 == asked
