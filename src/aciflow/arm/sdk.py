"""
What the two gateways share: which SDK method an operation is, and how a reply is caught.

The SDKs build, sign and send the requests. Their models are not used: bodies go in as bytes, and each
reply is caught in the pipeline as raw JSON, so every generation of the SDKs gives the same, and no
field is lost because an SDK is older than the service.
"""

from __future__ import annotations

import json

from collections.abc import Callable, Mapping
from typing import Any, Literal

from attrs import frozen
from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError
from azure.core.pipeline.policies import (
    ContentDecodePolicy,
    RequestIdPolicy,
    SansIOHTTPPolicy,
    UserAgentPolicy,
)

from aciflow.arm.errors import error_from
from aciflow.arm.routes import API_VERSION, NAMESPACE, describe, label, same_origin
from aciflow.arm.settings import ArmSettings
from aciflow.errors import ConfigurationError, EndpointUnreachableError
from aciflow.flow.effects import ArmCall, ArmReply


__all__ = [
    "METHODS",
    "NO_REPLY",
    "Catch",
    "Method",
    "checked",
    "client_options",
    "joined",
    "next_page",
    "policies",
    "request_options",
    "unreachable",
]


@frozen
class Method:
    """
    One method of an SDK.

    Attributes:
        client: ``containers`` is azure-mgmt-containerinstance, ``resources`` azure-mgmt-resource.
        path: Operation group and method.
        arguments: Positional ones, from the call.
        kind: ``lro`` methods are told not to poll; ``pages`` give an iterator.
    """

    client: Literal["containers", "resources"]
    path: tuple[str, str]
    arguments: Callable[[ArmCall], tuple[Any, ...]]
    kind: Literal["call", "lro", "pages"] = "call"


def _body(call: ArmCall) -> bytes:
    return json.dumps(call.body, separators=(",", ":")).encode()


def _named(call: ArmCall) -> tuple[Any, ...]:
    return call.resource_group, call.name


def _named_body(call: ArmCall) -> tuple[Any, ...]:
    return call.resource_group, call.name, _body(call)


def _in_group(call: ArmCall) -> tuple[Any, ...]:
    return (call.resource_group,)


def _at(call: ArmCall) -> tuple[Any, ...]:
    return (call.location,)


def _nothing(_: ArmCall) -> tuple[Any, ...]:
    return ()


def _provider(_: ArmCall) -> tuple[Any, ...]:
    return (NAMESPACE,)


def _group(
    method: str,
    arguments: Callable[[ArmCall], tuple[Any, ...]] = _named,
    kind: Literal["call", "lro", "pages"] = "call",
) -> Method:
    return Method("containers", ("container_groups", method), arguments, kind)


METHODS: Mapping[str, Method] = {
    "group.put": _group("begin_create_or_update", _named_body, "lro"),
    "group.get": _group("get"),
    "group.delete": _group("begin_delete", kind="lro"),
    "group.patch": _group("update", _named_body),
    "group.list": _group("list_by_resource_group", _in_group, "pages"),
    "group.list_all": _group("list", _nothing, "pages"),
    "group.start": _group("begin_start", kind="lro"),
    "group.stop": _group("stop"),
    "group.restart": _group("begin_restart", kind="lro"),
    "group.logs": Method(
        "containers",
        ("containers", "list_logs"),
        lambda call: (call.resource_group, call.name, call.container),
    ),
    "container.exec": Method(
        "containers",
        ("containers", "execute_command"),
        lambda call: (call.resource_group, call.name, call.container, _body(call)),
    ),
    "container.attach": Method(
        "containers",
        ("containers", "attach"),
        lambda call: (call.resource_group, call.name, call.container),
    ),
    "rg.put": Method(
        "resources",
        ("resource_groups", "create_or_update"),
        lambda call: (call.resource_group, _body(call)),
    ),
    "rg.get": Method("resources", ("resource_groups", "get"), _in_group),
    "rg.delete": Method("resources", ("resource_groups", "begin_delete"), _in_group, "lro"),
    "rg.resources": Method(
        "resources", ("resources", "list_by_resource_group"), _in_group, "pages"
    ),
    "provider.get": Method("resources", ("providers", "get"), _provider),
    "provider.register": Method("resources", ("providers", "register"), _provider),
    "location.usages": Method("containers", ("location", "list_usage"), _at, "pages"),
    "location.capabilities": Method("containers", ("location", "list_capabilities"), _at, "pages"),
}

_CAUGHT = "aciflow_caught"


