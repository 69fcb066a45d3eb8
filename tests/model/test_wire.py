from __future__ import annotations

import base64
import json

from collections.abc import Callable
from typing import Any

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

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
    from_arm,
    to_arm,
)
from aciflow.model.shape import merge


words = st.text("abcxyz-09ä/ ", min_size=1, max_size=8)
maybe_word = st.none() | words
wholes = st.integers(0, 100_000)
maybe_whole = st.none() | wholes
amounts = st.floats(0.01, 64, allow_nan=False)
maybe_flag = st.none() | st.booleans()
some_words = st.lists(words, max_size=3).map(tuple)
no_spaces = st.lists(st.text("abc.:2", min_size=1, max_size=6), max_size=3).map(tuple)
text_maps = st.dictionaries(words, words, max_size=3)
json_values = st.recursive(
    st.none() | st.booleans() | wholes | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=4,
)
# A name that none of ARM's members has.
extras = st.dictionaries(words.map("x-{}".format), json_values, max_size=2)


def some(build: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Up to two of them."""
    return st.lists(build, max_size=2).map(tuple)


ports = st.builds(Port, port=wholes, protocol=st.sampled_from(["TCP", "UDP"]), extra=extras)
mounts = st.builds(VolumeMount, name=words, mount_path=words, read_only=st.booleans(), extra=extras)
resources = st.builds(
    Resources,
    cpu=amounts,
    memory_gb=amounts,
    cpu_limit=st.none() | amounts,
    memory_limit_gb=st.none() | amounts,
    gpu=maybe_whole,
    gpu_sku=maybe_word,
    extra=extras,
)
probes = st.builds(
    Probe,
    command=some_words,
    http_path=maybe_word,
    http_port=maybe_whole,
    http_scheme=st.sampled_from([None, "http", "https"]),
    http_headers=st.lists(st.tuples(words, words), max_size=2),
    initial_delay=maybe_whole,
    period=maybe_whole,
    failure_threshold=maybe_whole,
    success_threshold=maybe_whole,
    timeout=maybe_whole,
    extra=extras,
)
security = st.builds(
    SecurityContext,
    privileged=maybe_flag,
    allow_privilege_escalation=maybe_flag,
    add_capabilities=some_words,
    drop_capabilities=some_words,
    run_as_user=maybe_whole,
    run_as_group=maybe_whole,
    seccomp_profile=maybe_word,
    extra=extras,
)
volumes = st.one_of(
    st.builds(Volume, kind=st.just("empty_dir"), extra=extras),
    st.builds(
        Volume,
        kind=st.just("secret"),
        files=st.dictionaries(words, st.binary(max_size=9), max_size=2),
        extra=extras,
    ),
    st.builds(
        Volume,
        kind=st.just("azure_file"),
        share=words,
        account=maybe_word,
        key=maybe_word,
        read_only=st.booleans(),
        extra=extras,
    ),
    st.builds(
        Volume,
        kind=st.just("git_repo"),
        url=words,
        directory=maybe_word,
        revision=maybe_word,
        extra=extras,
    ),
    st.builds(Volume, kind=st.just("other"), extra=extras),
)
shared = {
    "name": words,
    "image": words,
    "command": some_words,
    "env": text_maps,
    "secure_env": st.dictionaries(words.map("S{}".format), st.none() | words, max_size=2),
    "volume_mounts": some(mounts),
    "security": st.none() | security,
    "extra": extras,
}
containers = st.builds(
    Container,
    **shared,
    resources=resources,
    ports=some(ports),
    liveness=st.none() | probes,
    readiness=st.none() | probes,
)
groups = st.builds(
    ContainerGroupSpec,
    name=words,
    containers=st.lists(containers, min_size=1, max_size=2),
    init_containers=some(st.builds(InitContainer, **shared)),
    os_type=st.sampled_from(["Linux", "Windows"]),
    restart_policy=st.sampled_from(["Always", "OnFailure", "Never"]),
    ports=some(ports),
    dns_label=maybe_word,
    dns_scope=st.sampled_from(["TenantReuse", "Noreuse", "Unsecure"]),
    volumes=st.dictionaries(words, volumes, max_size=3),
    registries=some(
        st.builds(
            Registry,
            words,
            identity=maybe_word,
            username=maybe_word,
            password=maybe_word,
            identity_url=maybe_word,
            extra=extras,
        )
    ),
    identity=st.none()
    | st.builds(
        Identity,
        system_assigned=st.booleans(),
        user_assigned=st.lists(words, max_size=2, unique=True),
        extra=extras,
    ),
    subnets=some_words,
    dns=st.none()
    | st.builds(
        DnsConfig,
        name_servers=st.lists(words, min_size=1, max_size=2),
        search_domains=no_spaces,
        options=no_spaces,
        extra=extras,
    ),
    zones=some_words,
    priority=st.sampled_from(["Regular", "Spot"]),
    sku=st.sampled_from(["Standard", "Confidential"]),
    diagnostics=st.none()
    | st.builds(
        LogAnalytics,
        workspace_id=words,
        workspace_key=maybe_word,
        log_type=st.sampled_from([None, "ContainerInsights"]),
        workspace_resource_id=maybe_word,
        metadata=text_maps,
        extra=extras,
    ),
    extensions=some(
        st.builds(
            Extension,
            name=words,
            type=words,
            version=words,
            settings=st.dictionaries(words, json_values, max_size=2),
            protected_settings=st.dictionaries(words, json_values, max_size=2),
            extra=extras,
        )
    ),
    confidential=maybe_word,
    tags=text_maps,
    extra=extras,
)
with_address = st.tuples(groups, st.sampled_from(["public_ip", "private_ip", None]))


@settings(max_examples=150, deadline=None)
@given(with_address)
def test_every_spec_survives_the_wire(drawn: tuple[ContainerGroupSpec, str | None]) -> None:
    """What goes out as JSON comes back as the same value, extra members and all."""
    from attrs import evolve

    spec, address = drawn
    if address is not None:
        spec = evolve(spec, **{address: True})  # type: ignore[arg-type]

    body = json.loads(json.dumps(to_arm(spec, location="westus")))

    assert from_arm(body, name=spec.name) == spec
    assert to_arm(from_arm(body, name=spec.name), location="westus") == body


def body_of(**properties: Any) -> dict[str, Any]:
    """The smallest PUT body, and more."""
    container = {
        "name": "web",
        "properties": {
            "image": "nginx",
            "resources": {"requests": {"cpu": 1.0, "memoryInGB": 1.5}},
        },
    }
    return {
        "location": "westus",
        "properties": {
            "containers": [container],
            "osType": "Linux",
            "restartPolicy": "Always",
            **properties,
        },
    }


SMALL = ContainerGroupSpec(name="g", containers=[Container(name="web", image="nginx")])


def test_the_smallest_body() -> None:
    """Defaults that older APIs do not know, and what is empty, are not sent."""
    assert to_arm(SMALL, location="westus") == body_of()


def test_tags_of_both_and_the_calls_win() -> None:
    """The tags of a launch are added to the group's own."""
    spec = ContainerGroupSpec(name="g", containers=SMALL.containers, tags={"a": "1", "b": "1"})

    body = to_arm(spec, location="westus", tags={"b": "2", "c": "2"})

    assert body["tags"] == {"a": "1", "b": "2", "c": "2"}


def test_secrets_go_out_where_they_are_not_told_back() -> None:
    """Secret environment is secureValue; secret files are base64."""
    spec = ContainerGroupSpec(
        name="g",
        containers=[Container(name="web", image="nginx", env={"A": "1"}, secure_env={"B": "2"})],
        volumes={"files": Volume.secret({"f": b"\x00\xff"})},
    )

    props = to_arm(spec, location="westus")["properties"]

    assert props["containers"][0]["properties"]["environmentVariables"] == [
        {"name": "A", "value": "1"},
        {"name": "B", "secureValue": "2"},
    ]
    assert props["volumes"] == [
        {"name": "files", "secret": {"f": base64.b64encode(b"\x00\xff").decode()}}
    ]


def test_a_label_is_sent_with_its_scope() -> None:
    """The service's own default would let anybody take the name over."""
    spec = ContainerGroupSpec(
        name="g", containers=SMALL.containers, public_ip=True, ports=(80,), dns_label="hello"
    )

    assert to_arm(spec, location="westus")["properties"]["ipAddress"] == {
        "type": "Public",
        "ports": [{"port": 80, "protocol": "TCP"}],
        "dnsNameLabel": "hello",
        "autoGeneratedDomainNameLabelScope": "TenantReuse",
    }


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ({}, "Unsecure"),
        ({"autoGeneratedDomainNameLabelScope": "noreuse"}, "Noreuse"),
        ({"dnsNameLabelReusePolicy": "tenantReuse"}, "TenantReuse"),
    ],
)
def test_the_scope_of_a_label_that_is_read(scope: dict[str, str], expected: str) -> None:
    """Without a scope the service's default holds; the member's old name is understood."""
    body = body_of(ipAddress={"type": "Public", "dnsNameLabel": "hello", **scope})

    assert from_arm(body).dns_scope == expected


