"""
The catalogue of errors: each is got by the mistake that triggers it on Azure.

What needs something that is not here (an outage, a role, another subscription's state) is asked for with
a fault, and is compared all the same.
"""

from __future__ import annotations

import json
import re

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.recordings import excerpts
from tests.local.world import SUBSCRIPTION, World, container, group

from aciflow.local import LocalAzure
from aciflow.local.config import Config
from aciflow.local.faults import Fault, NoCapacity, Refuse, ServerError, Throttle
from aciflow.local.protocol import Reply, Request


pytestmark = pytest.mark.corpus

ELSEWHERE = "99999999-9999-9999-9999-999999999999"
PREVIEW = "2024-05-01-preview"
_SUBNET = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers"
    "/Microsoft.Network/virtualNetworks/v/subnets/s"
)

# Words of the catalogue's messages that stand for what the request names.
_PLACES = (
    *("X", "Y", "G", "L", "R", "C", "O", "...", "{0}", "{xyz}", "node", "2", "4", "1", "0"),
    *("P100Cores", "westus2", "francecentral", "<registry>/<image>:<tag>", "50", "372", "00:05:00"),
    *("Microsoft.Cdn/profiles/read", "index.docker.io", "ContainerGroups"),
    "Microsoft.ContainerInstance/containerGroupProfiles/read",
    "Microsoft.ContainerInstance/containerGroups/X",
)

# At the end of these the endpoint gives the registry's or engine's own words, which Azure keeps to itself.
_WITH_REASON = ("InaccessibleImage", "RegistryErrorResponse", "OsVersionNotSupported")


def form(message: str, *, open_end: bool = False) -> re.Pattern[str]:
    """A message of the catalogue as a pattern; what is in quotes may differ where it is a place."""
    places = "|".join(re.escape(place) for place in sorted(_PLACES, key=len, reverse=True))
    parts = re.split(rf"'(?:{places})'|(?<=position )\d+", message)
    pattern = r"(?:'[^']*'|\d+)".join(re.escape(part) for part in parts)
    return re.compile(pattern + (r"( .*)?" if open_end else ""), re.DOTALL)


# --- mistakes -----------------------------------------------------------------------------------


def _put(body: dict[str, Any], *, version: str = "2023-05-01", name: str = "web") -> Reply:
    return World().put(body, name, version=version)


def _with_profile(subscription: str, **more: Any) -> dict[str, Any]:
    profile = {
        "id": f"/subscriptions/{subscription}/resourceGroups/rg/providers"
        "/Microsoft.ContainerInstance/containerGroupProfiles/p",
        "revision": 1,
    }
    return {"location": "westus", "properties": {"containerGroupProfile": profile, **more}}


def _reuse_with_more() -> Reply:
    body = _with_profile(SUBSCRIPTION, **group()["properties"])
    return _put(body, version=PREVIEW)


def _other_subscription() -> Reply:
    return _put(_with_profile(ELSEWHERE), version=PREVIEW)


def _missing() -> Reply:
    world = World()
    world.make_home()
    return world.request("GET", world.group_path())


def _network_profile() -> Reply:
    body = group(ports=(), networkProfile={"id": "/subscriptions/s/networkProfiles/p"})
    return _put(body, version="2019-12-01")


def _too_soon() -> Reply:
    world = World()
    world.put()
    return world.put()


def _gpu() -> Reply:
    requests = {"cpu": 1.0, "memoryInGB": 1.5, "gpu": {"count": 1, "sku": "P100"}}
    return _put(group(container(resources={"requests": requests})))


def _no_groups_allowed() -> Reply:
    return World(config=Config(quotas={"ContainerGroups": 0})).put()


def _label(label: str) -> dict[str, Any]:
    body = group()
    body["properties"]["ipAddress"]["dnsNameLabel"] = label
    return body


def _label_taken() -> Reply:
    world = World()
    world.put(_label("taken-label"))
    return world.put(_label("taken-label"), "other")


def _bad_label() -> Reply:
    return _put(_label("node"))


def _image(problem: str) -> Reply:
    world = World()
    world.image_problems["nginx:1.27"] = problem
    return world.put()


def _credentials(**credential: Any) -> Reply:
    return _put(group(imageRegistryCredentials=[{"server": "r.azurecr.io", **credential}]))


_IDENTITY = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers"
    "/Microsoft.ManagedIdentity/userAssignedIdentities/i"
)


def _identity_elsewhere() -> Reply:
    body = group(imageRegistryCredentials=[{"server": "docker.io", "identity": _IDENTITY}])
    body["identity"] = {"type": "UserAssigned", "userAssignedIdentities": {_IDENTITY: {}}}
    return _put(body)


def _server_missing() -> Reply:
    return _put(group(imageRegistryCredentials=[{"username": "u", "password": "p"}]))


def _spot(**more: Any) -> Reply:
    body = group(ports=(), priority="Spot")
    body["properties"].update(more)
    return _put(body)


def _spot_with_gpu() -> Reply:
    requests = {"cpu": 1.0, "memoryInGB": 1.5, "gpu": {"count": 1, "sku": "V100"}}
    return _put(group(container(resources={"requests": requests}), ports=(), priority="Spot"))


def _logs_too_soon() -> Reply:
    world = World()
    world.put()
    return world.request("GET", world.group_path(more="/containers/web/logs"))


def _unknown_region() -> Reply:
    return _put({**group(), "location": "nowhere"})


# --- what only a fault can bring about ------------------------------------------------------------


