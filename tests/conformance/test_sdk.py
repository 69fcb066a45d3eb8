"""
The Azure SDKs, whichever are installed, on the served endpoint: over TLS, with their default pollers.

``nox -s minimums`` runs this with the oldest, the newest, az's and the coming one. The endpoint's clock
runs ten thousand times as fast as ACI: default pollers ask at once and then every 30 s, and what is
tested is what they ask, not that they can wait. For the same reason the network to operations is slow,
so that the first question does not come too early.
"""

from __future__ import annotations

import datetime as dt
import threading
import types

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt import containerinstance
from azure.mgmt.containerinstance import ContainerInstanceManagementClient, models
from azure.mgmt.resource import resources
from tests.conformance.sdk import Scenario, Step, call, operations, run_aio, run_sync
from tests.local.world import TRACE

from aciflow.local import LocalAzure
from aciflow.local.faults import Slow
from aciflow.local.served.server import Served


HOME, NAME = "sdk-tests", "web"
REGION = "westus"
ACI = "azure.mgmt.containerinstance", "ContainerInstanceManagementClient"
RESOURCES = "azure.mgmt.resource.resources", "ResourceManagementClient"
RUNS = [run_sync, run_aio]

# Of previews: other resources than container groups, which the endpoint does not have.
NOT_HERE = (
    *("container_group_profile.", "container_group_profiles.", "cg_profile.", "cg_profiles."),
    *("ngroups.", "sandbox_groups."),
)

OFTEN = 0.2
"""Seconds from poll to poll where another test has the default."""

Run = Callable[..., None]
m = cast("Any", models)


@pytest.fixture
def local() -> Iterator[LocalAzure]:
    """An endpoint whose containers start within a few milliseconds and say hello."""
    trace = {**TRACE, "logs": "hello\n"}
    with LocalAzure("simulated", speed=10_000.0, traces=[trace]) as endpoint:
        endpoint.faults.add(Slow(seconds=0.3), operation="Operation*_Get")
        yield endpoint


@pytest.fixture
def served(local: LocalAzure) -> Iterator[Served]:
    """It, for other programs."""
    with local.serve() as one:
        yield one


@pytest.fixture(autouse=True)
def _own_pollers_end() -> Iterator[None]:
    """A default poller has a thread of its own; none is left behind."""
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("LROPoller"):
            thread.join(60)
            assert not thread.is_alive()


def _home() -> Any:
    return {"location": REGION, "tags": {"made": "by-the-sdk"}}


def _body(**more: Any) -> Any:
    container = m.Container(
        name=NAME,
        image="nginx:1.27",
        command=["nginx", "-g", "daemon off;"],
        ports=[m.ContainerPort(port=80, protocol="TCP")],
        environment_variables=[
            m.EnvironmentVariable(name="SHOWN", value="yes"),
            m.EnvironmentVariable(name="HIDDEN", secure_value="a secret"),
        ],
        resources=m.ResourceRequirements(requests=m.ResourceRequests(cpu=1.0, memory_in_gb=1.5)),
        volume_mounts=[m.VolumeMount(name="scratch", mount_path="/scratch")],
    )
    return m.ContainerGroup(
        location=REGION,
        tags={"one": "1"},
        containers=[container],
        os_type="Linux",
        restart_policy="Always",
        ip_address=m.IpAddress(
            type="Public", ports=[m.Port(port=80, protocol="TCP")], dns_name_label="sdk-tests-web"
        ),
        volumes=[m.Volume(name="scratch", empty_dir={})],
        **more,
    )