class Catch(SansIOHTTPPolicy[Any, Any]):
    """
    Keeps requests on the endpoint, and gives each reply to who asked.

    It comes before the policy that adds the token: a URL in a reply (an operation, a next page) that
    names another host never sees one. In place of the SDK's decoder it leaves an empty document for the
    older SDKs' models, which nobody reads.

    Args:
        base_url: The endpoint.
    """

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._prefix = base_url.rstrip("/") + "/"

    def on_request(self, request: Any) -> None:
        """
        Look at the URL, and remember who asked.

        Raises:
            ConfigurationError: The URL is not the endpoint's.
        """
        url = request.http_request.url
        if not url.startswith(self._prefix) and not same_origin(url, self._base_url):
            raise ConfigurationError(
                f"a reply of {label(self._base_url)} names a URL on {label(url)}, "
                "and the token of one is not sent to another"
            )
        request.context[_CAUGHT] = request.context.options.pop(_CAUGHT)

    def on_response(self, request: Any, response: Any) -> None:
        """Hand the reply over."""
        http = response.http_response.internal_response
        response.context[ContentDecodePolicy.CONTEXT_NAME] = {"value": []}
        headers = {name.lower(): value for name, value in http.headers.items()}
        reply = ArmReply(status=http.status_code, body=_parse(http.content), headers=headers)
        request.context[_CAUGHT].append(reply)


def _parse(content: bytes) -> Any:
    """JSON; where it is none (a proxy's page), the text."""
    if not content:
        return None
    try:
        return json.loads(content)
    except ValueError:
        return content.decode("utf-8", "replace")


def policies(settings: ArmSettings, authentication: Any) -> list[Any]:
    """
    The pipeline of every request.

    No retries and no registration of providers (both are the flow's, on its clock), no redirects (ARM
    has none, and they would carry the token), no logging of bodies.
    """
    return [
        RequestIdPolicy(),
        UserAgentPolicy(base_user_agent="aciflow", sdk_moniker="aciflow"),
        Catch(settings.base_url),
        authentication,
    ]


def client_options(settings: ArmSettings, client: str) -> dict[str, Any]:
    """Keywords of an SDK client's constructor."""
    options: dict[str, Any] = {
        "subscription_id": settings.subscription_id,
        "base_url": settings.base_url,
        "credential_scopes": list(settings.credential_scopes),
    }
    if client == "containers":
        # the wire stays what it is when the installed SDK changes
        options["api_version"] = settings.api_version or API_VERSION
    return options


def request_options(call: ArmCall, caught: list[ArmReply]) -> dict[str, Any]:
    """Keywords of an SDK method, beside its arguments."""
    options: dict[str, Any] = {_CAUGHT: caught, "read_timeout": call.timeout}
    method = METHODS.get(call.operation)
    if method is not None and method.kind == "lro":
        options["polling"] = False
    if call.operation == "group.logs":
        if call.tail is not None:
            options["tail"] = call.tail
        if call.timestamps:
            options["timestamps"] = True
    if call.operation in ("group.put", "group.patch", "rg.put", "container.exec"):
        options["content_type"] = "application/json"
    return options


def checked(call: ArmCall, reply: ArmReply) -> ArmReply:
    """
    The reply, if it is a success.

    The status counts, not what the SDK made of it: a 2xx that this SDK does not know is a success too.

    Raises:
        ArmError: By ARM's code.
    """
    if 200 <= reply.status < 300:
        return reply
    raise error_from(reply.status, reply.headers, reply.body, what=describe(call))


def next_page(page: ArmReply) -> str | None:
    """Where a list goes on, or ``None``."""
    body = page.body
    link = body.get("nextLink") if isinstance(body, dict) else None
    return link if isinstance(link, str) and link else None


def joined(pages: list[ArmReply]) -> ArmReply:
    """One reply with all pages in ``value``."""
    last = pages[-1]
    bodies = [page.body for page in pages if isinstance(page.body, dict)]
    value = [item for body in bodies for item in body.get("value") or ()]
    return ArmReply(status=last.status, body={"value": value}, headers=last.headers)


def unreachable(
    call: ArmCall, settings: ArmSettings, error: BaseException | None
) -> EndpointUnreachableError:
    """
    The error for a request that got no reply.

    Its cause is the operating system's error alone: those of httpx and azure-core hold the request, and
    the request holds the token.
    """
    root = _root(error or ConnectionError("no reply"))
    host = label(settings.base_url)
    text = str(root) or type(root).__name__
    if isinstance(error, ServiceResponseError):
        said = f"{host} broke off or did not reply in time: {text}"
    elif isinstance(error, TimeoutError):
        said = f"{host} did not reply in time"
    else:
        said = f"{host} cannot be reached: {text}"
    found = EndpointUnreachableError(f"{describe(call)}: {said}{_hint(text)}")
    found.sent = not isinstance(error, ServiceRequestError)
    if isinstance(root, OSError):
        found.__cause__ = root.with_traceback(None)
    return found


def _root(error: BaseException) -> BaseException:
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    return error


def _hint(text: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "\nuntrusted certificate: name its issuer's in REQUESTS_CA_BUNDLE or SSL_CERT_FILE"
    if "407" in text or "proxy" in text.lower():
        return "\nthe proxy of HTTPS_PROXY refused; NO_PROXY names hosts that need none"
    return ""


#: What a transport raises where there is no reply.
NO_REPLY: tuple[type[AzureError], ...] = (ServiceRequestError, ServiceResponseError)
