"""ARM's error bodies become the error that a caller can act on."""

from __future__ import annotations

import json

from pathlib import Path
from typing import Any

import pytest

from hypothesis import given
from hypothesis import strategies as st

from aciflow import errors
from aciflow.arm.errors import error_from, operation_error


Kind = type[errors.ArmError]

#: Section by section the catalogue: code, class. The status is the recorded one, else 400.
CATALOGUE: dict[str, Kind] = {
    "ResourceNotFound": errors.NotFoundError,
    "ContainerGroupNotFound": errors.NotFoundError,
    "NetworkProfileNotFound": errors.InvalidRequestError,
    "GatewayTimeout": errors.ServiceError,
    "InternalServerError": errors.ServiceError,
    "BadRequest": errors.InvalidRequestError,
    "LinkedAuthorizationFailed": errors.AuthorizationError,
    "InvalidOsType": errors.InvalidRequestError,
    "ResourceRequestsNotSpecified": errors.InvalidRequestError,
    "ContainerGroupQuotaReached": errors.QuotaExceededError,
    "ContainerGroupTransitioning": errors.TransitioningError,
    "DnsNameLabelAlreadyTaken": errors.DnsLabelError,
    "InaccessibleImage": errors.ImageError,
    "RegistryErrorResponse": errors.ImageError,
    "InvalidImageRegistryCredentialType": errors.InvalidRequestError,
    "AmbiguousImageResitryCredentialType": errors.InvalidRequestError,
    "InvalidImageRegistryIdentity": errors.InvalidRequestError,
    "InvalidRequestContent": errors.InvalidRequestError,
    "OsVersionNotSupported": errors.ImageError,
    "SpotPriorityContainerGroupNotSupportedForInboundConnectivity": errors.InvalidRequestError,
    "SpotPriorityContainerGroupNotSupportedInSku": errors.InvalidRequestError,
    "SpotPriorityContainerGroupWithGPUResourcesNotSupported": errors.InvalidRequestError,
    "PriorityNotSpecified": errors.InvalidRequestError,
    "MissingSubscriptionRegistration": errors.NotRegisteredError,
    "AuthorizationFailed": errors.AuthorizationError,
    "LocationNotAvailableForResourceType": errors.RegionUnavailableError,
    "ContainerGroupDeploymentNotReady": errors.TransitioningError,
    "ResourceRequestsThrottled": errors.ThrottledError,
    "SubscriptionRequestsThrottled": errors.ThrottledError,
    "SomethingElseThrottled": errors.ThrottledError,
    "RequestDisallowedByPolicy": errors.PolicyDeniedError,
    "ScopeLocked": errors.LockedError,
    "InvalidResourceGroupLocation": errors.AlreadyExistsError,
    "ResourceGroupBeingDeleted": errors.TransitioningError,
    "InvalidAuthenticationToken": errors.AuthenticationError,
    "NoRegisteredProviderFound": errors.RegionUnavailableError,
    "InsufficientCapacity.": errors.CapacityError,
}
CAPACITY = (
    "The requested resource is not available in the location 'swedencentral' at this moment. Please "
    "retry with a different resource request or in another location."
)
QUOTA = (
    "Resource type 'Microsoft.ContainerInstance/containerGroups' container group quota "
    "'ContainerGroups' exceeded in region 'R'. Limit: '0', Usage: '0' Requested: '1'."
)
LABEL = "The DNS name label 'node' in container group 'node' is invalid. It can contain only lower"


def body_of(code: str | None, message: str) -> dict[str, Any]:
    """An ARM error body."""
    return {"error": {"message": message, **({"code": code} if code else {})}}