@pytest.mark.parametrize(
    ("kind", "public", "private"),
    [
        ("Public", True, False),
        ("private", False, True),
    ],
)
def test_the_address_and_no_ports(kind: str, public: bool, private: bool) -> None:
    """A body that opens no port asks for none, whatever the containers listen on."""
    body = body_of(ipAddress={"type": kind})
    body["properties"]["containers"][0]["properties"]["ports"] = [{"port": 80}]

    spec = from_arm(body)

    assert (spec.public_ip, spec.private_ip, spec.ports) == (public, private, ())


def test_words_in_any_case() -> None:
    """ARM takes enumerations in any case; a word that is not known is kept for validation."""
    body = body_of(restartPolicy="never", priority="spot", sku="Glacial")

    spec = from_arm(body)

    assert (spec.restart_policy, spec.priority, spec.sku) == ("Never", "Spot", "Glacial")


def test_what_only_the_service_writes_is_left_out() -> None:
    """A GET body gives the spec that was asked for, without states, addresses and ids."""
    body = body_of(
        provisioningState="Succeeded",
        provisioningTimeoutInSeconds=1800,
        isCustomProvisioningTimeout=False,
        isCreatedFromStandbyPool=False,
        instanceView={"events": [], "state": "Running"},
        initContainers=[],
        ipAddress={
            "type": "Public",
            "ip": "1.2.3.4",
            "fqdn": "h.westus.azurecontainer.io",
            "ports": [{"port": 80, "protocol": "TCP"}],
        },
    )
    body["properties"]["containers"][0]["properties"] |= {
        "instanceView": {"restartCount": 0},
        "ports": [{"port": 80, "protocol": "TCP"}],
        "environmentVariables": [],
    }
    body |= {
        "id": "/subscriptions/s/resourceGroups/r/providers/x/containerGroups/g",
        "type": "Microsoft.ContainerInstance/containerGroups",
        "tags": {},
        "identity": {
            "type": "SystemAssigned, UserAssigned",
            "principalId": "p",
            "tenantId": "t",
            "userAssignedIdentities": {"/id": {"principalId": "p", "clientId": "c"}},
        },
    }

    assert from_arm(body) == ContainerGroupSpec(
        name="g",
        containers=[Container(name="web", image="nginx", ports=(80,))],
        public_ip=True,
        identity=Identity(system_assigned=True, user_assigned=("/id",)),
    )


