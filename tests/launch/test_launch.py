"""From an image to a serving container, in one call."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.images import Engine
from tests.launch.conftest import records
from tests.launch.helpers import SLEEP, containers, fetch, names

import aciflow

from aciflow import Ready


pytestmark = pytest.mark.engine


def test_serves_when_it_returns(any_client: Any, web_image: str, engine: Engine) -> None:
    """The address answers at once, every phase was timed, and leaving the block deletes it."""
    with any_client.launch(web_image, public_ip=True) as group:
        assert "hello from a container\n" == fetch(group.url())
        assert f"http://{group.ip}" == group.url()
        assert ("Running", "local") == (group.state, group.target)
        phases = [phase.name for phase in group.timeline.phases]
        assert {"auth", "resource_group", "submit", "pull", "start", "ready"} <= set(phases)
        assert 0 < group.timeline["ready"].end <= group.timeline.total + 0.001
        [(_, state)] = containers(engine, group.name)
        assert "running" == state
    assert [] == containers(engine, group.name)
    assert "Deleted" == group.state
    assert group.timeline["delete"].duration > 0


def test_without_azure_it_says_so(web_image: str) -> None:
    """One warning at the caller's line, the target is local, and the waterfall begins with it."""
    with pytest.warns(aciflow.LocalTargetWarning) as warned:
        group = aciflow.launch(web_image, public_ip=True)
    with group:
        assert "local" == group.target
        assert "local engine, not Azure" in str(group.timeline).splitlines()[0]
    assert [__file__] == [warning.filename for warning in warned]