@pytest.mark.parametrize(("code", "kind"), CATALOGUE.items())
@pytest.mark.parametrize("status", [400, 409])
def test_the_code_decides(code: str, kind: Kind, status: int) -> None:
    """The code counts, whatever the status: a 409 alone means five different things."""
    if kind is errors.InvalidRequestError and code == "BadRequest":
        status = 400
    error = error_from(status, {}, body_of(code, "words of the service"))

    assert kind is type(error)
    assert (code, status, "words of the service") == (error.code, error.status, error.arm_message)


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (409, "ServiceUnavailable", CAPACITY, errors.CapacityError),
        (409, "ServiceUnavailable", QUOTA, errors.QuotaExceededError),
        (503, "ServiceUnavailable", "Try later.", errors.ServiceError),
        (409, "ServiceUnavailable", "Try later.", errors.ServiceError),
        (400, None, LABEL, errors.DnsLabelError),
        (400, None, CAPACITY, errors.CapacityError),
        (
            409,
            "Conflict",
            "The container group 'X' is still transitioning",
            errors.TransitioningError,
        ),
        (409, "Conflict", "The group already exists.", errors.AlreadyExistsError),
        (409, None, "", errors.InvalidRequestError),
        (409, "ANewConflict", "Something else.", errors.InvalidRequestError),
        (401, None, "", errors.AuthenticationError),
        (403, "NewRefusal", "", errors.AuthorizationError),
        (404, "InvalidResourceType", "", errors.NotFoundError),
        (429, None, "", errors.ThrottledError),
        (400, "Unheard", "", errors.InvalidRequestError),
        (418, None, "", errors.InvalidRequestError),
        (500, None, "", errors.ServiceError),
        (504, "Unheard", "", errors.ServiceError),
        (302, None, "", errors.ServiceError),
    ],
)
def test_message_and_status_decide_where_the_code_does_not(
    status: int, code: str | None, message: str, kind: Kind
) -> None:
    """A vague code, or none, is told by the service's words, then by the status."""
    assert kind is type(error_from(status, {}, body_of(code, message)))


@pytest.mark.corpus
def test_every_entry_of_the_catalogue_has_its_class(corpus: Path) -> None:
    """All transcribed errors become the class that their code stands for."""
    entries = json.loads((corpus / "wire" / "transcribed-excerpts.json").read_text())["errors"]
    by_message = {
        "ServiceUnavailable": (errors.CapacityError, errors.QuotaExceededError),
        None: (errors.DnsLabelError,),
    }
    seen: list[Kind] = []

    for entry in entries:
        status = entry["http"] or 400
        error = error_from(status, entry.get("headers", {}), {"error": entry}, what="try")
        expected = by_message.get(entry["code"]) or (CATALOGUE[entry["code"]],)
        assert type(error) in expected, entry
        assert (entry["code"], status) == (error.code, error.status)
        assert str(error).startswith(f"try: {entry['message']} [")
        seen.append(type(error))

    assert 29 == len(entries)
    assert {errors.CapacityError, errors.QuotaExceededError, errors.DnsLabelError} < set(seen)


@pytest.mark.corpus
def test_recorded_failures_have_their_class(corpus: Path) -> None:
    """Every failed reply of the recordings becomes an error of its own kind, never a bare one."""
    found: set[tuple[int, str]] = set()
    for path in sorted((corpus / "wire").glob("*.json")):
        for exchange in json.loads(path.read_text()).get("interactions", ()):
            if exchange["status"] >= 400 and exchange["response"]:
                error = error_from(exchange["status"], exchange["headers"], exchange["response"])
                assert CATALOGUE[str(error.code)] is type(error)
                found.add((error.status, str(error.code)))

    assert {(404, "ResourceNotFound"), (504, "GatewayTimeout")} < found


@pytest.mark.corpus
def test_a_recorded_failed_operation_is_a_lack_of_capacity(corpus: Path) -> None:
    """ACI's failed operation is an HTTP 200 whose error has no code; its event has the name."""
    excerpts = json.loads((corpus / "wire" / "transcribed-excerpts.json").read_text())
    body = excerpts["failed_operation_InsufficientCapacity_2024-11-29"]["body"]

    error = operation_error(body, what="create container group 'cg'")

    assert errors.CapacityError is type(error)
    assert (200, None) == (error.status, error.code)
    assert str(error).startswith("create container group 'cg': The requested resource is not")
    assert "[InsufficientCapacity, operation Failed]" in str(error)