def test_a_provisioning_timeout_of_ones_own_is_kept() -> None:
    """Only the service's default is dropped."""
    spec = from_arm(body_of(provisioningTimeoutInSeconds=600, isCustomProvisioningTimeout=True))

    assert to_arm(spec, location="westus")["properties"]["provisioningTimeoutInSeconds"] == 600


def test_secrets_that_the_service_kept() -> None:
    """A name without a value, a secret volume without files, a share without its key."""
    body = body_of(
        volumes=[
            {"name": "files", "secret": {}},
            {"name": "share", "azureFile": {"shareName": "s", "storageAccountName": "a"}},
        ]
    )
    body["properties"]["containers"][0]["properties"]["environmentVariables"] = [{"name": "T"}]

    spec = from_arm(body)

    assert spec.containers[0].secure_env == {"T": None}
    assert spec.volumes == {"files": Volume.secret({}), "share": Volume.azure_file("s", "a")}
    assert to_arm(spec, location="westus") == body


def test_members_newer_than_us_are_kept_where_they_were() -> None:
    """Unknown members at every level come back out, and are not mistaken for ours."""
    body = body_of(
        encryptionProperties={"vaultBaseUrl": "v"},
        ipAddress={
            "type": "Public",
            "ports": [{"port": 80, "protocol": "TCP", "zone": 1}],
            "v6": True,
        },
        subnetIds=[{"id": "/s/1"}, {"id": "/s/2", "name": "two"}],
        volumes=[
            {"name": "v-one", "azureFile": {"shareName": "s", "storageAccountKeyReference": "k"}},
            {"name": "v-two", "nfs": {"server": "n"}},
            {"name": "v-three", "emptyDir": {"medium": "Memory"}},
        ],
        confidentialComputeProperties={},
    )
    body["properties"]["containers"][0]["properties"] |= {
        "configMap": {"keyValuePairs": {"a": "b"}},
        "environmentVariables": [
            {"name": "A", "value": "1"},
            {"name": "B", "secureValueReference": "ref"},
            {"name": "A", "value": "2"},
        ],
    }
    body["plan"] = {"name": "p"}

    spec = from_arm(body, name="g")

    assert to_arm(spec, location="westus") == body
    assert spec.containers[0].env == {"A": "1"}
    assert spec.subnets == ("/s/1",)
    assert spec.volumes["v-two"] == Volume(kind="other", extra={"nfs": {"server": "n"}})
    assert spec.extra["plan"] == {"name": "p"}


