"""
ARM's error bodies as aciflow's errors.

Pure. By ARM's *code*, then by the message where the code says nothing (``ServiceUnavailable`` is a full
region, a used-up quota or an outage; a failed operation has no code at all), and by the HTTP status
last.
The catalogue comes from recorded traffic, Microsoft's troubleshooting articles (container-instances,
azure-resource-manager) and users' reports.
"""

from __future__ import annotations

import re

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from aciflow import errors


__all__ = ["error_from", "operation_error"]

_CODES: Mapping[type[errors.ArmError], tuple[str, ...]] = {
    errors.AuthenticationError: (
        "InvalidAuthenticationToken",
        "InvalidAuthenticationTokenTenant",
        "InvalidAuthenticationTokenAudience",
        "ExpiredAuthenticationToken",
        "AuthenticationFailed",
        "AuthenticationFailedMissingToken",
    ),
    errors.AuthorizationError: (
        "AuthorizationFailed",
        "LinkedAuthorizationFailed",
        "LinkedAccessCheckFailed",
        "Forbidden",
    ),
    errors.PolicyDeniedError: ("RequestDisallowedByPolicy", "RequestDisallowedByAzure"),
    errors.LockedError: ("ScopeLocked",),
    errors.NotFoundError: (
        "ResourceNotFound",
        "ContainerGroupNotFound",
        "ContainerNotFound",
        "ResourceGroupNotFound",
        "SubscriptionNotFound",
        "NotFound",
    ),
    errors.AlreadyExistsError: (
        "ResourceAlreadyExists",
        "ResourceGroupAlreadyExists",
        "InvalidResourceGroupLocation",
        "InvalidResourceLocation",
    ),
    errors.NotRegisteredError: ("MissingSubscriptionRegistration", "SubscriptionNotRegistered"),
    errors.QuotaExceededError: (
        "ContainerGroupQuotaReached",
        "QuotaExceeded",
        "ResourceQuotaExceeded",
    ),
    errors.CapacityError: (
        "InsufficientCapacity",
        "AllocationFailed",
        "ZonalAllocationFailed",
        "SkuNotAvailable",
    ),
    errors.RegionUnavailableError: (
        "LocationNotAvailableForResourceType",
        "LocationNotAvailableForResourceGroup",
        "NoRegisteredProviderFound",
    ),
    errors.TransitioningError: (
        "ContainerGroupTransitioning",
        "ContainerGroupDeploymentNotReady",
        "ResourceGroupBeingDeleted",
        "AnotherOperationInProgress",
    ),
    errors.DnsLabelError: ("DnsNameLabelAlreadyTaken", "InvalidDnsNameLabel", "DnsRecordInUse"),
    errors.ImageError: ("InaccessibleImage", "RegistryErrorResponse", "OsVersionNotSupported"),
    errors.ThrottledError: (
        "TooManyRequests",
        "ResourceRequestsThrottled",
        "SubscriptionRequestsThrottled",
        "OperationThrottled",
        "RequestThrottled",
    ),
    errors.ServiceError: ("InternalServerError", "GatewayTimeout", "ServerTimeout"),
}
_BY_CODE = {code.lower(): kind for kind, codes in _CODES.items() for code in codes}

#: For replies whose code says nothing, or that have none.
_BY_MESSAGE: tuple[tuple[re.Pattern[str], type[errors.ArmError]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (r"\bquota '[^']*' exceeded|exceed\w* .*\bquota\b", errors.QuotaExceededError),
        (r"not available in the location|insufficient capacity", errors.CapacityError),
        (r"dns name label", errors.DnsLabelError),
        (r"the image '[^']*' .*not accessible|failed to pull image", errors.ImageError),
        (r"docker registry '[^']*'", errors.ImageError),
        (r"still transitioning|container group is not ready", errors.TransitioningError),
        (r"not registered to use namespace", errors.NotRegisteredError),
        (r"already exists", errors.AlreadyExistsError),
    )
)
_VAGUE = frozenset({"", "badrequest", "conflict", "serviceunavailable", "invalidparameter"})

#: Not 409: it means five different things, and a conflict that is not known need not be a name's.
_BY_STATUS: Mapping[int, type[errors.ArmError]] = {
    401: errors.AuthenticationError,
    403: errors.AuthorizationError,
    404: errors.NotFoundError,
    429: errors.ThrottledError,
}

