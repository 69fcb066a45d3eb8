from __future__ import annotations

import copy
import pickle

import pytest

from attrs.exceptions import FrozenInstanceError

from aciflow import model
from aciflow.model import (
    Container,
    ContainerGroupSpec,
    DnsConfig,
    Identity,
    LogAnalytics,
    Port,
    Probe,
    Registry,
    Resources,
    Volume,
    VolumeMount,
)


SECRET = "hunter2-hunter2"


def test_values_are_frozen() -> None:
    """A spec cannot be changed after it was made."""
    with pytest.raises(FrozenInstanceError):
        Port(80).port = 81  # type: ignore[misc]


def test_a_spec_does_not_change_with_its_source() -> None:
    """Mappings and sequences are copied."""
    env, ports = {"A": "1"}, [80]

    container = Container(name="a", image="b", env=env, ports=ports)
    env["B"] = "2"
    ports.append(81)

    assert container.env == {"A": "1"}
    assert container.ports == (Port(80),)


def test_numbers_are_tcp_ports() -> None:
    """A port may be a number or a Port."""
    container = Container(name="a", image="b", ports=[80, Port(port=53, protocol="UDP")])

    assert container.ports == (Port(80, "TCP"), Port(53, "UDP"))
    assert [str(port) for port in container.ports] == ["80/TCP", "53/UDP"]


def test_an_address_opens_every_port_by_default() -> None:
    """Without ports of its own, a group with an address opens what its containers listen on."""
    containers = (
        Container(name="a", image="i", ports=(80, 81)),
        Container(name="b", image="i", ports=(Port(80), Port(53, "UDP"))),
    )

    def ports(**more: bool) -> tuple[Port, ...]:
        return ContainerGroupSpec(name="g", containers=containers, **more).ports  # type: ignore[arg-type]

    assert ports(public_ip=True) == (Port(80), Port(81), Port(53, "UDP"))
    assert ports(private_ip=True) == (Port(80), Port(81), Port(53, "UDP"))
    assert ports() == ()


def test_ports_that_are_given_stay() -> None:
    """No ports is not the same as ports left out."""
    group = ContainerGroupSpec(
        name="g", containers=[Container(name="a", image="i", ports=(80,))], public_ip=True, ports=()
    )

    assert group.ports == ()


def test_a_string_is_no_sequence_of_strings() -> None:
    """A command given as one string is an error, not eight commands of one letter."""
    with pytest.raises(TypeError, match="sequence of strings"):
        Container(name="a", image="b", command="sleep 5")
    with pytest.raises(TypeError, match="sequence of strings"):
        Probe.exec("true")
    with pytest.raises(TypeError, match="sequence of strings"):
        Identity(user_assigned="/subscriptions/x")


def test_ten_tenths_are_one() -> None:
    """Sums of CPU and memory have no rounding errors that a limit would stumble on."""
    tenth = Resources(cpu=0.1, memory_gb=0.1)
    group = ContainerGroupSpec(
        name="g",
        containers=[Container(name=f"c{i}", image="i", resources=tenth) for i in range(10)],
    )

    assert (group.cpu, group.memory_gb) == (1.0, 1.0)


def test_volumes_know_their_kind() -> None:
    """Each class method makes its kind; text in a secret is UTF-8."""
    secret = Volume.secret({"a": "ä", "b": b"\xff"})

    assert secret.kind == "secret"
    assert secret.files == {"a": "ä".encode(), "b": b"\xff"}
    assert Volume.empty_dir().kind == "empty_dir"
    assert Volume.azure_file("s", "a", "k", read_only=True) == Volume(
        kind="azure_file", share="s", account="a", key="k", read_only=True
    )
    assert Volume.git_repo("https://h/r", "d", "main") == Volume(
        kind="git_repo", url="https://h/r", directory="d", revision="main"
    )


def test_probes_of_both_kinds() -> None:
    """The two class methods fill in what they must, and pass on the timing."""
    assert Probe.exec(["true"], period=3) == Probe(command=("true",), period=3)
    assert Probe.http(80, timeout=2, http_headers={"A": "b"}) == Probe(
        http_port=80, http_path="/", http_scheme="http", http_headers=(("A", "b"),), timeout=2
    )


def test_dns_takes_words_or_lists() -> None:
    """ARM has search domains and options in one string; here they are words."""
    one = DnsConfig(name_servers=["10.0.0.1"], search_domains="a.b  c.d", options=("ndots:2",))

    assert one == DnsConfig(
        name_servers=("10.0.0.1",), search_domains=("a.b", "c.d"), options="ndots:2"
    )


def _with_secrets() -> ContainerGroupSpec:
    return ContainerGroupSpec(
        name="g",
        containers=[
            Container(
                name="a",
                image="i",
                secure_env={"TOKEN": SECRET},
                volume_mounts=[VolumeMount(name="files", mount_path="/s")],
                liveness=Probe.http(80, http_headers={"Authorization": SECRET}),
                extra={"environmentVariables": [{"name": "B", "secureValue": SECRET}]},
            )
        ],
        volumes={
            "files": Volume.secret({"key.pem": SECRET}),
            "share": Volume.azure_file("s", "a", SECRET),
            "clone": Volume.git_repo(f"https://user:{SECRET}@host/r"),
            "other": Volume.git_repo(f"user:{SECRET}@host/r"),
        },
        registries=[Registry("r.io", username="u", password=SECRET)],
        diagnostics=LogAnalytics(workspace_id="w", workspace_key=SECRET),
        extensions=[
            model.Extension(name="e", type="t", version="1", protected_settings={"k": SECRET})
        ],
    )


def test_no_repr_shows_a_secret() -> None:
    """Secret values, keys, passwords and tokens in URLs are not in a repr; their names are."""
    text = repr(_with_secrets())

    assert SECRET not in text
    for shown in ("'TOKEN': ...", "'key.pem': ...", "'https://...@host/r'", "password=..."):
        assert shown in text


def test_a_missing_secret_is_seen_as_missing() -> None:
    """The repr tells a password that is there from one that is not."""
    assert "password=None" in repr(Registry("r.io"))
    assert "url='https://h/r'" in repr(Volume.git_repo("https://h/r"))


def test_specs_can_be_pickled_and_copied() -> None:
    """A spec goes to another process and comes back equal."""
    spec = _with_secrets()

    assert pickle.loads(pickle.dumps(spec)) == spec
    assert copy.deepcopy(spec) == spec


def test_every_name_of_the_package_is_there() -> None:
    """What the package promises can be had; what it does not is an AttributeError."""
    assert sorted(model.__all__) == model.__all__
    for name in model.__all__:
        assert getattr(model, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = model.nothing
