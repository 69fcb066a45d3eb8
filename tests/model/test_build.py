from __future__ import annotations

from typing import Any, NoReturn

import pytest

from aciflow.model import (
    Container,
    ContainerGroupSpec,
    Identity,
    Port,
    Registry,
    Resources,
    Volume,
    VolumeMount,
    spec_from_image,
    validate,
)


ID = "/subscriptions/s/resourceGroups/r/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"
SUBNET = "/subscriptions/s/resourceGroups/r/providers/Microsoft.Network/virtualNetworks/v/subnets/n"


def build(image: str = "nginx", **arguments: Any) -> ContainerGroupSpec:
    """A spec with a suffix that is known."""
    return spec_from_image(image, new_name=lambda: "k3x9", **arguments)


def never() -> NoReturn:
    """A name that nobody may ask for."""
    raise AssertionError


def test_just_an_image() -> None:
    """One container, the documented defaults, and no address."""
    assert build() == ContainerGroupSpec(
        name="nginx-k3x9",
        containers=[
            Container(name="nginx", image="nginx", resources=Resources(cpu=1.0, memory_gb=1.5))
        ],
    )
    assert validate(build()) == ()


def test_everything_goes_where_it_belongs() -> None:
    """Each argument has its place in the spec."""
    registry = Registry("r.io", username="u", password="p")
    spec = spec_from_image(
        "r.io/team/web_app:1",
        public_ip=True,
        ports=[8080, Port(53, "UDP")],
        name="mine",
        cpu=2,
        memory_gb=4,
        command=["run", "it"],
        env={"A": "1"},
        secure_env={"B": "2"},
        dns_label="hello",
        dns_scope="Noreuse",
        restart_policy="Never",
        os_type="Windows",
        registry=registry,
        zone=2,
        tags={"t": "v"},
        new_name=never,
    )

    assert spec == ContainerGroupSpec(
        name="mine",
        containers=[
            Container(
                name="web-app",
                image="r.io/team/web_app:1",
                resources=Resources(cpu=2.0, memory_gb=4.0),
                command=("run", "it"),
                ports=(8080, Port(53, "UDP")),
                env={"A": "1"},
                secure_env={"B": "2"},
            )
        ],
        public_ip=True,
        dns_label="hello",
        dns_scope="Noreuse",
        restart_policy="Never",
        os_type="Windows",
        registries=[registry],
        zones=["2"],
        tags={"t": "v"},
    )
    assert validate(spec) == ()


def test_ports_with_and_without_an_address() -> None:
    """Port 80 by default with a public address; without one, ports are the container's alone."""
    assert build(public_ip=True).ports == (Port(80),)
    assert build(public_ip=True).containers[0].ports == (Port(80),)
    private = build(ports=[81])
    assert (private.ports, private.containers[0].ports) == ((), (Port(81),))


def test_a_subnet_gives_a_private_address_to_what_has_ports() -> None:
    """In a subnet, ports ask for an address there; a job needs none."""
    job, server = build(subnet=SUBNET), build(subnet=SUBNET, ports=[80])

    assert (job.private_ip, job.subnets, job.ports) == (False, (SUBNET,), ())
    assert (server.private_ip, server.ports) == (True, (Port(80),))
    assert validate(job) == validate(server) == ()


def test_a_public_address_in_a_subnet_is_left_for_validation() -> None:
    """Nothing is silently made private."""
    spec = build(subnet=SUBNET, public_ip=True)

    assert (spec.public_ip, spec.private_ip) == (True, False)
    assert [problem.field for problem in validate(spec)] == ["public_ip"]


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("mcr.microsoft.com/azuredocs/aci-helloworld:latest", "aci-helloworld-k3x9"),
        ("a/b__c.d", "b-c-d-k3x9"),
        ("x" * 80, "x" * 58 + "-k3x9"),
        ("a" * 57 + "-b", "a" * 57 + "-k3x9"),
        ("NOT an image", "app-k3x9"),
    ],
)
def test_names_from_images(image: str, name: str) -> None:
    """The group's name says what runs in it, and is a valid one whatever the image."""
    spec = build(image)

    assert spec.name == name
    assert [problem for problem in validate(spec) if "name" in problem.field] == []


def test_files_are_mounted_by_directory() -> None:
    """Files of one directory share a secret volume; other volumes follow."""
    spec = build(
        files={"/etc/app/a.conf": b"a", "/etc/app/b.conf": b"b", "/run/key": b"k"},
        volumes={"/data": Volume.empty_dir()},
    )

    assert spec.volumes == {
        "files-1": Volume.secret({"a.conf": b"a", "b.conf": b"b"}),
        "files-2": Volume.secret({"key": b"k"}),
        "volume-1": Volume.empty_dir(),
    }
    assert spec.containers[0].volume_mounts == (
        VolumeMount(name="files-1", mount_path="/etc/app"),
        VolumeMount(name="files-2", mount_path="/run"),
        VolumeMount(name="volume-1", mount_path="/data"),
    )
    assert validate(spec) == ()


@pytest.mark.parametrize("path", ["/file", "file", "dir/file", "/dir/"])
def test_files_that_have_no_place(path: str) -> None:
    """A file at the root, on no absolute path or without a name is a problem, not a surprise."""
    assert len(validate(build(files={path: b"x"}))) == 1


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        (None, None),
        ("system", Identity(system_assigned=True)),
        ("[system]", Identity(system_assigned=True)),
        (ID + "a", Identity(user_assigned=(ID + "a",))),
        (
            ["SystemAssigned", ID + "a", ID.lower() + "a"],
            Identity(system_assigned=True, user_assigned=(ID.lower() + "a",)),
        ),
    ],
)
def test_identities(identity: Any, expected: Identity | None) -> None:
    """One or several, the group's own by a word, each once."""
    assert build(identity=identity).identity == expected


def test_a_registry_brings_its_identity() -> None:
    """The identity that pulls has to be one of the group's, so it becomes one."""
    spec = build(
        identity=ID + "a",
        registry=[
            Registry("a.io", identity=ID + "A"),
            Registry("b.io", identity=ID + "b"),
            Registry("c.io", username="u", password="p"),
        ],
    )

    assert spec.identity == Identity(user_assigned=(ID + "a", ID + "b"))
    assert validate(spec) == ()


def test_a_systems_identity_cannot_pull() -> None:
    """It is left where it is, for validation to explain."""
    spec = build(registry=Registry("a.io", identity="system"))

    assert spec.identity is None
    assert "system-assigned one cannot pull" in validate(spec)[0].message


def test_spot() -> None:
    """Spot is a priority."""
    assert build(spot=True).priority == "Spot"
    assert validate(build(spot=True)) == ()