_HINTS: Mapping[type[errors.ArmError], str] = {
    errors.AuthenticationError: (
        "the token was refused: sign in again (az login), and to the subscription's own tenant"
    ),
    errors.PolicyDeniedError: "an administrator set this policy; change what it objects to, or ask",
    errors.LockedError: "see `az lock list` for the lock, and who may remove it",
    errors.NotRegisteredError: "`az provider register --namespace Microsoft.ContainerInstance`",
    errors.QuotaExceededError: (
        "use another location, delete container groups, or ask for more in the portal (Quotas); "
        "`aciflow doctor` shows what is used"
    ),
    errors.CapacityError: "another location, fewer CPUs or less memory may have room now",
    errors.RegionUnavailableError: "choose one of the locations that the message lists",
    errors.TransitioningError: "it is busy; the same request works once it is done",
    errors.DnsLabelError: "choose another dns_label, or a dns_scope that makes it unique",
    errors.ImageError: "check the image's name and tag, its platform, and registry=",
    errors.ThrottledError: "wait as long as ARM says, and ask less often",
    errors.AlreadyExistsError: "choose another name, or the location that it already has",
}


@frozen
class _Said:
    """What a body says, whatever its shape."""

    code: str | None
    message: str


def error_from(
    status: int, headers: Mapping[str, str], body: Any, *, what: str = ""
) -> errors.ArmError:
    """
    The error for a reply that is no success.

    Args:
        status: HTTP status.
        headers: Of the reply; any case.
        body: Its JSON, or its text, or ``None``.
        what: What was tried, for the message: ``create container group 'web'``.

    Returns:
        An error of the class that its code belongs to; it is not raised.
    """
    said = _read(body)
    message = said.message or _bare(status, body)
    kind = _kind(status, said.code, message)
    bracket = f"{said.code}, HTTP {status}" if said.code else f"HTTP {status}"
    return _make(kind, status, headers, body, said.code, message, bracket, what)


def operation_error(
    body: Any, *, what: str = "", headers: Mapping[str, str] | None = None
) -> errors.ArmError:
    """
    The error for a long-running operation that failed: an HTTP 200 whose ``status`` says so.

    ACI gives its ``error`` a message and no code; the name of its last warning event
    (``InsufficientCapacity.``, with the full stop) says as much.

    Args:
        body: The operation resource.
        what: What was tried.
        headers: Of the reply, for the request's id.
    """
    said = _read(body)
    ended = str(_get(body, "status") or "Failed")
    names, messages = _warnings(body)
    message = said.message or next(iter(messages), "") or f"the operation ended as {ended}"
    hint = said.code or next((name for name in names if name.lower() in _BY_CODE), None)
    kind = _kind(200, hint, message)
    label = said.code or next(iter(names), None)
    bracket = f"{label}, operation {ended}" if label else f"operation {ended}"
    return _make(kind, 200, headers or {}, body, said.code, message, bracket, what)


def _kind(status: int, code: str | None, message: str) -> type[errors.ArmError]:
    plain = (code or "").strip(" .").lower()
    if (kind := _BY_CODE.get(plain)) is not None:
        return kind
    if plain in _VAGUE:
        for pattern, kind in _BY_MESSAGE:
            if pattern.search(message):
                return kind
    if plain == "serviceunavailable":
        return errors.ServiceError
    if plain.endswith("throttled"):
        return errors.ThrottledError
    if (kind := _BY_STATUS.get(status)) is not None:
        return kind
    return errors.InvalidRequestError if 400 <= status < 500 else errors.ServiceError


def _make(
    kind: type[errors.ArmError],
    status: int,
    headers: Mapping[str, str],
    body: Any,
    code: str | None,
    message: str,
    bracket: str,
    what: str,
) -> errors.ArmError:
    lower = {name.lower(): value for name, value in headers.items()}
    action, scope, principal = _refused(message)
    hint = _HINTS.get(kind, "")
    if kind is errors.AuthorizationError:
        hint = _grant(action, scope, principal)
    elif kind is errors.PolicyDeniedError and (names := _policies(body)):
        hint = f"the policy is {', '.join(names)}; {hint}"
    parts = [f"{what}: " if what else "", message, f" [{bracket}]", f"\n{hint}" if hint else ""]
    found = kind(
        "".join(parts),
        status=status,
        code=code,
        arm_message=message,
        request_id=lower.get("x-ms-request-id") or lower.get("x-ms-correlation-request-id"),
        retry_after=_retry_after(lower, message),
        body=body,
    )
    if isinstance(found, errors.AuthorizationError):
        found.action, found.scope = action, scope
    return found