def _check(group: Any, *, state: str = "Running") -> None:
    """What the SDK's own models make of a group that runs."""
    assert isinstance(group, m.ContainerGroup)
    assert (group.name, group.location, group.provisioning_state) == (NAME, REGION, "Succeeded")
    assert group.type == "Microsoft.ContainerInstance/containerGroups"
    assert group.id.endswith(f"/resourceGroups/{HOME}/providers/{group.type}/{NAME}")
    assert (group.os_type, group.restart_policy, group.sku) == ("Linux", "Always", "Standard")
    assert group.ip_address.ip
    assert group.ip_address.fqdn == "sdk-tests-web.westus.azurecontainer.io"
    assert group.ip_address.ports[0].port == 80
    assert group.volumes[0].empty_dir == {}
    (container,) = group.containers
    assert (container.name, container.image) == (NAME, "nginx:1.27")
    assert container.command == ["nginx", "-g", "daemon off;"]
    assert container.resources.requests.memory_in_gb == 1.5
    variables = {each.name: each for each in container.environment_variables}
    assert variables["SHOWN"].value == "yes"
    assert (variables["HIDDEN"].value, variables["HIDDEN"].secure_value) == (None, None)
    assert group.instance_view.state == state
    current = container.instance_view.current_state
    assert current.state == ("Running" if state == "Running" else "Terminated")
    assert container.instance_view.restart_count == 0
    if state == "Running":
        assert isinstance(current.start_time, dt.datetime)
        names = {event.name for event in container.instance_view.events}
        assert names >= {"Pulling", "Pulled", "Started"}


def _every_operation() -> Scenario:
    """Every operation of container instances, once or more."""
    listed = yield call("operations.list")
    names = {each.name for each in listed}
    assert "Microsoft.ContainerInstance/containerGroups/write" in names
    assert all(each.display.operation for each in listed)

    made = yield call("container_groups.begin_create_or_update", HOME, NAME, _body())
    _check(made)
    _check((yield call("container_groups.get", HOME, NAME)))

    (one,) = yield call("container_groups.list")
    (other,) = yield call("container_groups.list_by_resource_group", HOME)
    assert one.id == other.id == made.id
    assert one.instance_view is None
    assert one.containers[0].instance_view is None

    updated = yield call("container_groups.update", HOME, NAME, m.Resource(tags={"two": "2"}))
    assert updated.tags == {"two": "2"}
    needed = yield call("container_groups.get_outbound_network_dependencies_endpoints", HOME, NAME)
    assert needed == []

    logs = yield call("containers.list_logs", HOME, NAME, NAME, tail=10)
    assert logs.content == "hello\n"
    size = m.ContainerExecRequestTerminalSize(rows=24, cols=80)
    wanted = m.ContainerExecRequest(command="/bin/sh", terminal_size=size)
    session = yield call("containers.execute_command", HOME, NAME, NAME, wanted)
    assert "/execstream/sessionId/" in session.web_socket_uri
    assert session.web_socket_uri.startswith("wss://")
    assert session.password
    session = yield call("containers.attach", HOME, NAME, NAME)
    assert "/logstream/sessionId/" in session.web_socket_uri

    usages = {each.name.value: each for each in (yield call("location.list_usage", REGION))}
    assert usages["ContainerGroups"].current_value == 1
    assert usages["StandardCores"].current_value == 1
    assert usages["ContainerGroups"].limit > 1
    capabilities = yield call("location.list_capabilities", REGION)
    assert capabilities[0].capabilities.max_cpu > 1
    assert (yield call("location.list_cached_images", REGION)) is not None

    assert (yield call("container_groups.begin_restart", HOME, NAME)) is None
    assert (yield call("container_groups.stop", HOME, NAME)) is None
    stopped = yield call("container_groups.get", HOME, NAME)
    while stopped.instance_view.state != "Stopped":
        stopped = yield call("container_groups.get", HOME, NAME)
    assert (yield call("container_groups.begin_start", HOME, NAME)) is None
    started = yield call("container_groups.get", HOME, NAME)
    while started.instance_view.state != "Running":
        started = yield call("container_groups.get", HOME, NAME)

    deleted = yield call("container_groups.begin_delete", HOME, NAME)
    assert deleted.name == NAME
    with pytest.raises(ResourceNotFoundError) as refused:
        yield call("container_groups.get", HOME, NAME)
    assert refused.value.error is not None
    assert refused.value.error.code == "ResourceNotFound"
    yield call("subnet_service_association_link.begin_delete", HOME, "network", "subnet")