def test_a_message_has_what_was_tried_the_words_the_code_and_a_way_out() -> None:
    """One error line says all that a reader needs, and the next one what to do."""
    error = error_from(
        409,
        {"X-Ms-Request-Id": "westus:1"},
        body_of("MissingSubscriptionRegistration", "Not registered."),
        what="create container group 'web'",
    )

    assert str(error).splitlines() == [
        "create container group 'web': Not registered. [MissingSubscriptionRegistration, HTTP 409]",
        "`az provider register --namespace Microsoft.ContainerInstance`",
    ]
    assert "westus:1" == error.request_id


def test_the_correlation_id_will_do() -> None:
    """ARM's own refusals may have no request id; the correlation id serves a support case too."""
    assert "c" == error_from(400, {"x-ms-correlation-request-id": "c"}, None).request_id
    assert error_from(400, {}, None).request_id is None


AUTHORIZATION = (
    "The client 'C' with object id 'O-1' does not have authorization to perform action "
    "'Microsoft.ContainerInstance/containerGroups/write' over scope '/subscriptions/s' or the scope "
    "is invalid. If access was recently granted, please refresh your credentials."
)
LINKED = (
    "The client has permission to perform action 'Microsoft.ContainerInstance/x/read' on scope '/y', "
    "however the current tenant 't' is not authorized to access linked subscription 'z'."
)


@pytest.mark.parametrize(
    ("code", "message", "action", "scope", "hint"),
    [
        (
            "AuthorizationFailed",
            AUTHORIZATION,
            "Microsoft.ContainerInstance/containerGroups/write",
            "/subscriptions/s",
            "--assignee O-1 --scope /subscriptions/s",
        ),
        (
            "LinkedAuthorizationFailed",
            LINKED,
            "Microsoft.ContainerInstance/x/read",
            "/y",
            "--assignee <object id> --scope /y",
        ),
        ("AuthorizationFailed", "perform action 'a/b'.", "a/b", None, "--scope <scope>"),
        ("AuthorizationFailed", "No.", None, None, "ask for a role"),
    ],
)
def test_a_refusal_names_the_missing_action(
    code: str, message: str, action: str | None, scope: str | None, hint: str
) -> None:
    """403: which action is missing, over what, and the command that would grant it."""
    error = error_from(403, {}, body_of(code, message))

    assert isinstance(error, errors.AuthorizationError)
    assert (action, scope) == (error.action, error.scope)
    assert hint in str(error)