def test_the_module_functions_clean_up_after_themselves(
    web_image: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A launch with a client of its own leaves neither group, resource group, network nor record."""
    monkeypatch.setenv("ACIFLOW_TARGET", "local")
    group = aciflow.launch(web_image, public_ip=True)
    assert 1 == len([record for record in records(state) if '"stage": "accepted"' in record])
    again = aciflow.get(group.name, resource_group=group.resource_group)
    assert again.id == group.id
    group.delete()
    group.delete()  # once more is nothing
    with pytest.raises(aciflow.GroupGoneError, match="deleted"):
        group.refresh()
    with aciflow.Client("local") as other:
        assert set() == names(other)
        with pytest.raises(aciflow.GroupGoneError):
            other.get(group.name, resource_group=group.resource_group)


def test_two_groups_serve_the_same_port(any_client: Any, web_image: str) -> None:
    """Each has an address of its own, so both serve on port 80."""
    with (
        any_client.launch(web_image, public_ip=True) as one,
        any_client.launch(web_image, public_ip=True) as two,
    ):
        assert one.endpoint() != two.endpoint()
        assert (80, 80) == (one.endpoint().port, two.endpoint().port)
        assert fetch(one.url()) == fetch(two.url()) == "hello from a container\n"
        assert one.resource_group == two.resource_group


def test_twenty_at_once_on_a_loop(web_image: str) -> None:
    """Twenty launches together take a few times as long as one, and each group is its own."""

    async def main() -> None:
        async with aciflow.AsyncClient("local") as client:
            groups = await asyncio.gather(
                *(client.launch(web_image, public_ip=True) for _ in range(20))
            )
            assert 20 == len({group.ip for group in groups})
            assert 1 == len({group.resource_group for group in groups})
            pages = await asyncio.gather(
                *(asyncio.to_thread(fetch, group.url()) for group in groups)
            )
            assert ["hello from a container\n"] * 20 == pages
            listed = await client.list()
            assert {group.id for group in groups} == {group.id for group in listed}

    asyncio.run(main())


def test_twenty_from_threads(client: aciflow.Client, web_image: str) -> None:
    """One sync client serves twenty threads at once; closing it deletes all twenty."""
    with ThreadPoolExecutor(20) as pool:
        groups = list(
            pool.map(lambda _: client.launch(web_image, ready=Ready.running()), range(20))
        )
    assert 20 == len({group.id for group in groups})
    client.close()
    with aciflow.Client("local") as other:
        assert set() == names(other)


def test_within_a_running_loop(client: aciflow.Client, web_image: str) -> None:
    """The sync client works where a loop runs already, as in a notebook's cell."""

    async def cell() -> str:
        with client.launch(web_image, public_ip=True) as group:
            return fetch(group.url())

    assert "hello from a container\n" == asyncio.run(cell())


def test_another_process_is_not_needed_to_wait(any_client: Any, web_image: str) -> None:
    """``wait=False`` returns when ARM has accepted; the handle waits when it is told to."""
    with any_client.launch(web_image, public_ip=True, wait=False) as group:
        group.wait(Ready.http("/"), timeout=30)
        assert "Running" == group.state
        assert "hello from a container\n" == fetch(group.url())
        picked = any_client.get(group.name)
        with picked:
            assert picked.url() == group.url()
        assert "Running" == any_client.get(group.name).state  # its block deletes nothing


def test_a_handle_stops_starts_and_restarts(any_client: Any, web_image: str) -> None:
    """A stopped group answers no more, a started one does, and a restart is another process."""
    command = ["/bin/sh", "-c", "trap exit TERM; httpd -p 80 -h /www; while sleep 0.1; do :; done"]
    with any_client.launch(web_image, public_ip=True, command=command) as group:
        first = group.refresh()._state.containers[0].current.started_at
        group.stop()
        assert "Stopped" == group.state
        group.start()
        group.wait(Ready.tcp(), timeout=30)
        assert "hello from a container\n" == fetch(group.url())
        second = group._state.containers[0].current.started_at
        group.restart()
        group.wait(Ready.tcp(), timeout=30)
        third = group._state.containers[0].current.started_at
        assert first < second < third


def test_logs_as_they_come(any_client: Any, web_image: str) -> None:
    """A stream gives each line once and ends with the container; ``tail`` is from the end."""
    command = ["/bin/sh", "-c", "for i in 1 2 3 4 5; do echo line $i; sleep 0.1; done"]
    with any_client.launch(web_image, command=command, restart_policy="Never", wait=False) as group:
        group.wait(Ready.log("line 1"), timeout=30)
        lines = list(group.stream_logs())
        assert [f"line {number}" for number in range(1, 6)] == [line.text for line in lines]
        assert all(line.at is not None for line in lines)
        middle = lines[2].at
        assert ["line 3", "line 4", "line 5"] == [
            line.text for line in group.stream_logs(since=middle)
        ]
        assert "line 4\nline 5\n" == group.logs(tail=2)


def test_what_goes_into_the_container(any_client: Any, web_image: str, state: Path) -> None:
    """Files, environment and secret environment arrive; no repr, record or readable file tells one."""
    secret = "hunter2-is-not-told"
    command = ["/bin/sh", "-c", 'echo "$PLAIN $SECRET $(cat /etc/app/a.conf)"; sleep 600']
    with any_client.launch(
        web_image,
        command=command,
        env={"PLAIN": "plain"},
        secure_env={"SECRET": secret},
        files={"/etc/app/a.conf": secret.encode()},
        ready=Ready.log("plain"),
    ) as group:
        assert f"plain {secret} {secret}\n" == group.logs()
        shown = [repr(group), str(group.timeline), repr(group.refresh()), *records(state)]
        assert [] == [text for text in shown if secret in text]
        open_files = [p for p in state.rglob("*") if p.is_file() and p.stat().st_mode & 0o077]
        assert [] == open_files


def test_several_containers_share(any_client: Any, web_image: str) -> None:
    """An init container writes into a volume before the others start; those share the network."""
    shared = aciflow.VolumeMount(name="shared", mount_path="/shared")
    spec = aciflow.ContainerGroupSpec(
        name="several",
        public_ip=True,
        ports=(aciflow.Port(port=80),),
        volumes={"shared": aciflow.Volume.empty_dir()},
        init_containers=(
            aciflow.InitContainer(
                name="first",
                image=web_image,
                command=("/bin/sh", "-c", "echo from init > /shared/index.html"),
                volume_mounts=(shared,),
            ),
        ),
        containers=(
            aciflow.Container(
                name="web",
                image=web_image,
                command=("/bin/httpd", "-f", "-p", "80", "-h", "/shared"),
                ports=(aciflow.Port(port=80),),
                volume_mounts=(shared,),
            ),
            aciflow.Container(
                name="side",
                image=web_image,
                command=(
                    "/bin/sh",
                    "-c",
                    "until wget -qO- http://localhost/; do sleep 0.1; done; sleep 600",
                ),
            ),
        ),
    )
    with any_client.launch(spec, ready=Ready.tcp() & Ready.log("from init", container="side")) as g:
        assert "from init\n" == fetch(g.url())
        assert "from init" in g.logs(container="side")


def test_where_a_port_is(client: aciflow.Client, web_image: str) -> None:
    """``url`` leaves out a scheme's own port, and a port that is not open is named as such."""
    with client.launch(
        web_image,
        ports=[8080, 80],
        public_ip=True,
        command=["/bin/httpd", "-f", "-p", "8080", "-h", "/www"],
    ) as group:
        assert f"http://{group.ip}:8080" == group.url()
        assert f"http://{group.ip}" == group.url(80)
        assert f"https://{group.ip}:80" == group.url(80, scheme="https")
        assert (group.ip, 8080, "TCP") == (
            group.endpoint().host,
            group.endpoint().port,
            group.endpoint().protocol,
        )
        with pytest.raises(ValueError, match=r"port 81 is not open.* 8080, 80"):
            group.endpoint(81)
    with (
        client.launch(web_image) as group,
        pytest.raises(aciflow.GroupGoneError, match="no address"),
    ):
        group.url()


def test_udp_and_no_port_at_all(client: aciflow.Client, web_image: str) -> None:
    """Where there is no TCP port to ask, a launch ends when the container runs."""
    with client.launch(
        web_image, command=SLEEP, ports=[aciflow.Port(port=53, protocol="UDP")], public_ip=True
    ) as group:
        assert "UDP" == group.endpoint().protocol
    with client.launch(web_image, command=SLEEP) as group:
        assert group.ip is None
        assert "Running" == group.state


def test_a_hook_hears_of_every_phase(any_client: Any, web_image: str) -> None:
    """``on_phase`` hears them in order, in the caller's thread; what it raises does not matter."""
    heard: list[tuple[str, str]] = []
    threads = set()

    def hook(event: aciflow.PhaseEvent) -> None:
        heard.append((event.name, event.status))
        threads.add(threading.current_thread())
        raise RuntimeError("the hook's own")

    with any_client.launch(web_image, public_ip=True, on_phase=hook):
        pass
    began = [name for name, status in heard if status == "started"]
    assert ["auth", "resource_group", "submit", "ready"] == [n for n in began if n != "delete"]
    assert ("ready", "finished") in heard
    assert {threading.current_thread()} == threads


def test_a_closed_client_launches_nothing(any_client: Any, web_image: str) -> None:
    """It says that it is closed, and so do its handles; leaving their blocks is fine."""
    with any_client.launch(web_image) as group:
        any_client.close()
        with pytest.raises(aciflow.ConfigurationError, match="closed"):
            any_client.launch(web_image)
        with pytest.raises(aciflow.ConfigurationError, match="closed"):
            group.refresh()


def test_usage_counts(any_client: Any, web_image: str) -> None:
    """The local endpoint tells quotas as ACI does."""
    with any_client.launch(web_image):
        usage = {one.name: one for one in any_client.usage()}
        assert usage["ContainerGroups"].used >= 1
        assert usage["ContainerGroups"].limit > usage["ContainerGroups"].used


def test_a_detached_handle_says_how_to_delete_it(any_client: Any, web_image: str) -> None:
    """Its repr has the one command; deleting it deletes the resource group made for it too."""
    group = any_client.launch(web_image, lifetime="detached")
    assert f"aciflow delete {group.name} --resource-group {group.resource_group}" in repr(group)
    with group:
        pass
    assert "Running" == group.refresh().state
    group.delete()
    assert "detached" not in repr(group)


def test_ready_means_that_all_conditions_hold(any_client: Any, web_image: str) -> None:
    """A log line, a status and an open port, each later than the one before."""
    command = ["/bin/sh", "-c", "echo begin; sleep 0.6; echo listening; httpd -f -p 80 -h /www"]
    began = time.monotonic()
    with any_client.launch(
        web_image,
        command=command,
        public_ip=True,
        ready=Ready.log("listening") & Ready.http("/index.html", status=200) & Ready.tcp(80),
    ) as group:
        assert time.monotonic() - began >= 0.6
        with socket.create_connection((group.ip, 80), timeout=1):
            pass
