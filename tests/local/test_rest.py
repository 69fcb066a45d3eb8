"""The endpoint's replies beside the group's life: names, secrets, refusals, other resources."""

from __future__ import annotations

import json

from typing import Any

import pytest

from tests.local.world import SUBSCRIPTION, World, container, group

from aciflow.local.config import Config
from aciflow.local.protocol import OpenSandbox, SandboxReady, StartContainer


SUB = f"/subscriptions/{SUBSCRIPTION}"
HOME = f"{SUB}/resourcegroups/rg"


def test_a_token_of_ours_is_needed() -> None:
    """No token and a stranger's get 401 with a challenge, and nothing is told or done."""
    world = World()
    missing = world.request("PUT", HOME, {"location": "westus"}, token=None)
    wrong = world.request("PUT", HOME, {"location": "westus"}, token="stolen")

    assert [(missing.status, wrong.status)] == [(401, 401)]
    assert missing.body["error"]["code"] == "AuthenticationFailed"
    assert wrong.body["error"]["code"] == "InvalidAuthenticationToken"
    assert wrong.headers["WWW-Authenticate"].startswith("Bearer ")
    assert world.request("HEAD", HOME).status == 404


def test_routing_ignores_case_and_empty_segments() -> None:
    """SDKs and az write the same path in several ways."""
    world = World()
    world.put()
    path = world.group_path()

    assert world.request("GET", path.lower()).status == 200
    assert world.request("GET", path.upper()).status == 200
    assert world.request("GET", path.replace("/containerGroups", "//containerGroups")).status == 200
    assert world.request("GET", path + "/").status == 200


def test_what_is_not_there_is_refused_in_arms_words() -> None:
    """Unknown paths, methods, versions and resources each have their code."""
    world = World()
    world.make_home()
    path = world.group_path()
    found = {
        ("GET", "/nothing/here"): (404, "InvalidResourceType"),
        ("TRACE", path): (405, "MethodNotAllowed"),
        ("GET", path): (404, "ResourceNotFound"),
        ("GET", path.replace("/rg/", "/other/")): (404, "ResourceGroupNotFound"),
        ("GET", path.replace(SUBSCRIPTION, "other")): (404, "SubscriptionNotFound"),
        ("GET", path + "/containers/web/logs"): (404, "ResourceNotFound"),
        ("GET", SUB + "/providers/Microsoft.Network/virtualNetworks"): (501, "NotImplemented"),
        ("POST", HOME + "/exportTemplate"): (501, "NotImplemented"),
        ("GET", SUB + "/providers/Microsoft.Nothing"): (404, "InvalidResourceNamespace"),
        ("GET", SUB + "/operationresults/none"): (404, "InvalidResourceType"),
    }
    replies = {key: world.request(*key) for key in found}
    unversioned = world.request("GET", path, version=None)

    assert found == {
        key: (reply.status, reply.body["error"]["code"]) for key, reply in replies.items()
    }
    assert unversioned.body["error"]["code"] == "MissingApiVersionParameter"
    assert world.request("DELETE", path).status == 204


def test_secrets_go_to_the_runtime_and_to_nobody_else() -> None:
    """Every kind of secret reaches the container where it should, and no reply or repr has it."""
    secret = "hunter2"
    encoded = "aHVudGVyMg=="
    body = group(
        container(
            environmentVariables=[
                {"name": "PW", "secureValue": secret},
                {"name": "A", "value": "b"},
            ],
            volumeMounts=[{"name": "files", "mountPath": "/etc/app"}],
        ),
        volumes=[
            {"name": "files", "secret": {"pw": encoded}},
            {
                "name": "share",
                "azureFile": {
                    "shareName": "share",
                    "storageAccountName": "store",
                    "storageAccountKey": secret,
                },
            },
        ],
        imageRegistryCredentials=[{"server": "r.io", "username": "u", "password": secret}],
        diagnostics={"logAnalytics": {"workspaceId": "w", "workspaceKey": secret}},
        extensions=[{"name": "e", "properties": {"protectedSettings": {"k": secret}}}],
    )
    world = World(config=Config(azure_files={"store/share": "/tmp/share"}))
    replies: list[Any] = [world.put(body).body]
    world.run(30)
    replies += [
        world.get(),
        world.request("GET", world.group_path("").rstrip("/")).body,
        world.request("PATCH", world.group_path(), {"tags": {"a": "b"}}).body,
        world.request("DELETE", world.group_path()).body,
    ]
    start = next(each for each in world.actions if isinstance(each, StartContainer))

    assert start.run.env == {"PW": secret, "A": "b"}
    assert start.run.mounts[0].files == {"pw": secret.encode()}
    for reply in replies:
        assert secret not in json.dumps(reply)
        assert encoded not in json.dumps(reply)
    assert replies[1]["properties"]["containers"][0]["properties"]["environmentVariables"] == [
        {"name": "PW"},
        {"name": "A", "value": "b"},
    ]
    assert secret not in repr(world.actions)
    assert secret not in repr(list(world.endpoint.state.groups.values()))
    assert encoded not in repr(list(world.endpoint.state.groups.values()))