def _faulty(fault: Fault, method: str = "PUT", *, body: dict[str, Any] | None = None) -> Reply:
    """A container group's request to a whole endpoint that meets ``fault``."""
    with LocalAzure("simulated", speed=10_000.0) as local:

        def request(method: str, path: str, body: Any, version: str = "2023-05-01") -> Reply:
            token = local.credential().get_token("any").token
            return local.handle(
                Request(
                    method=method,
                    path=f"/subscriptions/{local.subscription_id}/resourceGroups/rg{path}",
                    query={"api-version": version},
                    headers={"authorization": f"Bearer {token}"},
                    body=json.dumps(body).encode() if body is not None else b"",
                )
            )

        assert request("PUT", "", {"location": "westus"}, "2022-09-01").status == 201
        local.faults.add(fault, method=method)
        path = "/providers/Microsoft.ContainerInstance/containerGroups/web"
        return request(method, path, (body or group()) if method == "PUT" else None)


def _no_capacity() -> Reply:
    return _faulty(NoCapacity(), body=group(ports=(), subnetIds=[{"id": _SUBNET}]))


MISTAKES: dict[tuple[str | None, str], Callable[[], Reply]] = {
    ("BadRequest", "ContainerGroup properties"): _reuse_with_more,
    ("LinkedAuthorizationFailed", "The client has"): _other_subscription,
    ("ResourceNotFound", "The Resource"): _missing,
    ("ContainerGroupNotFound", "The container group"): lambda: _faulty(
        Refuse(code="ContainerGroupNotFound"), "GET"
    ),
    ("NetworkProfileNotFound", "Network profile"): _network_profile,
    ("GatewayTimeout", "The gateway"): lambda: _faulty(ServerError(status=504)),
    ("InternalServerError", "Encountered"): lambda: _faulty(ServerError(status=500)),
    ("ContainerGroupTransitioning", "The container group"): _too_soon,
    ("ServiceUnavailable", "The requested resource"): _no_capacity,
    ("ContainerGroupQuotaReached", "Resource type"): _gpu,
    ("ServiceUnavailable", "Resource type"): _no_groups_allowed,
    ("DnsNameLabelAlreadyTaken", "The DNS name label"): _label_taken,
    (None, "The DNS name label"): _bad_label,
    ("InaccessibleImage", "The image"): lambda: _image("inaccessible"),
    ("RegistryErrorResponse", "An error response"): lambda: _image("registry"),
    ("InvalidImageRegistryCredentialType", "Identity in"): _identity_elsewhere,
    ("AmbiguousImageResitryCredentialType", "The registry credential"): lambda: _credentials(
        username="u", password="p", identity=_IDENTITY
    ),
    ("InvalidImageRegistryIdentity", "The identity in"): lambda: _credentials(identity=_IDENTITY),
    ("InvalidRequestContent", "The request content"): _server_missing,
    ("OsVersionNotSupported", "The OS version"): lambda: _image("platform"),
    ("SpotPriorityContainerGroupNotSupportedForInboundConnectivity", "Spot"): lambda: _spot(
        ipAddress={"type": "Public", "ports": [{"port": 80}]}
    ),
    ("SpotPriorityContainerGroupNotSupportedInSku", "Spot"): lambda: _spot(sku="Dedicated"),
    ("SpotPriorityContainerGroupWithGPUResourcesNotSupported", "Spot"): _spot_with_gpu,
    ("PriorityNotSpecified", "The 'Priority'"): lambda: _spot(priority="Sometimes"),
    ("MissingSubscriptionRegistration", "The subscription"): lambda: _faulty(
        Refuse(code="MissingSubscriptionRegistration")
    ),
    ("AuthorizationFailed", "The client"): lambda: _faulty(Refuse(code="AuthorizationFailed")),
    ("ContainerGroupDeploymentNotReady", "The container group"): _logs_too_soon,
    ("ResourceRequestsThrottled", "Number of requests"): lambda: _faulty(Throttle()),
    ("LocationNotAvailableForResourceType", "The provided location"): _unknown_region,
}


def _entry(corpus: Path, code: str | None, start: str) -> dict[str, Any]:
    (found,) = (
        entry
        for entry in excerpts(corpus)["errors"]
        if entry["code"] == code and entry["message"].startswith(start)
    )
    return dict(found)


@pytest.mark.parametrize(("code", "start"), MISTAKES, ids=lambda each: str(each).replace(" ", "-"))
def test_a_mistake_gets_the_services_error(corpus: Path, code: str | None, start: str) -> None:
    """Status, code and form of the message are the catalogue's, where it has them."""
    entry = _entry(corpus, code, start)

    reply = MISTAKES[code, start]()

    error = reply.body["error"]
    assert reply.status == entry["http"] or (entry["http"] is None and reply.status in (400, 409))
    assert error["code"] == (code or error["code"])
    assert error["code"]
    wanted = form(entry["message"], open_end=code in _WITH_REASON)
    assert wanted.fullmatch(error["message"]), (wanted.pattern, error["message"])
    assert set(error) == {"code", "message"}


def test_every_entry_of_the_catalogue_is_made(corpus: Path) -> None:
    """No entry is left out, and none is made up."""
    entries = excerpts(corpus)["errors"]

    assert len(entries) == len(MISTAKES) == 29
    assert all(_entry(corpus, code, start) for code, start in MISTAKES)


def test_forms_are_strict_about_all_but_the_places() -> None:
    """A word of a message may differ only where the catalogue has a place for it."""
    message = "The container group 'X' does not exist."

    assert form(message).fullmatch("The container group 'web' does not exist.")
    assert not form(message).fullmatch("The container group 'web' does not exist")
    assert not form(message).fullmatch("the container group 'web' does not exist.")
    assert not form("Use 'Windows'.").fullmatch("Use 'Linux'.")
