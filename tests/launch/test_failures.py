"""What goes wrong ends at once, as a typed error, with all that is known and nothing left."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from azure.core.credentials import AccessToken
from tests.arm.server import ArmServer, Asked, Said
from tests.images import Engine, Image
from tests.launch.conftest import records
from tests.launch.helpers import SLEEP, containers, names

import aciflow

from aciflow import Ready
from aciflow.local import LocalAzure


pytestmark = pytest.mark.engine

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"


def nothing_is_left(error: aciflow.AciflowError, engine: Engine, name: str, state: Path) -> None:
    """No container, no record of the container group, and the error says so."""
    assert () == error.leftovers
    assert [] == containers(engine, name)
    assert [] == [text for text in records(state) if '"name"' in text]


class EmptyRegistry(BaseHTTPRequestHandler):
    """A registry that is there and has no image."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        here = self.path.rstrip("/") == "/v2"
        problem = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}
        body = b"{}" if here else json.dumps(problem).encode()
        self.send_response(200 if here else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def empty_registry() -> Iterator[str]:
    """Its address; engines take one on loopback without TLS."""
    with ThreadingHTTPServer(("127.0.0.1", 0), EmptyRegistry) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_missing_image(any_client: Any, engine: Engine, state: Path) -> None:
    """ARM refuses it, and the error has ARM's code and the image's name."""
    with (
        empty_registry() as registry,
        pytest.raises(aciflow.ImageError, match="there-is-no-such-image") as caught,
    ):
        any_client.launch(f"{registry}/there-is-no-such-image:1", name="missing")
    assert ("InaccessibleImage", 400) == (caught.value.code, caught.value.status)
    assert "submit" == caught.value.phase
    nothing_is_left(caught.value, engine, "missing", state)


def test_a_registry_that_is_not_reached(
    client: aciflow.Client, engine: Engine, state: Path
) -> None:
    """It may be back in a moment, so it is asked a few times; that is over within seconds."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    began = time.monotonic()
    with pytest.raises(aciflow.ImageError, match=address) as caught:
        client.launch(f"{address}/x:1", name="missing")
    assert time.monotonic() - began < 15
    assert "RegistryErrorResponse" == caught.value.code
    nothing_is_left(caught.value, engine, "missing", state)


def test_a_container_that_exits(
    any_client: Any, web_image: str, engine: Engine, state: Path
) -> None:
    """Its exit code, its last lines, the events and the phases are in the error, at once."""
    began = time.monotonic()
    with pytest.raises(aciflow.ContainerExitedError) as caught:
        any_client.launch(
            web_image,
            name="exits",
            public_ip=True,
            command=["/bin/sh", "-c", "echo cannot find the config; exit 3"],
            restart_policy="Never",
        )
    error = caught.value
    assert time.monotonic() - began < 10
    assert (3, "web") == (error.exit_code, error.container)
    assert error.context is not None
    assert "cannot find the config\n" == error.context.logs
    assert "ready" == error.phase
    assert error.timeline is not None
    assert {"submit", "start"} <= {phase.name for phase in error.timeline.phases}
    assert any("Started" in event for event in error.context.events)
    assert "nothing is left of this launch" in str(error)
    assert "    cannot find the config" in str(error)
    nothing_is_left(error, engine, "exits", state)


def test_a_container_that_exits_again_and_again(
    client: aciflow.Client, web_image: str, engine: Engine, state: Path
) -> None:
    """With the default restart policy it is the same, and nothing waits for the back-off."""
    with pytest.raises(aciflow.ContainerExitedError) as caught:
        client.launch(web_image, name="loops", public_ip=True, command=["/bin/sh", "-c", "exit 3"])
    assert 3 == caught.value.exit_code
    nothing_is_left(caught.value, engine, "loops", state)


def test_a_port_that_never_opens(
    any_client: Any, web_image: str, engine: Engine, state: Path
) -> None:
    """The time is up; the error tells what was seen at the port, and that the container runs."""
    with pytest.raises(aciflow.NotReadyError, match="refused") as caught:
        any_client.launch(web_image, name="silent", public_ip=True, command=SLEEP, timeout=2.5)
    assert "container 'web' running" in caught.value.message
    assert "tcp port 80" in caught.value.message
    nothing_is_left(caught.value, engine, "silent", state)


def test_a_wrong_port_is_named_beside_those_that_the_image_exposes(
    any_client: Any, web_image: str, engine: Engine, state: Path
) -> None:
    """The likeliest mistake is told with its mending."""
    with pytest.raises(aciflow.NotReadyError) as caught:
        any_client.launch(web_image, name="wrong", public_ip=True, ports=[8080], timeout=2.5)
    assert "open are 8080/tcp, and the image exposes 80/tcp" in caught.value.message
    nothing_is_left(caught.value, engine, "wrong", state)


@contextmanager
def dropped(port: int) -> Iterator[None]:
    """Nothing from this machine reaches that port, wherever, as behind an egress filter."""
    if os.geteuid() or shutil.which("iptables") is None:
        reason = "needs root and iptables, to drop packets as a firewall does"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    rule = ["OUTPUT", "-p", "tcp", "--dport", str(port), "-j", "DROP"]
    subprocess.run(["iptables", "-w", "-I", *rule], check=True)
    try:
        yield
    finally:
        subprocess.run(["iptables", "-w", "-D", *rule], check=True)


def test_a_port_that_this_machine_cannot_reach(
    any_client: Any, web_image: str, engine: Engine, state: Path
) -> None:
    """A container that runs behind a filter is told apart from one that does not serve."""
    with dropped(38917), pytest.raises(aciflow.UnreachableFromHereError) as caught:
        any_client.launch(
            web_image,
            name="filtered",
            public_ip=True,
            ports=[38917],
            command=["/bin/httpd", "-f", "-p", "38917", "-h", "/www"],
            ready=Ready.tcp(via="client", timeout=0.5),
            timeout=3,
        )
    assert "open are 38917/tcp, and the image exposes 80/tcp" in caught.value.message
    assert "Ready.running()" in caught.value.message
    nothing_is_left(caught.value, engine, "filtered", state)


def test_behind_a_filter_a_container_is_asked_from_inside(any_client: Any, web_image: str) -> None:
    """By default what serves is ready, also where nothing from this machine reaches it."""
    with dropped(38918):
        group = any_client.launch(
            web_image,
            public_ip=True,
            ports=[38918],
            command=["/bin/httpd", "-f", "-p", "38918", "-h", "/www"],
            timeout=60,
        )
        assert "Running" == group.state
        group.delete()


def test_all_that_is_wrong_is_told_together(any_client: Any, state: Path) -> None:
    """A bad name, six ports and a limit above the group's total: three problems, nothing sent."""
    spec = aciflow.ContainerGroupSpec(
        name="Not_A_Name",
        public_ip=True,
        ports=tuple(aciflow.Port(port=80 + number) for number in range(6)),
        containers=(
            aciflow.Container(
                name="web",
                image="web",
                ports=tuple(aciflow.Port(port=80 + number) for number in range(6)),
                resources=aciflow.Resources(cpu=1.0, memory_gb=1.0, cpu_limit=3.0),
            ),
        ),
    )
    with pytest.raises(aciflow.ValidationError) as caught:
        any_client.launch(spec)
    fields = {problem.field for problem in caught.value.problems}
    assert {"name", "ports", "containers[0].resources.cpu_limit"} == fields
    assert "nothing was sent" in str(caught.value)
    assert not (state / "ledger").exists()


def test_options_that_make_no_sense(client: aciflow.Client, state: Path) -> None:
    """They are told together with what is wrong with the shape, and nothing is sent."""
    with pytest.raises(aciflow.ValidationError) as caught:
        client.launch(  # type: ignore[call-overload]
            "web",
            name="Bad",
            if_exists="perhaps",
            lifetime="eternal",
            timeout=0,
            ready=Ready.tcp(81),
        )
    fields = {problem.field for problem in caught.value.problems}
    assert {"name", "if_exists", "lifetime", "timeout", "ready"} == fields
    assert not (state / "ledger").exists()


def test_an_image_for_another_architecture(
    client: aciflow.Client, engine: Engine, state: Path
) -> None:
    """It is refused with both architectures named, before anything runs."""
    here = engine.json("/version")["Arch"]
    there = "arm64" if here == "amd64" else "amd64"
    image = Image(
        name="aciflow-test/elsewhere:1", command=("/bin/true",), architecture=there
    ).ensure(engine)
    with pytest.raises(aciflow.ImageError, match=there) as caught:
        client.launch(image, name="elsewhere")
    assert here in caught.value.message
    nothing_is_left(caught.value, engine, "elsewhere", state)


def test_no_engine(monkeypatch: pytest.MonkeyPatch, state: Path) -> None:
    """Without one the error says what was tried and what to do, before anything is written."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(aciflow.EngineUnavailableError) as caught:
        aciflow.Client("local")
    assert "/nowhere/docker.sock" in caught.value.message
    assert "DOCKER_HOST" in caught.value.message
    assert not (state / "ledger").exists()


class Stranger(LocalAzure):
    """An endpoint whose clients come with another one's token."""

    def __init__(self, other: LocalAzure) -> None:
        super().__init__("simulated", speed=100)
        self.other = other

    def credential(self) -> Any:
        return self.other.credential()


def test_a_token_of_another_endpoint(web_image: str) -> None:
    """It is refused with 401, and nothing was made."""
    with (
        LocalAzure("simulated") as other,
        Stranger(other) as endpoint,
        endpoint.client() as client,
        pytest.raises(aciflow.AuthenticationError) as caught,
    ):
        client.launch(web_image)
    assert 401 == caught.value.status
    assert "resource_group" == caught.value.phase
    assert () == caught.value.leftovers


class Credential:
    """Of an endpoint at a URL."""

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken("a-token-that-nobody-may-see", int(time.time()) + 3600)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArmServer]:
    """An ARM endpoint with TLS, at a URL, that says what a test wants."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    with ArmServer(context) as running:
        yield running


def at(url: str) -> aciflow.Client:
    """A client of an endpoint at a URL."""
    return aciflow.Client(
        url, credential=Credential(), subscription_id=SUBSCRIPTION, location="westus"
    )


def test_a_principal_that_may_not(server: ArmServer, web_image: str) -> None:
    """403 names the missing action and its scope; a refused PUT is not answered by a DELETE."""
    scope = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
    action = "Microsoft.ContainerInstance/containerGroups/write"

    def answer(asked: Asked) -> Said:
        if asked.method == "GET" and "providers" not in asked.path:
            return Said(200, {"id": scope, "name": "rg", "location": "westus"})
        if asked.method == "GET":
            return Said(404, {"error": {"code": "ResourceNotFound", "message": "no"}})
        return Said(
            403,
            {
                "error": {
                    "code": "AuthorizationFailed",
                    "message": f"The client 'c' with object id 'o' does not have authorization to "
                    f"perform action '{action}' over scope '{scope}' or the scope is invalid.",
                }
            },
        )

    server.answer = answer
    with at(server.url) as client, pytest.raises(aciflow.AuthorizationError) as caught:
        client.launch(web_image, resource_group="rg", name="refused")
    assert (action, scope) == (caught.value.action, caught.value.scope)
    assert ("submit", ()) == (caught.value.phase, caught.value.leftovers)
    assert "DELETE" not in {asked.method for asked in server.asked}
    assert "a-token-that-nobody-may-see" not in str(caught.value)
    assert "localhost" in str(caught.value.timeline).splitlines()[0]


def test_a_token_that_arm_refuses(server: ArmServer, web_image: str) -> None:
    """401 ends the launch, after one more attempt with a fresh token."""
    server.answer = lambda _: Said(
        401, {"error": {"code": "InvalidAuthenticationToken", "message": "expired"}}
    )
    with at(server.url) as client, pytest.raises(aciflow.AuthenticationError, match="expired"):
        client.launch(web_image)
    assert len([asked for asked in server.asked if asked.method == "PUT"]) <= 2


def test_what_cannot_be_deleted_is_listed(server: ArmServer, web_image: str, state: Path) -> None:
    """When ARM refuses the deletion too, the error and the ledger name it and how to remove it."""
    made: list[Any] = []

    def answer(asked: Asked) -> Said:
        path = asked.path.lower()
        if asked.method == "PUT" and "containergroups" in path:
            made.append({**asked.json, "id": asked.path, "name": "stuck"})
            return Said(201, made[0])
        if asked.method == "GET" and "containergroups" in path:
            if not made:
                return Said(404, {"error": {"code": "ResourceNotFound", "message": "no"}})
            failed = {**made[0]["properties"], "provisioningState": "Failed"}
            return Said(200, {**made[0], "properties": failed})
        if asked.method == "DELETE":
            return Said(409, {"error": {"code": "ScopeLocked", "message": "locked by 'keep'"}})
        return Said(200, {"id": "/x/rg", "name": "rg", "location": "westus"})

    server.answer = answer
    client = at(server.url)
    with pytest.raises(aciflow.ProvisioningError) as caught:
        client.launch(web_image, resource_group="rg", name="stuck")
    with pytest.raises(aciflow.CleanupError, match="stuck") as unclean:
        client.close()
    [left] = caught.value.leftovers
    assert left.resource_id.endswith("/containerGroups/stuck")
    assert "delete stuck" in left.remove_with
    assert left in unclean.value.remaining
    assert left.remove_with in str(caught.value)
    [record] = records(state)
    assert left.remove_with in record
    shutil.rmtree(state / "ledger")


def test_an_endpoint_that_is_down(server: ArmServer, web_image: str) -> None:
    """Nobody listens there: a few attempts, then an error that says where."""
    url = server.url.replace(str(server.port), "1")
    with at(url) as client, pytest.raises(aciflow.EndpointUnreachableError) as caught:
        client.launch(web_image, timeout=60)
    assert "localhost:1" in caught.value.message
    assert () == caught.value.leftovers


def test_kept_on_failure(any_client: Any, web_image: str, engine: Engine) -> None:
    """``on_failure='keep'`` leaves it to be looked at, and the error says how to remove it."""
    with pytest.raises(aciflow.ContainerExitedError) as caught:
        any_client.launch(
            web_image,
            name="kept",
            command=["/bin/sh", "-c", "echo why; exit 3"],
            ready=Ready.log("never written"),
            restart_policy="Never",
            on_failure="keep",
        )
    [left] = caught.value.leftovers
    assert left.resource_id.endswith("/kept")
    group = any_client.get("kept")
    assert "why\n" == group.logs()
    group.delete()
    assert [] == containers(engine, "kept")


def test_arguments_that_the_local_endpoint_cannot_honour() -> None:
    """A credential means Azure; with a local target it is refused."""
    with pytest.raises(aciflow.ConfigurationError, match="credential="):
        aciflow.Client("local", credential=Credential())


def test_names_of_a_closed_subscription(client: aciflow.Client) -> None:
    """Nothing was launched, so nothing is listed and nothing is found."""
    assert set() == names(client)
    with pytest.raises(aciflow.ValidationError, match="resource_group"):
        client.get("nobody")
    with pytest.raises(aciflow.GroupGoneError, match="nobody"):
        client.get("nobody", resource_group="none")