def test_patch_replaces_the_tags_and_nothing_else() -> None:
    """All tags are replaced; anything but tags is refused."""
    world = World()
    world.put({**group(), "tags": {"old": "1"}})
    reply = world.request("PATCH", world.group_path(), {"tags": {"new": "2"}})
    other = world.request("PATCH", world.group_path(), {"properties": {}})

    assert reply.status == 200
    assert world.get()["tags"] == {"new": "2"}
    assert (other.status, other.body["error"]["code"]) == (400, "InvalidRequestContent")


def test_a_resource_group_dies_with_everything_inside() -> None:
    """202 with a place to look and 15 s to wait; 404 once the last container is gone."""
    world = World()
    world.put()
    world.put(name="second")
    world.run(30)
    reply = world.request("DELETE", HOME)
    place = reply.headers["Location"].partition("arm.test")[2].partition("?")[0]
    during = world.request("GET", place), world.request("HEAD", HOME)
    refused = world.request("PUT", world.group_path("third"), group())
    again = world.request("PUT", HOME, {"location": "westus"})
    world.run(30)

    assert (reply.status, reply.headers["Retry-After"]) == (202, "15")
    assert [each.status for each in during] == [202, 204]
    assert refused.body["error"]["code"] == "ResourceGroupBeingDeleted"
    assert again.body["error"]["code"] == "ResourceGroupBeingDeleted"
    assert world.request("GET", place).status == 200
    assert world.request("HEAD", HOME).status == 404
    assert world.endpoint.idle
    assert world.request("PUT", HOME, {"location": "westus"}).status == 201


def test_resource_groups_are_made_once_and_stay_where_they_are() -> None:
    """201, then 200; another location is a conflict; an unknown one and none at all are refused."""
    world = World()
    first = world.request("PUT", HOME, {"location": "West US", "tags": {"a": "b"}})
    again = world.request("PUT", HOME.upper().replace(SUB.upper(), SUB), {"location": "westus"})
    moved = world.request("PUT", HOME, {"location": "eastus"})
    nowhere = world.request("PUT", HOME + "2", {"location": "atlantis"})
    unsaid = world.request("PUT", HOME + "2", {})
    patched = world.request("PATCH", HOME, {"tags": {"c": "d"}})
    listed = world.request("GET", SUB + "/resourcegroups").body["value"]

    assert (first.status, again.status) == (201, 200)
    assert first.body["location"] == "westus"
    assert first.body["name"] == again.body["name"] == "rg"
    assert moved.body["error"]["code"] == "InvalidResourceGroupLocation"
    assert nowhere.body["error"]["code"] == "LocationNotAvailableForResourceType"
    assert unsaid.body["error"]["code"] == "LocationRequired"
    assert patched.body["tags"] == {"c": "d"}
    assert [world.request("GET", HOME).body] == listed


def test_resources_and_lists_show_what_is_there() -> None:
    """Lists by resource group and by subscription, and the generic list of resources."""
    world = World()
    world.put()
    world.make_home("other")
    provider = "/providers/Microsoft.ContainerInstance/containerGroups"
    everywhere = world.request("GET", SUB + provider).body["value"]
    here = world.request("GET", f"{HOME}{provider}").body["value"]
    there = world.request("GET", f"{SUB}/resourceGroups/other{provider}").body["value"]
    resources = world.request("GET", HOME + "/resources").body["value"]

    assert everywhere == here
    assert len(here) == 1
    assert there == []
    assert [set(each) for each in resources] == [{"id", "name", "type", "location"}]
    assert "instanceView" not in here[0]["properties"]