def _noting(scenario: Scenario, called: set[str]) -> Scenario:
    """The same scenario, which notes what it calls."""
    step: Step = next(scenario)
    while True:
        called.add(step[0])
        try:
            reply = yield step
        except HttpResponseError as error:
            try:
                step = scenario.throw(error)
            except StopIteration:
                return
        else:
            try:
                step = scenario.send(reply)
            except StopIteration:
                return


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.__name__)
def test_every_operation_of_container_instances(
    local: LocalAzure, served: Served, run: Run
) -> None:
    """Each operation that the SDK has works, and its own models read the replies."""
    run_sync(*RESOURCES, local, served, _make_home())
    called: set[str] = set()

    run(*ACI, local, served, _noting(_every_operation(), called))

    credential = cast("Any", local.credential())
    with ContainerInstanceManagementClient(credential, local.subscription_id) as client:
        known = operations(client)
    assert {name for name in known if not name.startswith(NOT_HERE)} == called


def _make_home() -> Scenario:
    yield call("resource_groups.create_or_update", HOME, _home())


def _resource_groups() -> Scenario:
    """What azure-mgmt-resource is used for around container groups."""
    assert (yield call("resource_groups.check_existence", HOME)) is False
    made = yield call("resource_groups.create_or_update", HOME, _home())
    assert (made.name, made.location, made.tags) == (HOME, REGION, {"made": "by-the-sdk"})
    assert made.properties.provisioning_state == "Succeeded"
    assert (yield call("resource_groups.check_existence", HOME)) is True
    assert (yield call("resource_groups.get", HOME)).id == made.id
    assert [each.name for each in (yield call("resource_groups.list"))] == [HOME]
    changed = yield call("resource_groups.update", HOME, {"tags": {"changed": "yes"}})
    assert changed.tags == {"changed": "yes"}
    tagged = yield call("resource_groups.list", filter="tagName eq 'changed' and tagValue eq 'yes'")
    assert [each.name for each in tagged] == [HOME]

    provider = yield call("providers.get", "Microsoft.ContainerInstance")
    assert (provider.namespace, provider.registration_state) == (
        "Microsoft.ContainerInstance",
        "Registered",
    )
    kinds = {each.resource_type: each for each in provider.resource_types}
    assert "2023-05-01" in kinds["containerGroups"].api_versions
    registered = yield call("providers.register", "Microsoft.ContainerInstance")
    assert registered.registration_state == "Registered"


def _resources() -> Scenario:
    (one,) = yield call("resources.list_by_resource_group", HOME)
    assert (one.name, one.type) == (NAME, "Microsoft.ContainerInstance/containerGroups")
    kind = "resourceType eq 'Microsoft.ContainerInstance/containerGroups'"
    assert [each.id for each in (yield call("resources.list", filter=kind))] == [one.id]
    assert (yield call("resources.get_by_id", one.id, api_version="2023-05-01")).location == REGION

    tags = {"operation": "Merge", "properties": {"tags": {"more": "3"}}}
    merged = yield call("tags.begin_update_at_scope", one.id, tags)
    assert merged.properties.tags == {"one": "1", "more": "3"}
    assert (yield call("tags.get_at_scope", one.id)).properties.tags["more"] == "3"

    assert (yield call("resource_groups.begin_delete", HOME)) is None
    with pytest.raises(ResourceNotFoundError) as refused:
        yield call("resource_groups.get", HOME)
    assert refused.value.error is not None
    assert refused.value.error.code == "ResourceGroupNotFound"


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.__name__)
def test_what_azure_mgmt_resource_is_used_for(local: LocalAzure, served: Served, run: Run) -> None:
    """Resource groups, providers, resources and tags, until all is deleted with the group."""
    run(*RESOURCES, local, served, _resource_groups())
    run(*ACI, local, served, _create(), polling_interval=OFTEN)
    run(*RESOURCES, local, served, _resources())


def _create() -> Scenario:
    yield call("container_groups.begin_create_or_update", HOME, NAME, _body())


# --- the SDK's own live test --------------------------------------------------------------------


LIVE_GROUP, LIVE_CONTAINER, LIVE_REGION = "myContainerGroup", "my-container", "eastus"


