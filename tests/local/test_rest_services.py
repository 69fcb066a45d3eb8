"""What the endpoint offers around container groups: sessions, regions, providers, filters, tags, versions."""

from __future__ import annotations

import json

from typing import Any

import pytest

from tests.local.world import SUBSCRIPTION, World, container, group

from aciflow.local.config import Config
from aciflow.local.protocol import ListImages
from aciflow.local.rest.versions import VERSIONS


SUB = f"/subscriptions/{SUBSCRIPTION}"
HOME = f"{SUB}/resourceGroups/rg"
NAMESPACE = "Microsoft.ContainerInstance"
PLACE = f"{SUB}/providers/{NAMESPACE}/locations/westus"
EXEC = {"command": "/bin/sh", "terminalSize": {"rows": 30, "cols": 100}}


def _code(reply: Any) -> tuple[int, str]:
    return reply.status, reply.body["error"]["code"]


# --- sessions -----------------------------------------------------------------------------------


def test_exec_and_attach_promise_one_connection() -> None:
    """A URI in the recorded form and a password; claimed once, with that password, within a minute."""
    world = World()
    world.put()
    world.run(20)
    path = world.group_path(more="/containers/web")
    made = world.request("POST", path + "/exec", EXEC).body
    attached = world.request("POST", path + "/attach").body
    session = made["webSocketUri"].partition("/sessionId/")[2].partition("?")[0]
    endpoint = world.endpoint

    assert made["webSocketUri"] == (
        f"wss://arm.test/execstream/sessionId/{session}?api-version=1.0&rows=30&cols=100"
    )
    assert attached["webSocketUri"].startswith("wss://arm.test/logstream/sessionId/")
    assert attached["webSocketUri"].endswith("?api-version=1.0")
    assert endpoint.claim(session, "wrong", world.now) is None
    assert endpoint.claim(session, made["password"], world.now + 61) is None
    wanted = endpoint.claim(session, made["password"], world.now)
    assert wanted is not None
    assert (wanted.kind, wanted.container, wanted.command) == ("exec", "web", "/bin/sh")
    assert (wanted.rows, wanted.columns) == (30, 100)
    assert endpoint.claim(session, made["password"], world.now) is None
    assert made["password"] not in repr(endpoint.state.sessions)
    assert made["password"] not in json.dumps(endpoint.dump())


def test_a_session_needs_a_container_that_runs() -> None:
    """Not there, not started and stopped each have their refusal; attach refuses what has ended, too."""
    world = World({"pulling": 1, "pulled": 2, "started": 3, "exits_after": 5.0, "exit_code": 0})
    world.put(group(restartPolicy="Never"))
    path = world.group_path(more="/containers/web/exec")
    early = world.request("POST", path, EXEC)
    absent = world.request("POST", path.replace("/web/exec", "/no/exec"), EXEC)
    world.run_until(lambda: world.states()[1] == "Succeeded")
    ended = world.request("POST", path.replace("/exec", "/attach"))
    taken = world.request("POST", path, EXEC)
    world.request("POST", world.group_path(more="/stop"))
    world.run(20)
    stopped = world.request("POST", path.replace("/exec", "/attach"))

    assert _code(early) == (409, "ContainerGroupDeploymentNotReady")
    assert _code(absent) == (404, "ContainerNotFound")
    assert _code(ended) == (409, "ContainerNotRunning")
    assert taken.status == 200  # recorded: the connection is what fails
    assert _code(stopped) == (409, "ContainerGroupStopped")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"command": "sh"},
        {"terminalSize": {"rows": 1, "cols": 1}},
        {"command": "sh", "terminalSize": {"rows": 1}},
        {"command": "sh", "terminalSize": {"rows": 0, "cols": 1}},
        {"command": " ", "terminalSize": {"rows": 1, "cols": 1}},
        {"command": ["sh"], "terminalSize": {"rows": 1, "cols": 1}},
    ],
)
def test_exec_needs_a_command_and_a_terminal(body: Any) -> None:
    """What is missing or empty is refused as content."""
    world = World()
    world.put()
    world.run(20)
    reply = world.request("POST", world.group_path(more="/containers/web/exec"), body)

    assert _code(reply) == (400, "InvalidRequestContent")