# --- reading ----------------------------------------------------------------------------------


def _get(value: Any, name: str) -> Any:
    """A member of a JSON object, in whichever case its writer used."""
    if not isinstance(value, dict):
        return None
    return next((member for key, member in value.items() if str(key).lower() == name), None)


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _read(body: Any) -> _Said:
    error = _get(body, "error")
    if isinstance(error, str):  # OAuth's shape: {"error": code, "error_description": message}
        return _Said(error, _text(_get(body, "error_description")))
    inner = error if isinstance(error, dict) else body if _get(body, "message") else None
    message, code = _text(_get(inner, "message")), _text(_get(inner, "code"))
    details = _get(inner, "details")
    more = tuple(
        text
        for detail in (details if isinstance(details, list) else ())
        if (text := _text(_get(detail, "message"))) and text not in message
    )
    if more:
        message = " ".join([message, *more]).strip()
    return _Said(code or None, message)


_TITLE = re.compile(r"<title[^>]*>([^<]*)</title>", re.IGNORECASE)


def _bare(status: int, body: Any) -> str:
    """A message for a body that has none: a proxy's page, or nothing."""
    if isinstance(body, str) and body.strip():
        title = _TITLE.search(body)
        line = title.group(1) if title else body.strip().splitlines()[0]
        return f"the reply is not ARM's: {line.strip()[:200]}"
    return f"ARM gave no reason for its {status}"


def _warnings(body: Any) -> tuple[list[str], list[str]]:
    """Names and messages of an operation's events, the last first."""
    events = _get(_get(body, "properties"), "events")
    found = reversed(events) if isinstance(events, list) else ()
    bad = [event for event in found if _text(_get(event, "type")).lower() != "normal"]
    names = [name for event in bad if (name := _text(_get(event, "name")).strip(" ."))]
    return names, [text for event in bad if (text := _text(_get(event, "message")))]


_ACTION = re.compile(r"perform action '([^']+)'")
_SCOPE = re.compile(r"(?:over|on) scope '([^']+)'")
_PRINCIPAL = re.compile(r"object id '([^']+)'")


def _refused(message: str) -> tuple[str | None, str | None, str | None]:
    found = (pattern.search(message) for pattern in (_ACTION, _SCOPE, _PRINCIPAL))
    action, scope, principal = (match.group(1) if match else None for match in found)
    return action, scope, principal


def _grant(action: str | None, scope: str | None, principal: str | None) -> str:
    if action is None:
        return "ask for a role that allows this"
    who = principal or "<object id>"
    where = scope or "<scope>"
    return (
        f"needs a role with {action}, such as Contributor: "
        f"`az role assignment create --role Contributor --assignee {who} --scope {where}`"
    )


def _policies(body: Any) -> list[str]:
    """Display names of the policies that ``error.additionalInfo`` lists."""

    def names() -> Iterator[str]:
        infos = _get(_get(body, "error"), "additionalinfo")
        for entry in infos if isinstance(infos, list) else ():
            info = _get(entry, "info")
            for field in ("policyassignmentdisplayname", "policydefinitiondisplayname"):
                if name := _text(_get(info, field)):
                    yield repr(name)
                    break

    return list(dict.fromkeys(names()))


_AGAIN_AFTER = re.compile(r"try again (?:after|in) '?(\d+)'? seconds", re.IGNORECASE)


def _retry_after(headers: Mapping[str, str], message: str) -> float | None:
    """Seconds to wait: a header's, in its several spellings, or the message's."""
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        if (value := _number(headers.get(name))) is not None:
            return value / 1000
    text = headers.get("retry-after")
    if (value := _number(text)) is not None:
        return value
    if text and (until := _date(text)) is not None:
        now = _date(headers.get("date", ""))
        return max(0.0, until - now) if now is not None else None
    found = _AGAIN_AFTER.search(message)
    return float(found.group(1)) if found else None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def _date(text: str) -> float | None:
    from email.utils import parsedate_to_datetime  # brings sockets along, and is rarely needed

    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
