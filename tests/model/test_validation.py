from __future__ import annotations

import math

from typing import Any, cast

import pytest

from attrs import evolve

from aciflow.errors import ValidationError
from aciflow.model import (
    Container,
    ContainerGroupSpec,
    DnsConfig,
    Extension,
    Identity,
    InitContainer,
    LogAnalytics,
    Port,
    Probe,
    Registry,
    Resources,
    SecurityContext,
    Volume,
    VolumeMount,
    check,
    validate,
)


ID = (
    "/subscriptions/s/resourceGroups/r/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
)
SUBNET = "/subscriptions/s/resourceGroups/r/providers/Microsoft.Network/virtualNetworks/v/subnets/n"

WEB = Container(name="web", image="nginx", ports=(80,))
GROUP = ContainerGroupSpec(name="my-group", containers=[WEB], public_ip=True)
SECRET = "hunter2-hunter2"


def problems(spec: ContainerGroupSpec) -> list[str]:
    """The problems as text."""
    return [str(problem) for problem in validate(spec)]


def group(**changes: Any) -> ContainerGroupSpec:
    """A good group, changed."""
    return evolve(GROUP, **changes)


def web(**changes: Any) -> ContainerGroupSpec:
    """A good group whose container is changed."""
    return group(containers=[evolve(WEB, **changes)])


def asks(*asked: Resources, **changes: Any) -> ContainerGroupSpec:
    """A group of containers with these resources."""
    containers = [
        Container(name=f"c{number}", image="nginx", resources=one)
        for number, one in enumerate(asked)
    ]
    return group(containers=containers, public_ip=False, ports=(), **changes)


def crowd(number: int) -> list[Container]:
    """Many small containers."""
    small = Resources(cpu=0.1, memory_gb=0.1)
    return [Container(name=f"c{i}", image="nginx", resources=small) for i in range(number)]


def probed(**fields: Any) -> ContainerGroupSpec:
    """A good group with a liveness probe."""
    return web(liveness=Probe(**fields))


def mounted(*paths: str, os_type: Any = "Linux") -> ContainerGroupSpec:
    """A good group with a volume mounted at these paths."""
    mounts = [VolumeMount(name="files", mount_path=path) for path in paths]
    return evolve(web(volume_mounts=mounts), volumes={"files": Volume.empty_dir()}, os_type=os_type)


def volume(value: Volume, name: str = "files") -> ContainerGroupSpec:
    """A good group with a volume."""
    return group(volumes={name: value})


def pulling(*registries: Registry, users: tuple[str, ...] = (), system: bool = False) -> Any:
    """A good group with registries and identities."""
    return group(
        registries=registries, identity=Identity(system_assigned=system, user_assigned=users)
    )


GOOD = {
    "plain": GROUP,
    "no address": group(public_ip=False, ports=()),
    "private": group(public_ip=False, private_ip=True, subnets=(SUBNET,)),
    "five ports": evolve(web(ports=range(80, 85)), ports=range(80, 85)),
    "tcp and udp": evolve(web(ports=(53, Port(53, "UDP"))), ports=(53, Port(53, "UDP"))),
    "label": group(dns_label="a-1-b"),
    "sixty containers": group(containers=crowd(60), public_ip=False, ports=()),
    "small sidecar": asks(Resources(cpu=0.9, memory_gb=0.9), Resources(cpu=0.1, memory_gb=0.1)),
    "limit at the total": asks(
        Resources(cpu=1, memory_gb=1, cpu_limit=1.1, memory_limit_gb=1.1),
        Resources(cpu=0.1, memory_gb=0.1),
    ),
    "limit at the request": asks(Resources(cpu=1, memory_gb=1, cpu_limit=1, memory_limit_gb=1)),
    "fifty tags": group(tags={f"t{n}": "" for n in range(50)}),
    "largest": asks(Resources(cpu=32, memory_gb=256)),
    "largest confidential": asks(Resources(cpu=32, memory_gb=192), sku="Confidential"),
    "confidential": evolve(
        web(security=SecurityContext(privileged=True)), sku="Confidential", confidential="cG9s"
    ),
    "spot": asks(Resources(cpu=4, memory_gb=16), priority="Spot"),
    "probe": web(liveness=Probe.http(80), readiness=Probe.exec(["true"], initial_delay=0)),
    "newer probe": probed(extra={"tcpSocket": {"port": 80}}),
    "mounts": mounted("/a", "/a/b"),
    "windows mount": mounted("C:\\data", os_type="Windows"),
    "newer volume": volume(Volume(kind="other", extra={"nfs": {}})),
    "share without key": volume(
        Volume(kind="azure_file", share="s", account="a", extra={"azureFile": {"keyRef": "k"}})
    ),
    "share": volume(Volume.azure_file("s", "a", "k")),
    "clone": volume(Volume.git_repo("https://h/r", ".")),
    "password": pulling(Registry("r.io", username="u", password="p")),
    "pull by identity": pulling(
        Registry("r.io", identity=ID.upper().replace("/S", "/s")), users=(ID,)
    ),
    "log analytics": group(diagnostics=LogAnalytics(workspace_id="w", workspace_key="k")),
    "extension": group(extensions=[Extension(name="e", type="t", version="1")]),
    "dns": group(dns=DnsConfig(name_servers=("10.0.0.1",))),
    "tags": group(tags={"k" * 512: "v" * 256}),
    "init": group(init_containers=[InitContainer(name="setup", image="busybox")]),
    "not privileged": web(security=SecurityContext(privileged=False)),
}