# --- regions ------------------------------------------------------------------------------------


def _usages(world: World, place: str = PLACE) -> dict[str, tuple[int, int]]:
    return {
        each["name"]["value"]: (each["currentValue"], each["limit"])
        for each in world.request("GET", place + "/usages").body["value"]
    }


def test_usages_count_what_is_there() -> None:
    """Each SKU and priority has its own, per region, and a deletion gives back."""
    world = World(config=Config(quotas={"DedicatedContainerGroups": 5, "StandardCores": 7}))
    world.put(group(container("a"), container("b")))
    world.put(group(ports=(), priority="Spot"), name="spot")
    world.put(group(sku="Confidential"), name="confidential")
    world.put(group(sku="Dedicated"), name="dedicated")
    counted = _usages(world)
    ids = [each["id"] for each in world.request("GET", PLACE + "/usages").body["value"]]
    world.request("DELETE", world.group_path())

    assert {name: used for name, (used, _) in counted.items() if used} == {
        "ContainerGroups": 2,
        "StandardCores": 2,
        "StandardSpotCores": 1,
        "ConfidentialContainerGroups": 1,
        "ConfidentialCores": 1,
        "DedicatedContainerGroups": 1,
        "DedicatedCores": 1,
    }
    assert counted["StandardCores"][1] == 7
    assert len(counted) == 10
    assert ids[0].endswith("/usages/ContainerGroups")
    assert ids[1].endswith("/usages/standardCores")
    assert _usages(world)["StandardCores"] == (0, 7)
    assert _usages(world, PLACE.replace("westus", "eastus"))["ContainerGroups"][0] == 0


def test_quotas_can_be_set() -> None:
    """A quota of the endpoint's configuration is what a region refuses with; none at all is a block."""
    world = World(config=Config(quotas={"StandardCores": 2}))
    first, second = world.put(name="a"), world.put(name="b")
    third = world.put(name="c")
    blocked = World(config=Config(quotas={"ContainerGroups": 0})).put()

    assert (first.status, second.status) == (201, 201)
    assert _code(third) == (400, "ContainerGroupQuotaReached")
    assert "Limit: '2', Usage: '2' Requested: '1'" in third.body["error"]["message"]
    assert _code(blocked) == (409, "ServiceUnavailable")
    assert "quota 'ContainerGroups' exceeded" in blocked.body["error"]["message"]


def test_quotas_are_exact() -> None:
    """Three times 1.1 cores are 3.3, which binary fractions are not."""
    world = World(config=Config(quotas={"StandardCores": 3.3}))
    cores = {"requests": {"cpu": 1.1, "memoryInGB": 1.5}}
    replies = [world.put(group(container(resources=cores)), name=name).status for name in "abc"]
    more = world.put(group(container(resources=cores)), name="d")

    assert [201, 201, 201] == replies
    assert "Limit: '3.3', Usage: '3.3' Requested: '1.1'" in more.body["error"]["message"]


def test_more_than_any_region_has_is_not_available() -> None:
    """A group that is too large gets what Azure says of one for which there is no room."""
    reply = World().put(group(container(resources={"requests": {"cpu": 33, "memoryInGB": 1}})))

    assert _code(reply) == (409, "ServiceUnavailable")
    assert "Resource requested: '33' CPU '1' GB memory 'Linux' OS" in reply.body["error"]["message"]


def test_cached_images_are_the_runtimes() -> None:
    """The endpoint asks what is there."""
    world = World()
    asked = []

    def answer(question: Any) -> Any:
        asked.append(question)
        return ("busybox:1", "nginx:1.27")

    world.answer = answer  # type: ignore[method-assign]
    images = world.request("GET", PLACE + "/cachedImages").body["value"]

    assert asked == [ListImages()]
    assert [(each["osType"], each["image"]) for each in images] == [
        ("Linux", "busybox:1"),
        ("Linux", "nginx:1.27"),
    ]


# --- providers, versions ------------------------------------------------------------------------


