"""What is decided without an engine: bodies, the pause program, versions, private files, locks."""

from __future__ import annotations

import json
import os
import stat
import struct
import subprocess
import sys

from pathlib import Path

import pytest

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from aciflow.local.protocol import ContainerRun, Mount, PortSpec, RegistryAuth
from aciflow.local.runtime.engine import pause
from aciflow.local.runtime.engine.api import _auth_header
from aciflow.local.runtime.engine.client import _read_version
from aciflow.local.runtime.engine.containers import Place, Restarts, Sandbox, container_body
from aciflow.local.runtime.engine.signals import program
from aciflow.local.state import FileLock, Store, private_directory, write_private


BRIDGE = Sandbox(hostname="h", ports=(PortSpec(port=80),), place=Place(mode="bridge"))


def _body(run: ContainerRun, **more: object) -> dict[str, object]:
    arguments: dict[str, object] = {
        "attempt": 0,
        "labels": {},
        "uid": "u",
        "sandbox": BRIDGE,
        "pause_id": None,
        "processors": 2,
        **more,
    }
    return container_body(run, **arguments)[0]  # type: ignore[arg-type]


def test_the_pause_program_is_as_small_as_it_can_be() -> None:
    """129 bytes on amd64; other processors that we have no code for are refused by name."""
    assert 129 == len(pause.elf("amd64"))
    assert b"\x7fELF" == pause.elf("arm64")[:4]
    with pytest.raises(ValueError, match="riscv64"):
        pause.elf("riscv64")


@pytest.mark.parametrize(
    ("theirs", "oldest", "used"),
    [
        ("1.41", "1.12", "1.41"),
        ("1.52", "1.44", "1.45"),
        ("1.60", "1.50", "1.50"),
        ("1.41", "", "1.41"),
    ],
)
def test_version_negotiation(theirs: str, oldest: str, used: str) -> None:
    """Never newer than what was looked at, unless the engine insists."""
    assert used == _read_version({"ApiVersion": theirs, "MinAPIVersion": oldest}).api


def test_a_single_container_owns_the_address() -> None:
    """It has the network and the hostname itself, and on a bridge publishes nothing."""
    body = _body(ContainerRun(name="c", image="i"))
    assert "h" == body["Hostname"]
    assert {"NetworkMode": "bridge", "Privileged": False} == body["HostConfig"]
    assert not {"Entrypoint", "ExposedPorts"} & set(body)


def test_one_of_several_joins_the_namespaces() -> None:
    """Hostname and ports belong to the pause container, and an engine refuses them here."""
    body = _body(ContainerRun(name="c", image="i", command=("x", "y")), pause_id="p")
    assert {"NetworkMode": "container:p", "IpcMode": "container:p", "Privileged": False} == body[
        "HostConfig"
    ]
    assert not {"Hostname", "ExposedPorts"} & set(body)
    assert (["x", "y"], []) == (body["Entrypoint"], body["Cmd"])


@given(
    st.sampled_from(["bridge", "loopback", "mapped", "none"]),
    st.none() | st.just("10.1.2.3"),
    st.text(),
    st.lists(st.tuples(st.integers(1, 65535), st.sampled_from(["TCP", "UDP"]))),
    st.sampled_from(["always", "on-failure", "never"]),
    st.lists(st.integers(1, 65535)),
)
def test_a_sandbox_survives_its_label(
    mode: str,
    ip: str | None,
    name: str,
    ports: list[tuple[int, str]],
    restarts: Restarts,
    probed: list[int],
) -> None:
    """A process that adopts the group learns what it needs from it."""
    specs = tuple(PortSpec(port=port, protocol=kind) for port, kind in ports)  # type: ignore[arg-type]
    place = Place(mode=mode, ip=ip)
    sandbox = Sandbox(
        hostname=name, ports=specs, restarts=restarts, place=place, probed=tuple(probed)
    )
    assert sandbox == Sandbox.parse(sandbox.dump())
    earlier = json.dumps(json.loads(sandbox.dump())[:5])  # as versions before probes wrote it
    assert evolve(sandbox, probed=()) == Sandbox.parse(earlier)


def test_the_program_that_sends_signals() -> None:
    """The very instructions, for both processors: kill(-77777, SIGHUP), kill(..., SIGKILL), exit(0)."""
    code = program("amd64", -77777, (1, 9))[120:]
    assert "bf2fd0feffbe01000000b83e0000000f05" == code[:17].hex()
    assert "bf2fd0feffbe09000000b83e0000000f05" == code[17:34].hex()
    assert "31ffb83c0000000f05" == code[34:].hex()
    words = struct.unpack("<8I", program("arm64", -77777, (1,))[120:])
    #        mov x0     movk x0     mov x1      mov x8      svc         mov x0      mov x8
    wanted = (0xD29A05E0, 0xF2BFFFC0, 0xD2800021, 0xD2801028, 0xD4000001, 0xD2800000, 0xD2800BA8)
    assert (*wanted, 0xD4000001) == words
    with pytest.raises(ValueError, match="riscv64"):
        program("riscv64", 1, (1,))


def test_no_secret_is_in_any_repr() -> None:
    """Values that are passed around are printed by accident sooner or later."""
    mount = Mount(volume="v", path="/p", kind="secret", files={"f": b"hunter2"})
    run = ContainerRun(name="c", image="i", env={"PASSWORD": "hunter2"}, mounts=(mount,))
    auth = RegistryAuth(server="s", username="u", password="hunter2")
    assert "hunter2" not in repr((run, auth))
    assert "x-registry-auth" in _auth_header(auth)


def test_private_files_and_directories(tmp_path: Path) -> None:
    """Only their user reads them, and a directory that was open is closed."""
    directory = tmp_path / "open"
    directory.mkdir(mode=0o755)
    assert 0o700 == stat.S_IMODE(private_directory(directory).stat().st_mode)
    path = directory / "file"
    write_private(path, b"x")
    write_private(path, b"y")
    assert (b"y", 0o600) == (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
    assert [path] == list(directory.iterdir())


def test_a_store_gives_back_what_it_was_given(tmp_path: Path) -> None:
    """And nothing where there is nothing that can be read."""
    store = Store(tmp_path / "state.json")
    assert None is store.load()
    store.save({"a": [1]})
    assert {"a": [1]} == store.load()
    (tmp_path / "state.json").write_text("{")
    assert None is store.load()
    store.clear()
    store.clear()
    assert [] == list(tmp_path.iterdir())


def test_a_lock_is_held_once_and_ends_with_its_process(tmp_path: Path) -> None:
    """Also against this same process; a child made by fork does not keep it."""
    path = tmp_path / "lock"
    first, second = FileLock(path), FileLock(path)
    assert first.acquire()
    assert not second.acquire(timeout=0.05)
    script = (
        "import sys, os, time; from pathlib import Path; from aciflow.local.state import FileLock\n"
        "lock = FileLock(Path(sys.argv[1]))\n"
        "if not lock.acquire(): print('no', flush=True); sys.exit()\n"
        "if not os.fork(): time.sleep(30); os._exit(0)\n"
        "print('yes', flush=True); time.sleep(30)"
    )
    command = [sys.executable, "-c", script, str(path)]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert b"no\n" == subprocess.run(command, stdout=subprocess.PIPE, env=environ).stdout
    first.release()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=environ, start_new_session=True
    ) as other:
        assert other.stdout is not None
        assert b"yes\n" == other.stdout.readline()
        assert not second.acquire()
        other.kill()
        assert second.acquire(timeout=5)  # although its child lives
        os.killpg(other.pid, 9)
    second.release(remove=True)
    assert not path.exists()