def test_null_is_absent() -> None:
    """ARM treats null like a member that is not there."""
    body = body_of(
        ipAddress=None, volumes=None, dnsConfig=None, restartPolicy=None, diagnostics=None
    )
    body["properties"]["containers"][0]["properties"]["environmentVariables"] = [
        {"name": "A", "value": "1", "secureValue": None}
    ]

    spec = from_arm(body, name="g")

    assert spec == ContainerGroupSpec(
        name="g", containers=[Container(name="web", image="nginx", env={"A": "1"})]
    )


def test_extra_is_merged_last() -> None:
    """Objects are merged, lists appended, anything else replaced; the spec itself stays."""
    spec = ContainerGroupSpec(
        name="g",
        containers=[
            Container(
                name="web",
                image="nginx",
                env={"A": "1"},
                extra={"image": "other", "environmentVariables": [{"name": "B"}], "new": {"a": 1}},
            )
        ],
        extra={"properties": {"sku": "Dedicated"}, "location": "eastus", "zones": ["2"]},
        zones=("1",),
    )

    body = to_arm(spec, location="westus")

    properties = body["properties"]["containers"][0]["properties"]
    assert properties["image"] == "other"
    assert properties["environmentVariables"] == [{"name": "A", "value": "1"}, {"name": "B"}]
    assert properties["new"] == {"a": 1}
    assert (body["properties"]["sku"], body["location"]) == ("Dedicated", "eastus")
    assert body["zones"] == ["1", "2"]


def test_a_merge_shares_nothing_with_what_was_merged() -> None:
    """Changing the body that was sent does not change the spec."""
    extra = {"a": {"b": [1]}, "c": [[2]]}

    merged = merge({"c": [], "a": {}}, extra)
    merged["a"]["b"].append(9)
    merged["c"][0].append(9)

    assert extra == {"a": {"b": [1]}, "c": [[2]]}


def test_the_name_of_a_body() -> None:
    """The argument, then the body's own, then the last word of its id."""
    body = body_of() | {"id": "/a/b/from-id"}

    assert from_arm(body | {"name": "own"}, name="argument").name == "argument"
    assert from_arm(body | {"name": "own"}).name == "own"
    assert from_arm(body).name == "from-id"
    assert from_arm(body_of()).name == ""


def _container(body: dict[str, Any]) -> dict[str, Any]:
    inner: dict[str, Any] = body["properties"]["containers"][0]["properties"]
    return inner


def _set(**members: Any) -> Callable[[dict[str, Any]], None]:
    return lambda body: body["properties"].update(members)


def _inner(**members: Any) -> Callable[[dict[str, Any]], None]:
    return lambda body: _container(body).update(members)