def _live_group() -> Any:
    """The group of the SDK's live test, without the K80 that Azure has withdrawn since."""
    requests = m.ResourceRequests(cpu=1, memory_in_gb=1.5)
    container = m.Container(
        name=LIVE_CONTAINER,
        command=[],
        environment_variables=[],
        image="nginx",
        ports=[m.ContainerPort(port=80)],
        resources=m.ResourceRequirements(requests=requests),
        volume_mounts=[m.VolumeMount(name="empty-volume", mount_path="/mnt/mydir")],
    )
    analytics = m.LogAnalytics(workspace_id="workspaceid", workspace_key="workspaceKey")
    return m.ContainerGroup(
        location=LIVE_REGION,
        identity=m.ContainerGroupIdentity(type="SystemAssigned"),
        containers=[container],
        diagnostics=m.ContainerGroupDiagnostics(log_analytics=analytics),
        os_type="Linux",
        restart_policy="OnFailure",
        volumes=[m.Volume(name="empty-volume", empty_dir={})],
    )


def _live_test() -> Scenario:
    """The calls of azure-sdk-for-python's test_cli_mgmt_containerinstance.py, in their order."""
    where = (HOME, LIVE_GROUP)
    group = yield call("container_groups.begin_create_or_update", *where, _live_group())
    assert group.provisioning_state == "Succeeded"
    assert group.identity.principal_id
    assert group.identity.tenant_id
    assert group.diagnostics.log_analytics.workspace_id == "workspaceid"
    assert group.diagnostics.log_analytics.workspace_key is None
    logs = yield call("containers.list_logs", *where, LIVE_CONTAINER, tail=10)
    assert logs.content == "hello\n"
    got = yield call("container_groups.get", *where)
    assert got.containers[0].name == LIVE_CONTAINER
    assert len((yield call("container_groups.list_by_resource_group", HOME))) == 1
    yield call("location.list_cached_images", location=LIVE_REGION)
    yield call("location.list_capabilities", location=LIVE_REGION)
    yield call("location.list_usage", location=LIVE_REGION)
    yield call("container_groups.list")
    yield call("operations.list")
    size = m.ContainerExecRequestTerminalSize(rows=12, cols=12)
    wanted = m.ContainerExecRequest(command="/bin/bash", terminal_size=size)
    session = yield call("containers.execute_command", *where, LIVE_CONTAINER, wanted)
    assert session.web_socket_uri.endswith("rows=12&cols=12")
    yield call("container_groups.begin_restart", *where)
    yield call("container_groups.begin_start", *where)
    yield call("container_groups.stop", *where)
    tags = {"tag1key": "tag1Value", "tag2key": "tag2Value"}
    updated = yield call("container_groups.update", *where, m.Resource(tags=tags))
    assert updated.tags == tags
    deleted = yield call("container_groups.begin_delete", *where)
    assert deleted.name == LIVE_GROUP


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.__name__)
def test_the_live_test_of_the_sdk(local: LocalAzure, served: Served, run: Run) -> None:
    """The SDK's own live test for container instances passes: its calls, its bodies."""
    run_sync(*RESOURCES, local, served, _make_home())

    run(*ACI, local, served, _live_test(), polling_interval=OFTEN)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.__name__)
def test_refusals_are_the_sdks_own_errors(local: LocalAzure, served: Served, run: Run) -> None:
    """A refused PUT is raised as azure-core's error, with ARM's code and message in it."""

    def steps() -> Scenario:
        body = _body()
        body.containers[0].resources = m.ResourceRequirements(
            requests=m.ResourceRequests(cpu=400.0, memory_in_gb=1.5)
        )
        with pytest.raises(HttpResponseError) as refused:
            yield call("container_groups.begin_create_or_update", HOME, NAME, body)
        error = refused.value.error
        assert error is not None
        assert refused.value.status_code in (400, 409)
        assert error.code
        assert error.message

    run_sync(*RESOURCES, local, served, _make_home())
    run(*ACI, local, served, steps())


def test_the_sdk_under_test_is_the_one_that_is_installed() -> None:
    """The modules under test are real packages with a version, not something of this project's."""
    assert isinstance(resources, types.ModuleType)
    version = tuple(int(part) for part in containerinstance.__version__.split("b")[0].split("."))
    assert version >= (10, 1, 0)
