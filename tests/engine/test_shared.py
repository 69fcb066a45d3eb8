"""The shared endpoint, in real processes: found, taken over, and gone when nothing is left."""

from __future__ import annotations

import json
import os
import signal
import stat
import time

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import fetch
from tests.engine.processes import Process, arm, group_path
from tests.images import Engine
from tests.waiting import until

from aciflow.local.keeper import ensure_keeper
from aciflow.local.shared import SharedService, shared


pytestmark = pytest.mark.engine


@pytest.fixture
def processes(
    engine: Engine,
    web_image: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[], Process]]:
    """Makes processes; afterwards they are ended and the endpoint has left nothing."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["src", "."]))
    assert engine.has(web_image)
    made: list[Process] = []

    def make() -> Process:
        made.append(Process())
        return made[-1]

    yield make
    for process in made:
        if process.popen.poll() is None:
            process.end()
    azure = shared()
    for name in ("one", "two"):
        arm(azure, "DELETE", group_path(name))
    azure.close()
    assert {} == engine.labelled(f"aciflow.endpoint={_identity()['endpoint_id']}")


def _directory() -> Path:
    [found] = (Path(os.environ["ACIFLOW_STATE_DIR"]) / "local").glob("*/shared")
    return found


def _identity() -> dict[str, str]:
    found: dict[str, str] = json.loads((_directory() / "identity.json").read_bytes())
    return found


def _ip(body: dict[str, Any]) -> str:
    return str(body["properties"]["ipAddress"]["ip"])


def test_another_process_finds_what_one_has_left(
    processes: Callable[[], Process], web_image: str
) -> None:
    """One process starts a group and ends; the next one finds it serving, and deletes it."""
    first = processes()
    assert first.held_at_start
    assert 201 == first.do(f"result = put(azure, 'one', {web_image!r})[0]")
    body = first.do("result = wait_until_running(azure, 'one')")
    assert 0 == first.end()
    assert b"hello from a container\n" == fetch(_ip(body), 80)

    second = processes()
    assert second.held_at_start
    assert body["id"] == second.do("result = wait_until_running(azure, 'one')['id']")
    assert 200 == second.do("result = arm(azure, 'DELETE', group_path('one'))[0]")
    assert 0 == second.end()


def test_two_processes_at_once_see_the_same(
    processes: Callable[[], Process], web_image: str
) -> None:
    """Whoever came second is served by the first, and sees its groups at once."""
    first, second = processes(), processes()
    assert (True, False) == (first.held_at_start, second.held_at_start)
    assert 201 == second.do(f"result = put(azure, 'one', {web_image!r})[0]")
    body = first.do("result = wait_until_running(azure, 'one')")
    assert body == second.do("result = wait_until_running(azure, 'one')")


def test_a_killed_holder_is_replaced_by_whoever_waits(
    processes: Callable[[], Process], web_image: str, engine: Engine
) -> None:
    """After SIGKILL the other process takes over unasked: the container is watched and restarted."""
    first, second = processes(), processes()
    first.do(f"put(azure, 'one', {web_image!r})")
    body = first.do("result = wait_until_running(azure, 'one')")
    first.kill()
    assert until(lambda: second.do("result = service.holds"))

    [name] = [
        name.removeprefix("container ")
        for name in engine.labelled(f"aciflow.endpoint={_identity()['endpoint_id']}")
        if name.startswith("container ")
    ]
    engine.request("POST", f"/containers/{name}/kill")
    script = (
        "view = arm(azure, 'GET', group_path('one'))[1]['properties']['containers'][0];"
        "result = view['properties']['instanceView']"
    )
    view = until(lambda: (now := second.do(script))["restartCount"] and now)
    assert 137 == view["previousState"]["exitCode"]
    again = second.do("result = wait_until_running(azure, 'one')")
    assert body["id"] == again["id"]
    assert b"hello from a container\n" == fetch(_ip(again), 80)


def test_a_container_that_ended_while_nobody_watched_is_noticed(
    processes: Callable[[], Process], web_image: str
) -> None:
    """The next process learns the exit code from the engine."""
    first = processes()
    command = ["/bin/sh", "-c", "sleep 0.5; exit 7"]
    first.do(f"put(azure, 'one', {web_image!r}, command={command!r})")
    first.do("wait_until_running(azure, 'one')")
    first.kill()
    time.sleep(0.8)
    view = (
        "view = arm(azure, 'GET', group_path('one'))[1]['properties']['containers'][0];"
        "now = view['properties']['instanceView'];"
        "result = (now.get('previousState') or now['currentState']).get('exitCode')"
    )
    second = processes()
    assert 7 == until(lambda: second.do(view))


def test_a_fork_asks_its_parent(processes: Callable[[], Process], web_image: str) -> None:
    """A child of the holder is a process like any other: it neither holds nor ends anything."""
    first = processes()
    first.do(f"put(azure, 'one', {web_image!r}); wait_until_running(azure, 'one')")
    script = f"""