def test_a_provider_that_is_not_registered_refuses_until_it_is() -> None:
    """What is there can be read and deleted; the rest is 409 until it is registered, also when restarted."""
    world = World()
    world.put()
    registration = f"{SUB}/providers/{NAMESPACE}"
    full = world.request("POST", registration + "/unregister")
    world.request("DELETE", world.group_path())
    world.run(20)
    gone = world.request("POST", registration + "/unregister").body
    refused = world.put()
    usages = world.request("GET", PLACE + "/usages")
    listed = world.request("GET", f"{SUB}/providers/{NAMESPACE}/containerGroups")
    again = World()
    again.endpoint.load(json.loads(json.dumps(world.endpoint.dump())))
    restarted = again.put()
    world.request("POST", registration + "/register", version="2016-02-01")

    assert full.status == 409
    assert gone["registrationState"] == "NotRegistered"
    assert (
        _code(refused)
        == _code(usages)
        == _code(restarted)
        == (
            409,
            "MissingSubscriptionRegistration",
        )
    )
    assert listed.status == 200
    assert world.request("GET", registration).body["registrationState"] == "Registered"
    assert world.put().status == 201


def test_a_state_of_another_version_is_not_guessed_at() -> None:
    """What another release saved is refused as a whole, whatever is in it."""
    world = World()
    world.put()
    world.run(20)
    saved = json.loads(json.dumps(world.endpoint.dump()))
    later = World()
    later.endpoint.load(saved)

    assert later.get()["name"] == "web"
    with pytest.raises(ValueError, match="version of the endpoint's state: 1"):
        World().endpoint.load({**saved, "version": 1})


def test_each_provider_knows_its_own_versions() -> None:
    """None, one of the other provider and one of nobody are refused, with the list of what there is."""
    world = World()
    world.put()
    none = world.request("GET", world.group_path(), version=None)
    unknown = world.request("GET", world.group_path(), version="2021-04-01")
    resources = world.request("GET", SUB + "/resourcegroups", version="2023-05-01")

    assert _code(none) == (400, "MissingApiVersionParameter")
    assert _code(unknown) == (400, "NoRegisteredProviderFound")
    assert "'containerGroups'. The supported api-versions are" in unknown.body["error"]["message"]
    assert "2023-05-01" in unknown.body["error"]["message"]
    assert _code(resources) == (400, "InvalidApiVersionParameter")
    for version in VERSIONS[NAMESPACE]:
        assert world.request("GET", world.group_path(), version=version).status == 200
    for version in VERSIONS["Microsoft.Resources"]:
        assert world.request("GET", HOME, version=version).status == 200


def test_a_provider_says_how_its_resources_are_asked_for() -> None:
    """What az resource show asks with: the first stable version of the type there."""
    world = World()
    world.put()
    provider = world.request("GET", f"{SUB}/providers/{NAMESPACE}").body
    kinds = {each["resourceType"]: each for each in provider["resourceTypes"]}
    stable = [
        version for version in kinds["containerGroups"]["apiVersions"] if "preview" not in version
    ]
    operations = world.request("GET", f"/providers/{NAMESPACE}/operations").body["value"]

    assert world.request("GET", world.group_path(), version=stable[0]).status == 200
    assert world.request("GET", f"{SUB}/providers/{NAMESPACE}/resourceTypes").body["value"] == list(
        kinds.values()
    )
    assert f"{NAMESPACE}/containerGroups/write" in {each["name"] for each in operations}
    assert set(operations[0]["display"]) == {"provider", "resource", "operation", "description"}
    assert world.request("GET", "/providers").body["value"]
    assert world.request("GET", "/providers/Microsoft.Resources/operations").body["value"]
    assert world.request("GET", f"/providers/{NAMESPACE}").body["namespace"] == NAMESPACE


# --- lists --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("resourceType eq 'microsoft.containerinstance/containergroups'", "ab"),
        ("resourceType eq 'Microsoft.Web/sites'", ""),
        ("name eq 'a'", "a"),
        ("name ne 'a'", "b"),
        ("resourceGroup eq 'RG'", "ab"),
        ("location eq 'westus' and name eq 'b'", "b"),
        ("tagName eq 'team' and tagValue eq 'blue'", "a"),
        ("tagName eq 'team'", "ab"),
        ("tagValue eq 'blue'", "a"),
        ("tagName eq 'other' and tagValue eq 'blue'", ""),
        ("startswith(name, 'a') or substringof('B', name)", "ab"),
        ("(name eq 'a' or name eq 'b') and tagName eq 'team' and tagValue eq 'it''s red'", "b"),
    ],
)
def test_resources_are_filtered(text: str, names: str) -> None:
    """ARM's comparisons; a tag's name and value belong to one tag."""
    world = World()
    world.put({**group(), "tags": {"team": "blue", "other": "x"}}, name="a")
    world.put({**group(), "tags": {"team": "it's red"}}, name="b")
    found = world.request("GET", SUB + "/resources", query={"$filter": text}).body["value"]

    assert "".join(each["name"] for each in found) == names


