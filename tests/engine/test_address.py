"""Finding an engine, and talking to it over a Unix socket or TCP."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import threading

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine.conftest import Rig, fetch

from aciflow.errors import EngineUnavailableError
from aciflow.local.runtime.engine import EngineAddress, EngineRuntime, find_engine
from aciflow.local.runtime.engine.address import candidates, require_engine
from aciflow.local.runtime.engine.api import EngineApi, EngineError


def test_an_explicit_address_is_the_only_candidate(tmp_path: Path) -> None:
    """DOCKER_HOST is what the user means, even where nothing answers."""
    env = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock", "XDG_RUNTIME_DIR": str(tmp_path)}
    assert [env["DOCKER_HOST"]] == [found.url for found in candidates(env)]
    assert None is find_engine(env)
    with pytest.raises(EngineUnavailableError) as caught:
        require_engine(env)
    assert f"{env['DOCKER_HOST']} (DOCKER_HOST): No such file or directory" in str(caught.value)
    assert "apt-get install docker.io" in str(caught.value)


def test_tls_and_other_schemes(tmp_path: Path) -> None:
    """DOCKER_TLS_VERIFY makes tcp:// mean TLS, and what is not supported says so."""
    env = {
        "DOCKER_HOST": "tcp://engine.example:2376",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": str(tmp_path),
    }
    [found] = candidates(env)
    assert ("https://engine.example:2376", str(tmp_path)) == (found.url, found.certificates)
    assert ("engine.example", False) == (found.host, found.is_local)
    problem = EngineAddress("ssh://somewhere", "DOCKER_HOST").problem()
    assert "ssh:// is not supported; use unix:// or tcp://" == problem


def test_the_docker_commands_context_is_honoured(tmp_path: Path) -> None:
    """Colima and OrbStack are found that way; the default context says nothing."""
    name = "colima"
    meta = tmp_path / "contexts/meta" / hashlib.sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    host = f"unix://{tmp_path}/colima.sock"
    (meta / "meta.json").write_text(json.dumps({"Endpoints": {"docker": {"Host": host}}}))
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": name}))
    [found] = candidates({"DOCKER_CONFIG": str(tmp_path)})
    assert (host, "docker context colima") == (found.url, found.source)
    default = candidates({"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "default"})
    assert host not in [found.url for found in default]


def test_a_socket_that_nobody_serves_is_passed_over(tmp_path: Path) -> None:
    """An engine that was stopped leaves its socket behind."""
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert "Connection refused" == EngineAddress(f"unix://{path}", "test").problem()


def test_what_answers_and_is_no_engine(tmp_path: Path) -> None:
    """A runtime does not start on it, and leaves no thread."""
    path = tmp_path / "other.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                while True:
                    other.accept()[0].close()

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        runtime = EngineRuntime("x" * 12, engine=EngineAddress(f"unix://{path}", "test"))
        with pytest.raises(EngineUnavailableError, match="does not answer"):
            runtime.start(lambda _: None, lambda: 0.0)
        assert not runtime.describe()["ok"]
        runtime.close(remove=True)
        other.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.fixture
def over_tcp() -> Iterator[EngineAddress]:
    """The real engine behind a TCP port, as in a CI job with docker-in-docker."""
    engine = require_engine()
    assert engine.socket_path is not None
    server = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def pair(client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as target:
            target.connect(engine.socket_path or "")
            back = threading.Thread(target=copy, args=(target, client))
            back.start()
            copy(client, target)
            back.join()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                threads.append(threading.Thread(target=pair, args=(client,)))
                threads[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    yield EngineAddress(f"tcp://127.0.0.1:{server.getsockname()[1]}", "test")
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    for thread in [acceptor, *threads]:
        thread.join(timeout=10)
        assert not thread.is_alive()


@pytest.mark.engine
def test_an_engine_over_tcp(over_tcp: EngineAddress, rigs: Callable[..., Rig]) -> None:
    """It works the same, and closing ends every connection."""
    rig = rigs(engine=over_tcp, addresses="bridge")
    uid = rig.open(80)
    rig.run(uid)
    assert b"hello from a container\n" == fetch(rig.ip(uid), 80)
    assert over_tcp.url in rig.runtime.describe()["detail"]
    rig.runtime.close(remove=True)


@pytest.mark.engine
def test_the_version_is_negotiated_and_refusals_carry_the_engines_words() -> None:
    """The newest that both know; a refusal has its status and message."""
    api = EngineApi(require_engine())
    try:
        major, minor = map(int, api.version.api.split("."))
        assert (1, 25) <= (major, minor) <= (1, 45)
        assert api.version.os == "linux"
        with pytest.raises(EngineError) as caught:
            api.start("no-such-container")
        assert 404 == caught.value.status
        assert "no-such-container" in caught.value.message
        api.remove("no-such-container")  # what is gone is gone
    finally:
        api.close()