import os
read, write = os.pipe()
child = os.fork()
if not child:
    held = service.holds
    status, body = arm(azure, "GET", group_path("one"))
    made = put(azure, "two", {web_image!r})[0]
    os.write(write, json.dumps([held, status, made]).encode())
    azure.close()
    os._exit(0)
os.waitpid(child, 0)
result = json.loads(os.read(read, 1000))
"""
    assert [False, 200, 201] == first.do(script)
    assert first.do("result = service.holds")
    assert first.do("result = wait_until_running(azure, 'two')['name']") == "two"


def test_only_its_user_can_read_the_state(processes: Callable[[], Process], web_image: str) -> None:
    """It holds secrets: directories are 0700, files 0600, and a stranger is not answered."""
    first = processes()
    first.do(f"put(azure, 'one', {web_image!r})")
    paths = [_directory(), *_directory().iterdir()]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in paths}
    assert {"shared": 0o700} == {name: mode for name, mode in modes.items() if mode != 0o600}
    assert {"identity.json", "state.json", "holder.json", "holder.lock"} <= set(modes)

    from aciflow.local.channel import Connection

    holder = json.loads((_directory() / "holder.json").read_bytes())
    with pytest.raises(OSError, match="the other end is gone"):
        Connection.open(holder["port"], "guessed")
    Connection.open(holder["port"], holder["secret"]).close()


def test_the_keeper_goes_on_until_nothing_is_left(
    processes: Callable[[], Process], web_image: str
) -> None:
    """A background process holds the endpoint after the script's end, and ends with the last group."""
    first = processes()
    first.do(f"put(azure, 'one', {web_image!r})")
    body = first.do("result = wait_until_running(azure, 'one')")
    ensure_keeper()
    ensure_keeper()
    time.sleep(1.0)
    assert 0 == first.end()
    pid = until(lambda: _holder_pid(other_than=first.popen.pid))
    assert b"hello from a container\n" == fetch(_ip(body), 80)

    azure = shared()
    assert 200 == arm(azure, "DELETE", group_path("one"))[0]
    azure.close()
    until(lambda: not Path(f"/proc/{pid}").exists())


def _holder_pid(other_than: int) -> int | None:
    try:
        pid = int(json.loads((_directory() / "holder.json").read_bytes())["pid"])
    except (OSError, ValueError):
        return None
    return None if pid == other_than else pid


def test_the_keeper_hands_over_on_sigterm(processes: Callable[[], Process], web_image: str) -> None:
    """Told to end, it leaves the groups to whoever comes next."""
    first = processes()
    first.do(f"put(azure, 'one', {web_image!r}); wait_until_running(azure, 'one')")
    first.end()
    ensure_keeper()
    pid = until(lambda: _holder_pid(other_than=first.popen.pid))
    os.kill(pid, signal.SIGTERM)
    until(lambda: not Path(f"/proc/{pid}").exists())
    second = processes()
    assert second.held_at_start
    assert second.do("result = wait_until_running(azure, 'one')['name']") == "one"


def test_shared_is_one_object_until_it_is_closed(processes: Callable[[], Process]) -> None:
    """In a process everybody gets the same, and a new one after it was closed."""
    del processes
    first = shared()
    assert shared() is first
    first.start()
    service = first._service
    assert isinstance(service, SharedService)
    assert service.holds
    first.close()
    assert shared() is not first