@pytest.mark.parametrize(
    "text", ["x", "name eq", "name eq a", "name gt 'a'", "(name eq 'a'", "name eq 'a' 'b'", "''"]
)
def test_a_filter_that_cannot_be_read_is_refused(text: str) -> None:
    """Rather than ignored."""
    reply = World().request("GET", SUB + "/resources", query={"$filter": text})

    assert _code(reply) == (400, "InvalidFilterInQueryString")


def test_resource_groups_are_filtered_by_tag_and_counted_off() -> None:
    """As az group list --tag asks."""
    world = World()
    for name in ("one", "two"):
        world.request(
            "PUT", f"{SUB}/resourcegroups/{name}", {"location": "westus", "tags": {"n": name}}
        )
    text = "tagname eq 'n' and tagvalue eq 'two'"
    path = SUB + "/resourcegroups"
    found = world.request("GET", path, query={"$filter": text}).body["value"]

    assert [each["name"] for each in found] == ["two"]
    assert len(world.request("GET", path, query={"$top": "1"}).body["value"]) == 1
    assert _code(world.request("GET", path, query={"$top": "x"})) == (
        400,
        "InvalidTopInQueryString",
    )


def test_resources_say_more_on_request() -> None:
    """As az resource list asks."""
    world = World()
    world.put()
    found = world.request(
        "GET",
        HOME + "/resources",
        query={"$expand": "createdTime,changedTime,provisioningState"},
    ).body["value"][0]

    assert found["createdTime"].startswith("2023-11-14T22:13:20")
    assert found["provisioningState"] == "Pending"
    assert world.request("HEAD", world.group_path()).status == 204
    assert world.request("HEAD", world.group_path("no")).status == 404


# --- tags, names --------------------------------------------------------------------------------


def test_tags_are_changed_apart_from_the_rest() -> None:
    """Merge, replace and delete, on a resource group and on a container group."""
    world = World()
    world.put({**group(), "tags": {"a": "1"}})
    for scope in (HOME, world.group_path()):
        path = scope + "/providers/Microsoft.Resources/tags/default"

        def patch(operation: str, path: str = path, **tags: str) -> Any:
            body = {"operation": operation, "properties": {"tags": tags}}
            return world.request("PATCH", path, body)

        assert patch("Replace", a="1").body["properties"]["tags"] == {"a": "1"}
        assert patch("Merge", b="2").body["properties"]["tags"] == {"a": "1", "b": "2"}
        assert patch("Delete", a="1").body["properties"]["tags"] == {"b": "2"}
        assert world.request("GET", scope).body["tags"] == {"b": "2"}
        assert _code(patch("Mix")) == (400, "InvalidTagsOperation")
        world.request("DELETE", path)
        assert world.request("GET", path).body["properties"]["tags"] == {}


def test_tags_are_counted() -> None:
    """As az tag list asks: names, values, and how many have them."""
    world = World()
    world.put({**group(), "tags": {"team": "blue"}})
    world.put({**group(), "tags": {"team": "red"}}, name="b")
    (found,) = world.request("GET", SUB + "/tagNames").body["value"]

    assert (found["tagName"], found["count"]["value"]) == ("team", 2)
    assert [each["tagValue"] for each in found["values"]] == ["blue", "red"]


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ({f"n{number}": "" for number in range(51)}, "TooManyTags"),
        ({"a<b": ""}, "InvalidTagNameCharacters"),
        ({"a": "x" * 257}, "TagValueLimitExceeded"),
        ({"x" * 513: ""}, "TagNameLimitExceeded"),
        ({"a": "", "A": ""}, "DuplicateTagName"),
        ({"a": ["x"]}, "InvalidRequestContent"),
    ],
)
def test_tags_have_arms_limits(tags: Any, code: str) -> None:
    """On groups of both kinds."""
    world = World()
    world.make_home()

    assert _code(world.request("PUT", HOME, {"location": "westus", "tags": tags})) == (400, code)
    assert _code(world.put({**group(), "tags": tags})) == (400, code)