def test_the_catalogue_answers() -> None:
    """Tenants, subscriptions, providers, locations, capabilities; and usages that count."""
    world = World()
    place = SUB + "/providers/Microsoft.ContainerInstance/locations/westus"
    world.put(group(container("a"), container("b")))
    usages = {
        each["name"]["value"]: each["currentValue"]
        for each in world.request("GET", place + "/usages").body["value"]
    }
    provider = world.request("GET", SUB + "/providers/microsoft.containerinstance").body

    assert usages["ContainerGroups"] == 1
    assert usages["StandardCores"] == 2
    assert provider["registrationState"] == "Registered"
    assert "westus" in provider["resourceTypes"][0]["locations"]
    assert (
        world.request("POST", SUB + "/providers/Microsoft.ContainerInstance/register").body
        == provider
    )
    assert world.request("GET", SUB).body["subscriptionId"] == SUBSCRIPTION
    for path in ("/tenants", "/subscriptions", SUB + "/locations", SUB + "/providers"):
        assert world.request("GET", path).body["value"]
    assert world.request("GET", place + "/capabilities").body["value"][0]["capabilities"] == {
        "maxMemoryInGB": 256.0,
        "maxCpu": 32.0,
        "maxGpuCount": 0,
    }
    assert world.request("GET", place.replace("westus", "mars") + "/usages").status == 400


def _without(body: dict[str, Any], *path: Any) -> dict[str, Any]:
    body = json.loads(json.dumps(body))
    inner: Any = body
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return body


_RESOURCES = ("properties", "containers", 0, "properties", "resources")

REFUSED: list[tuple[str, Any]] = [
    ("InvalidRequestContent", []),
    ("InvalidRequestContent", {"location": "westus"}),
    ("InvalidRequestContent", {"location": "westus", "properties": 1}),
    ("ContainersNotSpecified", group(containers=[])),
    ("InvalidRequestContent", group(containers=["x"])),
    ("InvalidRequestContent", group(containers={"x": 1})),
    ("InvalidRequestContent", group(imageRegistryCredentials=[{"username": "u"}])),
    ("InvalidRequestContent", group(container(command="sleep 1"))),
    ("InvalidRequestContent", group(container(ports=[{"port": "eighty"}]))),
    ("InvalidRequestContent", group(container(environmentVariables=[{"value": "x"}]))),
    ("InvalidRequestContent", group(container(volumeMounts=[{"name": "x"}]))),
    ("InvalidOsType", _without(group(), "properties", "osType")),
    ("InvalidOsType", group(osType="BeOS")),
    ("InvalidRestartPolicy", group(restartPolicy="Sometimes")),
    ("ResourceRequestsNotSpecified", _without(group(), *_RESOURCES)),
    ("ResourceSomeRequestsNotSpecified", _without(group(), *_RESOURCES, "requests", "cpu")),
    ("InvalidContainerName", group(container("Web"))),
    ("DuplicateContainerName", group(container("a"), container("a"))),
    ("InvalidImageName", group(container(image=" "))),
    ("VolumeMountNotFound", group(container(volumeMounts=[{"name": "v", "mountPath": "/v"}]))),
    ("InvalidVolume", group(volumes=[{"name": "v"}])),
    ("InvalidSecretVolumeContent", group(volumes=[{"name": "v", "secret": {"a": "%"}}])),
    ("TooManyVolumes", group(volumes=[{"name": f"v{n}", "emptyDir": {}} for n in range(21)])),
    ("TooManyContainers", group(*(container(f"c{n}") for n in range(61)))),
    ("TooManyIpAddressPorts", group(ports=(1, 2, 3, 4, 5, 6))),
    ("DuplicateIpAddressPorts", group(ports=(80, 80))),
    ("InvalidIpAddressPort", group(ports=(70000,))),
    ("MissingIpAddressPorts", group(ipAddress={"type": "Public", "ports": []}, ports=())),
    ("InvalidIPAddressType", group(ipAddress={"type": "Odd", "ports": [{"port": 1}]}, ports=())),
    (
        "InvalidDnsNameLabel",
        group(
            ipAddress={"type": "Public", "ports": [{"port": 1}], "dnsNameLabel": "node"}, ports=()
        ),
    ),
    (
        "DuplicateContainerPorts",
        group(container("a", ports=[{"port": 80}]), container("b", ports=[{"port": 80}])),
    ),
    (
        "InvalidResourceRequests",
        group(container(resources={"requests": {"cpu": 0.5, "memoryInGB": 1}})),
    ),
    (
        "ContainerLimitGreaterThanContainerGroupTotalRequest",
        group(container(resources={"requests": {"cpu": 1, "memoryInGB": 1}, "limits": {"cpu": 2}})),
    ),
    ("SpotPriorityContainerGroupNotSupportedForInboundConnectivity", group(priority="spot")),
    ("LocationNotAvailableForResourceType", {**group(), "location": "atlantis"}),
]