BAD: list[tuple[Callable[[dict[str, Any]], Any], str, str]] = [
    (_set(osType=None), "properties.osType", "is missing"),
    (_set(osType=3), "properties.osType", "is not a string"),
    (_set(containers="x"), "properties.containers", "is not a list"),
    (_set(containers=[5]), "properties.containers[0]", "is not a JSON object"),
    (_set(ipAddress=[]), "properties.ipAddress", "is not a JSON object"),
    (_set(ipAddress={"type": "Both"}), "properties.ipAddress.type", "neither Public nor Private"),
    (
        _set(ipAddress={"ports": [{"port": "80"}]}),
        "properties.ipAddress.ports[0].port",
        "is not a whole number",
    ),
    (
        _set(
            ipAddress={
                "dnsNameLabelReusePolicy": "Unsecure",
                "autoGeneratedDomainNameLabelScope": "Unsecure",
            }
        ),
        "properties.ipAddress.dnsNameLabelReusePolicy",
        "says dns_scope a second time",
    ),
    (
        _set(volumes=[{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}}]),
        "properties.volumes[1].name",
        "is there already",
    ),
    (
        _set(volumes=[{"name": "a", "emptyDir": {}, "gitRepo": {"repository": "r"}}]),
        "properties.volumes[0].gitRepo.repository",
        "says kind a second time",
    ),
    (
        _set(volumes=[{"name": "a", "secret": {"f": "not base64!"}}]),
        "properties.volumes[0].secret.f",
        "is not base64",
    ),
    (_inner(resources={"requests": {"cpu": 1}}), "requests.memoryInGB", "is missing"),
    (
        _inner(resources={"requests": {"cpu": "1", "memoryInGB": 1}}),
        "properties.containers[0].properties.resources.requests.cpu",
        "is not a number",
    ),
    (_inner(resources=None), "properties.containers[0].properties.resources", "is missing"),
    (_inner(command="sleep"), "properties.containers[0].properties.command", "is not a list"),
    (
        _inner(volumeMounts=[{"name": "a", "mountPath": "/", "readOnly": "no"}]),
        "properties.containers[0].properties.volumeMounts[0].readOnly",
        "is not true or false",
    ),
    (lambda body: body.update(tags="x"), "tags", "is not a JSON object"),
    (
        lambda body: body.update(identity={"type": "SystemAssigned, Borrowed"}),
        "identity.type",
        "unknown: borrowed",
    ),
    (
        lambda body: body["properties"]["containers"][0].update(kind="sidecar"),
        "properties.containers[0].kind",
        "is not known outside properties",
    ),
]


@pytest.mark.parametrize(
    ("spoil", "field", "message"),
    [pytest.param(*row, id=f"{index}-{row[1]}") for index, row in enumerate(BAD)],
)
def test_a_body_that_is_none(
    spoil: Callable[[dict[str, Any]], Any], field: str, message: str
) -> None:
    """A member of the wrong form is reported with its JSON path."""
    body = body_of()
    spoil(body)

    with pytest.raises(ValidationError) as caught:
        from_arm(body)

    assert [
        (problem.field[-len(field) :], problem.message) for problem in caught.value.problems
    ] == [(field, caught.value.problems[0].message)]
    assert message in caught.value.problems[0].message


def test_all_problems_of_a_body_at_once() -> None:
    """A body is read to its end, whatever was wrong with its beginning."""
    body = body_of(osType=1, restartPolicy=2)
    _container(body)["image"] = None

    with pytest.raises(ValidationError) as caught:
        from_arm(body)

    assert {problem.field for problem in caught.value.problems} == {
        "properties.osType",
        "properties.restartPolicy",
        "properties.containers[0].properties.image",
    }


def test_no_body_at_all() -> None:
    """What is not an object is said to be none."""
    with pytest.raises(ValidationError, match="body: is not a JSON object"):
        from_arm([])  # type: ignore[arg-type]


def test_an_error_does_not_quote_a_secret() -> None:
    """A secret that is no base64 is not in the error."""
    body = body_of(volumes=[{"name": "a", "secret": {"f": "hunter2!"}}])

    with pytest.raises(ValidationError) as caught:
        from_arm(body)

    assert "hunter2" not in str(caught.value)