@pytest.mark.parametrize("name", ["a b", "ends.", "x" * 91, "a*b", "..", "\x00"])
def test_a_resource_group_needs_a_name(name: str) -> None:
    """Of ARM's characters, and not too long."""
    reply = World().request("PUT", f"{SUB}/resourcegroups/{name}", {"location": "westus"})

    assert _code(reply) == (400, "InvalidResourceGroup")


# --- content ------------------------------------------------------------------------------------


def test_content_that_cannot_be_read_is_shown_where() -> None:
    """The path, the line and the position where Json.NET stops."""
    world = World()
    world.make_home()
    text = json.dumps(group(imageRegistryCredentials=[{"username": "u"}]))
    at = text.index('{"username": "u"}') + len('{"username": "u"}')
    reply = world.request("PUT", world.group_path(), raw=text.encode())
    lines = world.request("PUT", world.group_path(), raw=b'{\n "properties":\n  [1]}')

    assert reply.body["error"]["message"] == (
        "The request content was invalid and could not be deserialized: 'Required property 'server' not "
        f"found in JSON. Path 'properties.imageRegistryCredentials[0]', line 1, position {at}.'."
    )
    assert "Path 'properties', line 3, position 3.'." in lines.body["error"]["message"]


def test_names_are_found_without_regard_to_case_and_numbers_in_text() -> None:
    """As templates write them; what is shown is in Azure's spelling, with numbers as numbers."""
    world = World()
    text = (
        json.dumps(group()).replace("memoryInGB", "MemoryInGb").replace('"cpu": 1.0', '"CPU": "1"')
    )
    text = text.replace('"port": 80', '"port": "80"')
    world.make_home()
    reply = world.request("PUT", world.group_path(), raw=text.encode())

    assert reply.status == 201, reply.body
    properties = reply.body["properties"]
    requests = properties["containers"][0]["properties"]["resources"]["requests"]
    assert requests == {"cpu": 1.0, "memoryInGB": 1.5}
    assert properties["ipAddress"]["ports"][0]["port"] == 80


def test_an_exported_group_can_be_put_again() -> None:
    """What a GET shows is a body, read-only members and all."""
    world = World()
    world.put()
    world.run(20)
    shown = world.get()
    again = world.put(shown)

    assert again.status == 200, again.body


def test_what_has_ended_is_made_anew() -> None:
    """A group that runs keeps its size; one that was stopped may have another."""
    world = World()
    world.put()
    world.run(20)
    larger = group(container(resources={"requests": {"cpu": 2, "memoryInGB": 2}}))
    refused = world.put(larger)
    image = world.put(group(container(image="nginx:1.28")))
    world.run(20)
    world.request("POST", world.group_path(more="/stop"))
    world.run(20)

    assert _code(refused) == (400, "InvalidContainerGroupUpdate")
    assert image.status == 200
    assert _code(world.request("POST", world.group_path(more="/restart"))) == (
        409,
        "ContainerGroupStopped",
    )
    assert world.put(larger).status == 200


_OTHER = "99999999-9999-9999-9999-999999999999"
_PROFILE = f"/providers/{NAMESPACE}/containerGroupProfiles/p"


def test_a_profile_is_referred_to_in_vain() -> None:
    """With other properties, in another subscription, or simply not there: each as the service says it."""
    world = World()
    mixed = group(containerGroupProfile={"id": f"{HOME}{_PROFILE}"})
    elsewhere = f"/subscriptions/{_OTHER}/resourceGroups/rg{_PROFILE}"
    foreign = {"location": "westus", "properties": {"containerGroupProfile": {"id": elsewhere}}}

    assert _code(world.put(mixed)) == (400, "BadRequest")
    assert _code(world.put(foreign)) == (403, "LinkedAuthorizationFailed")


_ACR = "r.azurecr.io"
_ME = f"{HOME}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/me"