@pytest.mark.parametrize("spec", [pytest.param(spec, id=name) for name, spec in GOOD.items()])
def test_what_may_be_sent(spec: ContainerGroupSpec) -> None:
    """A group within the limits, up to each of them, has no problem."""
    assert problems(spec) == []
    check(spec)


BAD: list[tuple[ContainerGroupSpec, str, str]] = [
    # names
    (group(name="My_Group"), "name", "'My_Group' is not a name"),
    (group(name="a--b"), "name", "is not a name"),
    (group(name="-a"), "name", "is not a name"),
    (group(name="a" * 64), "name", "is not a name"),
    (group(name="a\n"), "name", "is not a name"),
    (group(name=None), "name", "is not a name"),
    (web(name="Web"), "containers[0].name", "is not a name"),
    (web(name=""), "containers[0].name", "is not a name"),
    (
        group(init_containers=[InitContainer(name="web", image="busybox")]),
        "init_containers[0].name",
        "another container",
    ),
    (
        group(init_containers=[InitContainer(name="x_y", image="busybox")]),
        "init_containers[0].name",
        "is not a name",
    ),
    (web(image="Nginx"), "containers[0].image", "'Nginx': 'Nginx' is not an image's name"),
    # words
    (group(os_type="linux"), "os_type", "'linux' is not one of Linux, Windows"),
    (group(restart_policy="never"), "restart_policy", "Always, OnFailure, Never"),
    (group(dns_scope="unsecure"), "dns_scope", "TenantReuse"),
    (group(priority="low"), "priority", "Regular, Spot"),
    (group(sku="Premium"), "sku", "Standard, Dedicated, Confidential"),
    # counts
    (group(containers=(), public_ip=False, ports=()), "containers", "at least one container"),
    (group(containers=crowd(61), public_ip=False, ports=()), "containers", "61 of them"),
    (
        group(init_containers=[InitContainer(name=f"i{n}", image="b") for n in range(60)]),
        "init_containers",
        "60 of them; a group takes 59",
    ),
    (
        group(volumes={f"volume-{n}": Volume.empty_dir() for n in range(21)}),
        "volumes",
        "21 of them",
    ),
    (group(zones=("1", "2")), "zones", "2 of them; a group takes 1"),
    (
        group(public_ip=False, private_ip=True, subnets=(SUBNET, SUBNET + "2")),
        "subnets",
        "2 of them",
    ),
    (
        asks(Resources(), Resources(), os_type="Windows"),
        "containers",
        "a Windows group takes one container",
    ),
    # resources
    (asks(Resources(cpu=0.9)), "containers", "0.9 vCPU together; a group has at least 1"),
    (asks(Resources(memory_gb=0.9)), "containers", "0.9 GB together; a group has at least 1"),
    (asks(Resources(cpu=33)), "containers", "33 vCPU together; a group has at most 32"),
    (asks(Resources(memory_gb=257)), "containers", "257 GB together; a group has at most 256"),
    (
        asks(Resources(memory_gb=193), sku="Confidential"),
        "containers",
        "193 GB together; a group has at most 192",
    ),
    (asks(Resources(), Resources(cpu=0)), "containers[1].resources.cpu", "0 vCPU; at least 0.01"),
    (
        asks(Resources(), Resources(memory_gb=-1), Resources()),
        "containers[1].resources.memory_gb",
        "-1 GB; at least 0.1",
    ),
    (asks(Resources(cpu=math.nan)), "containers[0].resources.cpu", "nan vCPU"),
    (
        asks(Resources(cpu=2, cpu_limit=1)),
        "containers[0].resources.cpu_limit",
        "1 vCPU is below the 2 vCPU requested",
    ),
    (
        asks(Resources(cpu=1, cpu_limit=2)),
        "containers[0].resources.cpu_limit",
        "2 vCPU is above the group's total of 1 vCPU",
    ),
    (
        asks(Resources(memory_gb=1, memory_limit_gb=4)),
        "containers[0].resources.memory_limit_gb",
        "4 GB is above the group's total of 1 GB",
    ),
    (asks(Resources(gpu=1)), "containers[0].resources.gpu", "retired"),
    (asks(Resources(gpu_sku="K80")), "containers[0].resources.gpu", "retired"),
    # environment and command
    (web(env={"_A": "1"}), "containers[0].env['_A']", "is not a name"),
    (web(env={"A.B": "1"}), "containers[0].env['A.B']", "is not a name"),
    (web(env={"A": 1}), "containers[0].env['A']", "is of type int; environment values are strings"),
    (web(env={"A": None}), "containers[0].env['A']", "is of type NoneType"),
    (web(secure_env={"": SECRET}), "containers[0].secure_env['']", "is not a name"),
    (web(secure_env={"A": None}), "containers[0].secure_env['A']", "has no value"),
    (web(env={"A": "1"}, secure_env={"A": SECRET}), "containers[0].secure_env['A']", "in env too"),
    (
        web(command=("sleep", 5)),
        "containers[0].command[1]",
        "is of type int; arguments are strings",
    ),
    # mounts
    (
        web(volume_mounts=[VolumeMount(name="none", mount_path="/a")]),
        "containers[0].volume_mounts[0].name",
        "'none' is not one of the group's volumes (none)",
    ),
    (
        evolve(
            web(volume_mounts=[VolumeMount(name="file", mount_path="/a")]),
            volumes={"files": Volume.empty_dir()},
        ),
        "containers[0].volume_mounts[0].name",
        "'file' is not one of the group's volumes (files)",
    ),
    (mounted("a"), "containers[0].volume_mounts[0].mount_path", "not an absolute path"),
    (mounted("/a:b"), "containers[0].volume_mounts[0].mount_path", "without a colon"),
    (mounted("//"), "containers[0].volume_mounts[0].mount_path", "would hide everything"),
    (mounted("/a", "/a/"), "containers[0].volume_mounts[1].mount_path", "mounted already"),
    # security and probes
    (
        web(security=SecurityContext(privileged=True)),
        "containers[0].security.privileged",
        "needs sku='Confidential'",
    ),
    (probed(), "containers[0].liveness", "needs a command or an HTTP request"),
    (probed(command=("a",), http_port=80), "containers[0].liveness", "only one"),
    (probed(http_path="/"), "containers[0].liveness.http_port", "1 to 65535"),
    (probed(http_port=0), "containers[0].liveness.http_port", "1 to 65535"),
    (
        probed(http_port=80, http_scheme="tcp"),
        "containers[0].liveness.http_scheme",
        "must be http or https",
    ),
    (probed(command=("a",), initial_delay=-1), "containers[0].liveness.initial_delay", "-1; at"),
    (probed(command=("a",), timeout=0), "containers[0].liveness.timeout", "0; at least 1"),
    (web(readiness=Probe()), "containers[0].readiness", "needs a command"),
    # the address
    (group(private_ip=True, subnets=(SUBNET,), public_ip=True), "private_ip", "one address"),
    (group(subnets=(SUBNET,)), "public_ip", "a group in a subnet cannot have a public address"),
    (group(public_ip=False, private_ip=True), "private_ip", "needs a subnet"),
    (group(ports=()), "ports", "an address needs at least one port"),
    (group(public_ip=False), "ports", "ports are open on an address only"),
    (
        evolve(web(ports=range(80, 86)), ports=range(80, 86)),
        "ports",
        "6 ports; ACI opens at most 5 on an address",
    ),
    (group(ports=(80, 81)), "ports[1]", "no container has the port 81/TCP"),
    (group(ports=(80, Port(80, "UDP"))), "ports[1]", "no container has the port 80/UDP"),
    (group(ports=(80, 80)), "ports[1]", "80/TCP is there already"),
    (evolve(web(ports=(0,)), ports=(0,)), "ports[0]", "0 is not a port: 1 to 65535"),
    (evolve(web(ports=(65536,)), ports=(65536,)), "ports[0]", "65536 is not a port"),
    (evolve(web(ports=("80",)), ports=cast("Any", ("80",))), "ports[0]", "'80' is not a port"),
    (evolve(web(ports=(True,)), ports=(True,)), "ports[0]", "True is not a port"),
    (evolve(web(ports=(22,)), ports=(22,)), "ports[0]", "22 is one of the ports that ACI keeps"),
    (evolve(web(ports=(30000,)), ports=(30000,)), "ports[0]", "ACI keeps"),
    (web(ports=(80, 19390)), "containers[0].ports[1]", "ACI keeps"),
    (web(ports=(80, Port(81, "SCTP"))), "containers[0].ports[1].protocol", "TCP, UDP"),  # type: ignore[arg-type]
    (web(ports=(80, 80)), "containers[0].ports[1]", "80/TCP is containers[0].ports[0] already"),
    (
        group(containers=[WEB, evolve(WEB, name="other")]),
        "containers[1].ports[0]",
        "80/TCP is containers[0].ports[0] already",
    ),
    (group(containers=[WEB, evolve(WEB, ports=())]), "containers[1].name", "another container"),
    (
        group(public_ip=False, private_ip=True, subnets=("my-subnet",)),
        "subnets[0]",
        "'my-subnet' is not a subnet's resource id",
    ),
    (
        group(public_ip=False, private_ip=True, subnets=("x/subnets/y",)),
        "subnets[0]",
        "is not a subnet's resource id",
    ),
    (group(dns_label="abc"), "dns_label", "'abc' is not a label: 5 to 63"),
    (group(dns_label="1abcd"), "dns_label", "is not a label"),
    (group(public_ip=False, ports=(), dns_label="hello"), "dns_label", "needs public_ip=True"),
    (group(dns=DnsConfig(name_servers=())), "dns.name_servers", "needs at least one"),
    # spot
    (group(priority="Spot"), "public_ip", "a Spot group cannot have a public address"),
    (
        group(priority="Spot", public_ip=False, private_ip=True, subnets=(SUBNET,)),
        "subnets",
        "a Spot group cannot have a subnet",
    ),
    (asks(Resources(), priority="Spot", zones=("1",)), "zones", "cannot have a zone"),
    (asks(Resources(), priority="Spot", sku="Confidential"), "sku", "the Confidential sku"),
    (asks(Resources(cpu=5), priority="Spot"), "containers", "more than 4 vCPU together"),
    (asks(Resources(memory_gb=17), priority="Spot"), "containers", "more than 16 GB together"),
    # volumes
    (volume(Volume.empty_dir(), "vol"), "volumes['vol']", "is not a name: 5 to 63"),
    (volume(Volume.empty_dir(), "a--bcd"), "volumes['a--bcd']", "is not a name"),
    (volume(Volume.secret({})), "volumes['files'].files", "has no files"),
    (volume(Volume.secret({"a/b": SECRET})), "volumes['files'].files", "'a/b' is not a file's"),
    (volume(Volume.secret({"..": SECRET})), "volumes['files'].files", "'..' is not a file's"),
    (volume(Volume.secret({"": SECRET})), "volumes['files'].files", "'' is not a file's name"),
    (volume(Volume.azure_file("", "a", SECRET)), "volumes['files'].share", "is missing"),
    (volume(Volume.azure_file("s", "", SECRET)), "volumes['files'].account", "is missing"),
    (volume(Volume.azure_file("s", "a")), "volumes['files'].key", "is missing"),
    (volume(Volume.git_repo("")), "volumes['files'].url", "is missing"),
    (volume(Volume.git_repo("u", "../x")), "volumes['files'].directory", "'..'"),
    (volume(Volume(kind="other")), "volumes['files']", "is of no kind"),
    # registries and identities
    (
        pulling(Registry("https://r.io", username="u", password=SECRET)),
        "registries[0].server",
        "without a scheme",
    ),
    (pulling(Registry("", username="u", password=SECRET)), "registries[0].server", "host name"),
    (
        pulling(*[Registry(name, username="u", password=SECRET) for name in ("r.io", "R.io")]),
        "registries[1].server",
        "there already",
    ),
    (pulling(Registry("r.io")), "registries[0]", "needs a username and a password"),
    (pulling(Registry("r.io", username="u")), "registries[0]", "needs a username and a password"),
    (
        pulling(Registry("r.io", identity=ID, password=SECRET), users=(ID,)),
        "registries[0]",
        "has both an identity and a username or password",
    ),
    (
        pulling(Registry("r.io", identity="system"), system=True),
        "registries[0].identity",
        "a system-assigned one cannot pull",
    ),
    (pulling(Registry("r.io", identity=ID)), "registries[0].identity", "is not among the group's"),
    (
        group(registries=[Registry("r.io", identity=ID)]),
        "registries[0].identity",
        "is not among the group's",
    ),
    (pulling(users=("me",)), "identity.user_assigned[0]", "'me' is not a user-assigned"),
    (pulling(users=("/subscriptions/s",)), "identity.user_assigned[0]", "resource id"),
    # the rest
    (
        group(diagnostics=LogAnalytics(workspace_id="", workspace_key=SECRET)),
        "diagnostics.workspace_id",
        "is missing",
    ),
    (
        group(diagnostics=LogAnalytics(workspace_id="w")),
        "diagnostics.workspace_key",
        "is missing",
    ),
    (
        group(extensions=[Extension(name="e", type="", version="1")]),
        "extensions[0]",
        "needs a name, a type, a version",
    ),
    (group(confidential="cG9s"), "confidential", "needs sku='Confidential'"),
    (group(tags={f"t{n}": "" for n in range(51)}), "tags", "51 tags"),
    (group(tags={"a/b": ""}), "tags['a/b']", "is not a tag's name"),
    (group(tags={"": ""}), "tags['']", "is not a tag's name"),
    (group(tags={"t": "v" * 257}), "tags['t']", "257 characters; at most 256"),
    (group(tags={"t": 5}), "tags['t']", "is of type int; the values of tags are strings"),
]


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [pytest.param(*row, id=f"{number}-{row[1]}") for number, row in enumerate(BAD)],
)
def test_what_may_not(spec: ContainerGroupSpec, field: str, message: str) -> None:
    """Each broken rule is one problem, at its field, in words that say what would be right."""
    (problem,) = validate(spec)

    assert problem.field == field
    assert message in problem.message
    assert SECRET not in str(problem)


def test_all_problems_at_once() -> None:
    """An invalid name, six ports and limits above the group's total are reported together."""
    spec = ContainerGroupSpec(
        name="Not Valid",
        containers=[
            Container(
                name="web",
                image="nginx",
                resources=Resources(cpu=1, memory_gb=1, cpu_limit=2, memory_limit_gb=2),
                ports=range(80, 86),
            )
        ],
        public_ip=True,
    )

    with pytest.raises(ValidationError) as caught:
        check(spec)

    assert [problem.field for problem in caught.value.problems] == [
        "name",
        "containers[0].resources.cpu_limit",
        "containers[0].resources.memory_limit_gb",
        "ports",
    ]
    assert "4 problems, nothing was sent" in str(caught.value)