@pytest.mark.parametrize(("code", "body"), REFUSED)
def test_what_aci_refuses(code: str, body: Any) -> None:
    """A request that ACI would not take is a 400 with a code, and leaves nothing behind."""
    world = World()
    reply = world.put(body) if body else (world.make_home(), world.put(raw=b"["))[1]

    assert (reply.status, reply.body["error"]["code"]) == (400, code)
    assert world.endpoint.idle
    assert not world.actions


def test_an_invalid_group_name_is_refused() -> None:
    """The SDK does not check names; the service does."""
    world = World()

    assert world.put(name="A--b").body["error"]["code"] == "InvalidContainerGroupName"


def test_what_the_runtime_cannot_do_is_refused_by_name() -> None:
    """Nothing is dropped in silence: the reply names the field."""
    world = World(unsupported=("Windows", "azureFile", "livenessProbe"))
    share = {"shareName": "s", "storageAccountName": "a", "storageAccountKey": "k"}
    bodies = {
        "Windows": group(osType="windows"),
        "azureFile": group(volumes=[{"name": "share", "azureFile": share}]),
        "livenessProbe": group(container(livenessProbe={"exec": {"command": ["true"]}})),
    }
    replies = {key: world.put(body) for key, body in bodies.items()}

    assert {reply.status for reply in replies.values()} == {501}
    for key, reply in replies.items():
        assert key in reply.body["error"]["message"]


@pytest.mark.parametrize(
    ("problem", "status", "code"),
    [
        ("inaccessible", 400, "InaccessibleImage"),
        ("platform", 400, "OsVersionNotSupported"),
        ("registry", 409, "RegistryErrorResponse"),
    ],
)
def test_images_are_looked_for_before_a_put_is_accepted(
    problem: str, status: int, code: str
) -> None:
    """An image that cannot be had is told at the PUT, and nothing is made."""
    world = World()
    world.image_problems["nginx:1.27"] = problem
    reply = world.put()

    assert (reply.status, reply.body["error"]["code"]) == (status, code)
    assert reply.body["error"]["message"].endswith("(the registry's words)")
    assert world.endpoint.idle


def test_quota_is_per_region() -> None:
    """The core that is too many is refused with limit, usage and request; elsewhere there is room."""
    world = World()
    big = container(resources={"requests": {"cpu": 32, "memoryInGB": 1}})
    for number in range(3):
        assert world.put(group(big), name=f"g{number}").status == 201
    reply = world.put(group(big), name="last")
    elsewhere = world.put({**group(big), "location": "eastus"}, name="last")

    assert reply.body["error"]["code"] == "ContainerGroupQuotaReached"
    assert "Limit: '100', Usage: '96' Requested: '32'" in reply.body["error"]["message"]
    assert elsewhere.status == 201


def _labelled(label: str, scope: str | None) -> dict[str, Any]:
    address: dict[str, Any] = {"type": "Public", "ports": [{"port": 80}], "dnsNameLabel": label}
    if scope is not None:
        address["autoGeneratedDomainNameLabelScope"] = scope
    return group(ipAddress=address, ports=())


def test_dns_names_follow_the_scope() -> None:
    """Unsecure gives the plain name, once; reuse scopes put the same hash in between every time."""
    world = World()
    plain = world.put(_labelled("weblabel", None), name="a").body
    taken = world.put(_labelled("weblabel", "unsecure"), name="b")
    hashed = world.put(_labelled("weblabel", "tenantreuse"), name="c").body
    world.request("DELETE", world.group_path("c"))
    again = world.put(_labelled("weblabel", "TenantReuse"), name="d").body
    names = [each["properties"]["ipAddress"]["fqdn"] for each in (plain, hashed, again)]

    assert names[0] == "weblabel.westus.azurecontainer.io"
    assert taken.body["error"]["code"] == "DnsNameLabelAlreadyTaken"
    assert names[1] == names[2]
    assert names[1].startswith("weblabel.")
    assert names[1].count(".") == names[0].count(".") + 1