RULES: list[tuple[str, dict[str, Any]]] = [
    ("AmbiguousImageResitryCredentialType", {"imageRegistryCredentials": [{"server": _ACR}]}),
    (
        "InvalidImageRegistryCredentialType",
        {"imageRegistryCredentials": [{"server": "index.docker.io", "identity": _ME}]},
    ),
    (
        "InvalidImageRegistryIdentity",
        {"imageRegistryCredentials": [{"server": _ACR, "identity": _ME}]},
    ),
    ("PriorityNotSpecified", {"priority": "Sometimes"}),
    ("InvalidSku", {"sku": "Deluxe"}),
    (
        "InvalidIpAddressTypeForNetworkProfile",
        {"subnetIds": [{"id": f"{HOME}/providers/Microsoft.Network/virtualNetworks/v/subnets/s"}]},
    ),
    ("LinkedInvalidPropertyId", {"subnetIds": [{"id": "/a/subnet"}]}),
    ("InvalidVolumeName", {"volumes": [{"name": "A_b", "emptyDir": {}}]}),
    (
        "DuplicateVolumeName",
        {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]},
    ),
    (
        "InvalidGitRepoVolume",
        {"volumes": [{"name": "v", "gitRepo": {"repository": "x", "directory": "../up"}}]},
    ),
    ("InvalidSecretVolumeName", {"volumes": [{"name": "v", "secret": {"../up": "YQ=="}}]}),
    ("InvalidDnsConfig", {"dnsConfig": {"nameServers": []}}),
    ("ConfidentialComputePropertiesNotSupportedInSku", {"confidentialComputeProperties": {}}),
]

PROBES: list[dict[str, Any]] = [
    {},
    {"exec": {"command": ["true"]}, "httpGet": {"port": 80}},
    {"exec": {"command": []}},
    {"httpGet": {"port": 0}},
    {"httpGet": {"port": 80, "scheme": "ftp"}},
    {"httpGet": {"port": 80, "httpHeaders": [{"name": "a b", "value": ""}]}},
    {"exec": {"command": ["true"]}, "periodSeconds": 0},
    {"exec": {"command": ["true"]}, "successThreshold": 2},
]


@pytest.mark.parametrize(("code", "properties"), RULES)
def test_aci_has_rules_for_whole_groups(code: str, properties: dict[str, Any]) -> None:
    """Each with its code, and nothing is left behind."""
    world = World()

    assert _code(world.put(group(**properties))) == (400, code)
    assert world.endpoint.idle


@pytest.mark.parametrize("probe", PROBES)
def test_a_probe_is_one_thing_with_sensible_numbers(probe: dict[str, Any]) -> None:
    """Exec or httpGet, not both; thresholds and periods of at least one."""
    reply = World().put(group(container(livenessProbe=probe)))

    assert _code(reply) == (400, "InvalidContainerProbe")


@pytest.mark.parametrize(
    ("code", "variables"),
    [
        ("InvalidEnvironmentVariableName", [{"name": "-Dx", "value": "1"}]),
        ("DuplicateEnvironmentVariableName", [{"name": "A", "value": "1"}, {"name": "A"}]),
        ("InvalidEnvironmentVariable", [{"name": "A", "value": "1", "secureValue": "2"}]),
        ("InvalidContainerCommand", [{"name": "A", "value": "\0"}]),
    ],
)
def test_environment_variables_have_names(code: str, variables: list[dict[str, str]]) -> None:
    """Of letters, digits and underscores, and each once."""
    reply = World().put(group(container(environmentVariables=variables)))

    assert _code(reply) == (400, code)


_WITH_GPU = {"cpu": 1, "memoryInGB": 1, "gpu": {"count": 1, "sku": "V100"}}


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"sku": "Confidential"}, "SpotPriorityContainerGroupNotSupportedInSku"),
        (
            {"containers": [container(resources={"requests": _WITH_GPU})]},
            "SpotPriorityContainerGroupWithGPUResourcesNotSupported",
        ),
    ],
)
def test_spot_groups_lack_some_things(more: dict[str, Any], code: str) -> None:
    """Documented codes."""
    assert _code(World().put(group(ports=(), priority="Spot", **more))) == (400, code)
