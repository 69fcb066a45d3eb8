"""
The public surface as type checkers see it. Checked, never run.

A line that must not type-check says so with an ignore comment, and an ignore comment that is not needed
is an error itself.
"""
# ruff: noqa: D103 (each function is a part of the surface, by its name)

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any, Literal, assert_type

import aciflow

from aciflow import (
    AsyncClient,
    AsyncContainerGroup,
    AsyncResourceGroup,
    AsyncSession,
    Client,
    Container,
    ContainerGroup,
    ContainerGroupSpec,
    CrashLoopError,
    Endpoint,
    ExecResult,
    LogLine,
    Phase,
    PhaseEvent,
    Port,
    Ready,
    Registry,
    ResourceGroup,
    Resources,
    RunResult,
    Session,
    Timeline,
    ValidationError,
    Volume,
)
from aciflow.local import LocalAzure


def on_phase(event: PhaseEvent) -> None:
    assert_type(event.status, Literal["started", "finished", "progress"])
    assert_type(event.duration, float | None)


def on_log(line: LogLine) -> None:
    assert_type(line.text, str)
    assert_type(line.at, float | None)


def launching(client: Client) -> None:
    group = aciflow.launch(
        "nginx",
        public_ip=True,
        ports=[80, Port(443)],
        name="web",
        resource_group="demo",
        location=["westeurope", "northeurope"],
        cpu=0.5,
        memory_gb=1,
        command=["nginx", "-g", "daemon off;"],
        env={"A": "b"},
        secure_env={"TOKEN": "x"},
        files={"/etc/app.conf": b""},
        volumes={"/scratch": Volume.empty_dir()},
        dns_label="web",
        dns_scope="TenantReuse",
        restart_policy="OnFailure",
        os_type="Linux",
        registry=Registry(server="r.example", username="u", password="p"),
        identity=["/subscriptions/..."],
        subnet=None,
        zone=None,
        spot=False,
        tags={"a": "b"},
        ready=Ready.http("/healthz", port=80, status=range(200, 300)) & Ready.log("listening"),
        timeout=60,
        wait=True,
        if_exists="adopt",
        lifetime="scope",
        on_failure="keep",
        delete_after=timedelta(hours=1),
        on_phase=on_phase,
        client=client,
    )
    assert_type(group, ContainerGroup)
    with aciflow.launch("nginx", public_ip=True) as entered:
        assert_type(entered, ContainerGroup)

    spec = ContainerGroupSpec(
        name="web",
        containers=(Container(name="web", image="nginx", resources=Resources(cpu=1, memory_gb=1)),),
    )
    assert_type(aciflow.launch(spec, wait=False), ContainerGroup)
    assert_type(client.launch(spec, resource_group="demo"), ContainerGroup)
    assert_type(client.launch("nginx", cpu=2), ContainerGroup)

    # The two ways to launch are not mixed.
    aciflow.launch(spec, public_ip=True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    client.launch(spec, env={})  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    aciflow.launch("nginx", lifetime="forever")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    aciflow.launch("nginx", publicip=True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def running(client: Client) -> None:
    result = aciflow.run("alpine", ["true"], timeout=10, check=True, on_log=on_log, cpu=1)
    assert_type(result, RunResult)
    assert_type(result.exit_code, int | None)
    assert_type(result.logs, str)
    assert_type(result.logs_truncated, bool)
    assert_type(result.timeline, Timeline)
    assert_type(result.estimated_cost, float | None)
    assert_type(client.run("alpine"), RunResult)
    assert_type(aciflow.get("web", resource_group="demo"), ContainerGroup)


def handle(group: ContainerGroup) -> None:
    assert_type(group.id, str)
    assert_type(group.name, str)
    assert_type(group.resource_group, str)
    assert_type(group.location, str)
    assert_type(group.target, Literal["azure", "local", "url"])
    assert_type(group.ip, str | None)
    assert_type(group.fqdn, str | None)
    assert_type(group.state, str)
    assert_type(group.timeline, Timeline)
    assert_type(group.estimated_cost, float | None)
    assert_type(group.url(), str)
    assert_type(group.url(8443, "https"), str)
    assert_type(group.endpoint(80), Endpoint)
    assert_type(group.endpoint().port, int)
    assert_type(group.refresh(), ContainerGroup)
    assert_type(group.wait(Ready.running()), ContainerGroup)
    assert_type(group.logs(container="web", tail=10), str)
    assert_type(group.stream_logs(since=0.0), Iterator[LogLine])
    result = group.exec(["cat", "/etc/hostname"], container="web", timeout=5)
    assert_type(result, ExecResult)
    assert_type(result.output, str)
    assert_type(result.exit_code, int | None)
    with group.attach(container="web") as session:
        assert_type(session, Session)
        assert_type(iter(session), Iterator[str])
        assert_type(session.read(timeout=1.0), bytes)
        session.write("x")
        session.write(b"x")
        session.resize(24, 80)
    group.wait(Ready.exec(["true"]) & Ready.tcp(via="container") & Ready.http(via="auto"))
    Ready.tcp(via="elsewhere")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(group.start(), ContainerGroup)
    assert_type(group.stop(), ContainerGroup)
    assert_type(group.restart(), ContainerGroup)
    group.delete()
    group.ip = "1.2.3.4"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def clients() -> None:
    with Client("local", location="westus", resource_group="demo", tags={"a": "b"}) as client:
        assert_type(client, Client)
        assert_type(client.get("web"), ContainerGroup)
        assert_type(client.list(), tuple[ContainerGroup, ...])
        with client.resource_group("demo", location="westus", delete="never") as group:
            assert_type(group, ResourceGroup)
            assert_type(group.launch("nginx"), ContainerGroup)
            assert_type(group.list(), tuple[ContainerGroup, ...])
        assert_type([usage.used for usage in client.usage()], list[float])
    with LocalAzure("simulated", speed=100.0, seed=1) as local, local.client() as client:
        assert_type(client, Client)
    Client(cloud="germany")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def asynchronous(spec: ContainerGroupSpec) -> None:
    async with AsyncClient("local") as client:
        group = await client.launch("nginx", public_ip=True)
        assert_type(group, AsyncContainerGroup)
        assert_type(await client.launch(spec), AsyncContainerGroup)
        assert_type(await client.run("alpine", ["true"]), RunResult)
        assert_type(await client.get("web", resource_group="demo"), AsyncContainerGroup)
        assert_type(await client.list(), tuple[AsyncContainerGroup, ...])
        assert_type(await group.logs(), str)
        assert_type(group.url(), str)
        lines: AsyncIterator[LogLine] = group.stream_logs()
        assert_type(await group.exec(["true"], timeout=1), ExecResult)
        async with await group.attach() as session:
            assert_type(session, AsyncSession)
            assert_type(aiter(session), AsyncIterator[str])
        async for line in lines:
            assert_type(line, LogLine)
        await group.delete()
        async with await client.resource_group("demo") as resource_group:
            assert_type(resource_group, AsyncResourceGroup)
    async with await aciflow.aio.launch("nginx") as entered:
        assert_type(entered, AsyncContainerGroup)
    assert_type(await aciflow.aio.run("alpine"), RunResult)
    assert_type(await aciflow.aio.get("web", resource_group="demo"), AsyncContainerGroup)
    await aciflow.aio.launch(spec, public_ip=True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def timelines(timeline: Timeline) -> None:
    assert_type(timeline.phases, tuple[Phase, ...])
    assert_type(timeline["pull"], Phase)
    assert_type(timeline["pull"].duration, float)
    assert_type(timeline["pull"].source, Literal["client", "service"])
    assert_type(timeline.total, float)
    assert_type(timeline.started_at, float)
    assert_type([phase for phase in timeline], list[Phase])  # noqa: C416
    assert_type(timeline.to_dict(), dict[str, Any])
    assert_type(timeline.to_records(), list[dict[str, Any]])
    assert_type(timeline.to_svg(), str)
    assert_type(timeline.to_chrome_trace(), dict[str, Any])
    assert_type(timeline.to_text(width=100, unicode=False), str)
    timeline.total = 1.0  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def failing() -> None:
    try:
        aciflow.launch("nginx")
    except ValidationError as error:
        assert_type([problem.field for problem in error.problems], list[str])
    except CrashLoopError as error:
        assert_type(error.container, str)
        assert_type(error.exit_code, int | None)
    except aciflow.ArmError as error:
        assert_type(error.code, str | None)
        assert_type(error.status, int)
    except aciflow.AciflowError as error:
        assert_type(error.timeline, Timeline | None)
        assert_type([left.remove_with for left in error.leftovers], list[str])