def test_a_policy_is_named() -> None:
    """A policy's refusal names the policy, by whichever display name it has, once."""
    infos = [
        {"type": "PolicyViolation", "info": {"policyAssignmentDisplayName": "No public IPs"}},
        {"type": "PolicyViolation", "info": {"policyDefinitionDisplayName": "Tags please"}},
        {"type": "PolicyViolation", "info": {"policyAssignmentDisplayName": "No public IPs"}},
        {"type": "PolicyViolation", "info": {"policyDefinitionId": "/x"}},
    ]
    body = body_of("RequestDisallowedByPolicy", "Resource 'web' was disallowed by policy.")
    body["error"]["additionalInfo"] = infos

    assert "the policy is 'No public IPs', 'Tags please'" in str(error_from(403, {}, body))
    assert "an administrator" in str(
        error_from(403, {}, body_of("RequestDisallowedByPolicy", "Disallowed."))
    )


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({"Retry-After": "17"}, "", 17.0),
        ({"retry-after-ms": "250", "Retry-After": "1"}, "", 0.25),
        ({"x-ms-retry-after-ms": "1500"}, "", 1.5),
        (
            {
                "Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT",
                "Date": "Wed, 21 Oct 2026 07:27:30 GMT",
            },
            "",
            30.0,
        ),
        (
            {
                "Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT",
                "Date": "Wed, 21 Oct 2026 07:29:00 GMT",
            },
            "",
            0.0,
        ),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, "", None),
        ({"Retry-After": "soon"}, "", None),
        ({"Retry-After": "-1"}, "", None),
        ({"Retry-After": "nan"}, "", None),
        ({}, "Please try again after '372' seconds.", 372.0),
        ({"Retry-After": "3"}, "Please try again after '372' seconds.", 3.0),
        ({}, "", None),
    ],
)
def test_the_wait_that_arm_asks_for(
    headers: dict[str, str], message: str, seconds: float | None
) -> None:
    """In any of its spellings; a date counts from the server's own clock."""
    error = error_from(429, headers, body_of("TooManyRequests", message))

    assert seconds == error.retry_after


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        ({"code": "ScopeLocked", "message": "Locked."}, "Locked.", "ScopeLocked"),
        ({"Error": {"Code": "ScopeLocked", "Message": "Locked."}}, "Locked.", "ScopeLocked"),
        (
            {"error": "invalid_token", "error_description": "Expired."},
            "Expired.",
            "invalid_token",
        ),
        (
            {
                "error": {
                    "code": "ScopeLocked",
                    "message": "Two things.",
                    "details": [{"message": "One."}, {"message": "Two things."}, {}, None],
                }
            },
            "Two things. One.",
            "ScopeLocked",
        ),
        ("<html><title>502 Bad Gateway</title></html>", "is not ARM's: 502 Bad Gateway", None),
        ("upstream\nfailed", "the reply is not ARM's: upstream", None),
        ("  ", "ARM gave no reason for its 502", None),
        (None, "ARM gave no reason for its 502", None),
        ({}, "ARM gave no reason for its 502", None),
        ([], "ARM gave no reason for its 502", None),
        ({"error": {}}, "ARM gave no reason for its 502", None),
    ],
)
def test_any_shape_of_body_is_read(body: Any, message: str, code: str | None) -> None:
    """ARM's, older and proxies' shapes; where nothing is said, that is said."""
    error = error_from(502, {}, body)

    assert message in str(error)
    assert code == error.code
    assert body is error.body


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (
            {"status": "Failed", "error": {"code": "InaccessibleImage", "message": "No image."}},
            errors.ImageError,
            "No image. [InaccessibleImage, operation Failed]",
        ),
        ({"status": "Failed", "error": {"message": CAPACITY}}, errors.CapacityError, CAPACITY),
        (
            {
                "status": "Failed",
                "properties": {
                    "events": [
                        {"name": "FailedMount", "message": "No share.", "type": "Warning"},
                        {"name": "Started", "message": "Fine.", "type": "Normal"},
                    ]
                },
            },
            errors.ServiceError,
            "No share. [FailedMount, operation Failed]",
        ),
        ({"status": "Canceled"}, errors.ServiceError, "the operation ended as Canceled"),
        (
            {"properties": {"events": [None, {"type": "Warning"}]}},
            errors.ServiceError,
            "the operation ended as Failed [operation Failed]",
        ),
        (None, errors.ServiceError, "the operation ended as Failed"),
    ],
)
def test_a_failed_operation_is_read_from_what_it_has(body: Any, kind: Kind, said: str) -> None:
    """Code, else message, else the last warning event, else its status."""
    error = operation_error(body, headers={"x-ms-request-id": "r"})

    assert kind is type(error)
    assert said in str(error)
    assert (200, "r") == (error.status, error.request_id)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["error", "code", "message", "details", "properties", "events", "x"])
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(st.integers(100, 599), st.dictionaries(st.text(max_size=20), st.text(max_size=20)), JSON)
def test_no_body_is_too_odd(status: int, headers: dict[str, str], body: Any) -> None:
    """Whatever a server sends becomes an error with its status and a message; it never raises."""
    error = error_from(status, headers, body, what="try")

    assert status == error.status
    assert str(error).startswith("try: ")
    assert isinstance(operation_error(body), errors.ArmError)


@given(st.text(max_size=40))
def test_no_retry_after_is_too_odd(text: str) -> None:
    """An unreadable Retry-After is none; a readable one is never negative."""
    found = error_from(429, {"retry-after": text, "date": text}, None).retry_after

    assert found is None or found >= 0