def test_logs_need_a_container_that_has_started() -> None:
    """Before, ACI's own refusal; then the text, its tail, with times on request."""
    world = World({"pulling": 1, "pulled": 2, "started": 3, "logs": "one\ntwo\nthree\n"})
    world.put()
    path = world.group_path(more="/containers/web/logs")
    early = world.request("GET", path)
    world.run(10)
    stamped = world.request("GET", path, timestamps="true").body["content"]

    assert early.body["error"]["code"] == "ContainerGroupDeploymentNotReady"
    assert world.request("GET", path).body == {"content": "one\ntwo\nthree\n"}
    assert world.request("GET", path, tail="2").body == {"content": "two\nthree\n"}
    assert stamped.splitlines()[0] == "2023-11-14T22:13:23Z one"
    assert world.request("GET", path, tail="x").status == 400
    assert world.request("GET", path.replace("/web/logs", "/no/logs")).status == 404


def test_put_has_the_recorded_headers() -> None:
    """An operation's URL of version 2018-06-01, rates that count down, a Date; no Retry-After."""
    world = World()
    first, second = world.put(name="a").headers, world.put(name="b").headers
    prefix = "x-ms-ratelimit-remaining-subscription-resource-requests"

    assert first["Azure-AsyncOperation"].startswith(f"https://arm.test{SUB}/providers/")
    assert first["Azure-AsyncOperation"].endswith("?api-version=2018-06-01")
    assert "Retry-After" not in first
    assert "Location" not in first
    assert (first[f"{prefix}-pt5m"], second[f"{prefix}-pt5m"]) == ("899", "898")
    assert first["Date"] == "Tue, 14 Nov 2023 22:13:20 GMT"


def test_our_own_headers_have_exact_times_and_mapped_ports() -> None:
    """Sub-second times, and where a port is reached when that is not the address itself."""
    world = World({"pulling": 1.25, "pulled": 2.5, "started": 3.125})
    world.put()
    world.run(5)
    uid = next(each.uid for each in world.actions if isinstance(each, OpenSandbox))
    plain = world.request("GET", world.group_path()).headers
    world.observe(
        SandboxReady(uid=uid, at=world.now, ip="10.0.0.1", mapped={80: ("127.0.0.1", 49153)})
    )
    mapped = world.request("GET", world.group_path()).headers
    began = world.now - 5

    assert json.loads(plain["x-aciflow-times"]) == {
        "accepted": began,
        "containers": {
            "web": {"pulling": began + 1.25, "pulled": began + 2.5, "started": began + 3.125}
        },
    }
    assert "x-aciflow-mapped" not in plain
    assert json.loads(mapped["x-aciflow-mapped"]) == {"80": ["127.0.0.1", 49153]}


def test_newer_versions_have_their_fields() -> None:
    """What 2024-05-01-preview added is there for who asks in it, and for nobody else."""
    world = World()
    world.put()
    newer = world.get(version="2024-05-01-preview")["properties"]
    older = world.get(version="2022-09-01")["properties"]

    assert newer["isCreatedFromStandbyPool"] is False
    assert newer["containers"][0]["properties"]["configMap"] == {"keyValuePairs": {}}
    assert "provisioningTimeoutInSeconds" not in older


def test_an_identity_gets_its_ids() -> None:
    """System-assigned and user-assigned identities come back with principals."""
    world = World()
    mine = f"{HOME}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/me"
    identity = {"type": "SystemAssigned, UserAssigned", "userAssignedIdentities": {mine: {}}}
    body = world.put({**group(), "identity": identity, "zones": ["1"]}).body
    none = world.put({**group(), "identity": {"type": "None"}}, name="none").body

    assert set(body["identity"]) >= {"principalId", "tenantId"}
    assert set(body["identity"]["userAssignedIdentities"][mine]) == {"principalId", "clientId"}
    assert body["zones"] == ["1"]
    assert "identity" not in none


def test_a_group_stays_in_its_region() -> None:
    """A PUT of the same name elsewhere is a conflict."""
    world = World()
    world.put()
    world.run(30)

    reply = world.put({**group(), "location": "eastus"})

    assert (reply.status, reply.body["error"]["code"]) == (409, "InvalidResourceLocation")
