"""
Signing in at the endpoint: what Entra and the instance metadata service are on Azure.

Pure. Everything here is answered without a token, and nothing else is: how the cloud is laid out, the
token endpoint for an application with its secret, and a managed identity for who knows the header's
secret. Errors have Entra's status, code and form
(https://learn.microsoft.com/entra/identity-platform/reference-error-codes), and say after the code what
can be done here.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import time

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from attrs import field, frozen

from aciflow.local.protocol import Reply, Request
from aciflow.local.served import metadata
from aciflow.local.served.sockets import is_loopback
from aciflow.local.service import new_id
from aciflow.local.tokens import LIFETIME, Tokens


__all__ = ["IDENTITY_PATH", "Identity"]

IDENTITY_PATH = "/msi/token"
"""Of the managed identity: the path of ``IDENTITY_ENDPOINT``, as App Service has it."""

_OF_OPENID = ("openid", "offline_access", "profile", "email")
"""Scopes that MSAL for Go asks for whatever the grant; Entra gives an application none of them."""

_ANY_TENANT = ("common", "organizations")
_NO_STORE = {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"}
_MOST_FIELDS = 64


class _DeniedError(Exception):
    """Becomes Entra's error body."""

    def __init__(self, status: int, error: str, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.code = code
        self.message = message


@frozen
class Identity:
    """
    The endpoint's one application, in its one tenant.

    Attributes:
        tokens: What issues the tokens that the endpoint accepts.
        tenant_id: The tenant.
        subscription_id: The subscription.
        client_id: The application.
        client_secret: Its secret. Not in the repr.
        mi_secret: What who asks for the managed identity's token must know. Not in the repr.
        new_id: Gives ids of traces.
    """

    tokens: Tokens = field(repr=False)
    tenant_id: str = field(kw_only=True)
    subscription_id: str = field(kw_only=True)
    client_id: str = field(kw_only=True)
    client_secret: str = field(kw_only=True, repr=False)
    mi_secret: str = field(kw_only=True, repr=False)
    new_id: Callable[[], str] = field(kw_only=True, repr=False, default=new_id)

    def answer(self, request: Request) -> Reply | None:
        """
        Answer a request that needs no token.

        Args:
            request: Any request; the form of a token request is its body.

        Returns:
            ``None`` for everything else, which then needs one.
        """
        segments = [segment for segment in request.path.split("/") if segment]
        lower = [segment.lower() for segment in segments]
        if not segments:
            return None
        try:
            if lower == ["metadata", "endpoints"]:
                return self._metadata(request)
            if "/" + "/".join(lower) == IDENTITY_PATH:
                return self._managed_identity(request)
            if lower[0] in ("subscriptions", "providers", "tenants", "metadata"):
                return None  # ARM's own, of which none looks like what follows
            return self._sign_in(request, segments[0], lower[1:])
        except _DeniedError as denied:
            return self._denied(request, denied)

    # --- the cloud ---------------------------------------------------------------------------

    def _metadata(self, request: Request) -> Reply:
        if request.method != "GET":
            return _reply(405, {"error": _arm_error("MethodNotAllowed", "Only GET is supported.")})
        version = request.query.get("api-version", "")
        if not version:
            said = "The api-version query parameter (?api-version=) is required for all requests."
            return _reply(400, {"error": _arm_error("MissingApiVersionParameter", said)})
        return _reply(200, metadata.endpoints(request.base_url, self.tenant_id, version))

    def _sign_in(self, request: Request, tenant: str, page: list[str]) -> Reply | None:
        read = request.method == "GET"
        authority = metadata.authority_of(request.base_url)
        if page == ["discovery", "instance"]:
            return self._instances(request, authority) if read else None
        if page[-2:] == [".well-known", "openid-configuration"] and page[:-2] in ([], ["v2.0"]):
            if not read:
                return None
            self._check_tenant(tenant)
            document = metadata.openid_configuration(
                authority, tenant, self.tenant_id, v2=page[0] == "v2.0"
            )
            return _reply(200, document)
        if page in (["discovery", "keys"], ["discovery", "v2.0", "keys"]):
            # Signed with a secret: there is no public key to check them with.
            return _reply(200, {"keys": []}) if read else None
        if page in (["oauth2", "token"], ["oauth2", "v2.0", "token"]):
            if request.method != "POST":
                raise _DeniedError(
                    400,
                    "invalid_request",
                    900561,
                    "The endpoint only accepts POST requests. Received a "
                    f"{request.method} request.",
                )
            return self._token(request, tenant, v2="v2.0" in page)
        if page[:1] == ["oauth2"]:
            raise _DeniedError(
                400,
                "invalid_request",
                50059,
                "Nobody can sign in at the local endpoint interactively: it has one application, "
                "with a secret (AZURE_CLIENT_ID, AZURE_CLIENT_SECRET).",
            )
        return None

    def _instances(self, request: Request, own: str) -> Reply:
        asked = request.query.get("authorization_endpoint", "")
        try:
            parts = urlsplit(asked)
        except ValueError:
            parts = urlsplit("")
        host = parts.hostname
        if (
            f"https://{parts.netloc}" != own
            and host not in metadata.LOGIN_HOSTS
            and not (host is not None and is_loopback(host))
        ):
            raise _DeniedError(
                400, "invalid_instance", 50049, f"Unknown or invalid instance {host or asked!r}."
            )
        tenant = parts.path.strip("/").split("/")[0] or "common"
        # MSAL leaves the port out when it asks, so what it goes on with is at the host that it asked.
        return _reply(200, metadata.instances(parts.netloc, own, tenant))

    def _check_tenant(self, tenant: str) -> None:
        if tenant.lower() in (self.tenant_id.lower(), *_ANY_TENANT):
            return
        raise _DeniedError(
            400,
            "invalid_tenant",
            90002,
            f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are "
            "signing into the correct cloud. Check with your subscription administrator, this may "
            "happen if there are no active subscriptions for the tenant.",
        )

    # --- tokens ------------------------------------------------------------------------------

    def _token(self, request: Request, tenant: str, *, v2: bool) -> Reply:
        form = _form(request)
        grant = _need(form, "grant_type")
        self._check_tenant(tenant)
        if grant != "client_credentials":
            raise _DeniedError(
                400,
                "unsupported_grant_type",
                70003,
                f"The app requested an unsupported grant type '{grant}'. The local endpoint has "
                "'client_credentials'.",
            )
        self._check_client(form)
        if v2:
            scopes = _need(form, "scope")
            asked = [scope for scope in scopes.split() if scope not in _OF_OPENID]
            if len(asked) != 1 or not asked[0].endswith("/.default"):
                raise _DeniedError(
                    400,
                    "invalid_scope",
                    1002012,
                    f"The provided value for scope {scopes} is not valid. Client credential flows "
                    "must have a scope value with /.default suffixed to the resource identifier "
                    "(application ID URI).",
                )
            audience = asked[0].removesuffix("/.default")
        else:
            audience = _need(form, "resource")
        return self._issued(request, audience, v2=v2)

    def _check_client(self, form: Mapping[str, str]) -> None:
        client = _need(form, "client_id")
        if not _same(client.lower(), self.client_id.lower()):
            raise _DeniedError(
                400,
                "unauthorized_client",
                700016,
                f"Application with identifier '{client}' was not found in the directory "
                f"'{self.tenant_id}'. This can happen if the application has not been installed by "
                "the administrator of the tenant or consented to by any user in the tenant. You may "
                "have sent your authentication request to the wrong tenant.",
            )
        if "client_assertion" in form:
            raise _DeniedError(
                401,
                "invalid_client",
                700027,
                "The certificate used to sign the client assertion is not registered on "
                "application. The local endpoint's has a secret: 'client_secret'.",
            )
        if "client_secret" not in form:
            raise _DeniedError(
                401,
                "invalid_client",
                7000216,
                "'client_assertion', 'client_secret' or 'request' is required for the "
                "'client_credentials' grant type.",
            )
        if not _same(form["client_secret"], self.client_secret):
            raise _DeniedError(
                401,
                "invalid_client",
                7000215,
                "Invalid client secret provided. Ensure the secret being sent in the request is the "
                "client secret value, not the client secret ID, for a secret added to app "
                f"'{self.client_id}'.",
            )

    def _issued(self, request: Request, audience: str, *, v2: bool) -> Reply:
        self._check_audience(request, audience)
        token = self.tokens.issue(audience=audience, client_id=self.client_id)
        body: dict[str, Any] = {
            "token_type": "Bearer",
            "expires_in": LIFETIME - 1,
            "ext_expires_in": LIFETIME - 1,
        }
        if not v2:  # numbers were strings then
            body = {name: str(value) for name, value in body.items()}
            body["expires_on"] = str(token.expires_on)
            body["not_before"] = str(token.expires_on - LIFETIME)
            body["resource"] = audience
        return _reply(200, {**body, "access_token": token.token}, _NO_STORE)

    def _check_audience(self, request: Request, audience: str) -> None:
        """Tokens are for this endpoint's Resource Manager, under any of its names."""
        try:
            host = urlsplit(audience).hostname
        except ValueError:
            host = None
        own = urlsplit(request.base_url).hostname
        if host is not None and (host in metadata.ARM_HOSTS or host == own or is_loopback(host)):
            return
        raise _DeniedError(
            400,
            "invalid_resource",
            500011,
            f"The resource principal named {audience} was not found in the tenant named "
            f"{self.tenant_id}. The local endpoint has Resource Manager alone.",
        )

    def _managed_identity(self, request: Request) -> Reply:
        given = request.headers.get("x-identity-header", "")
        if not _same(given, self.mi_secret):
            return _reply(
                401, {"statusCode": 401, "message": "X-IDENTITY-HEADER is missing or wrong."}
            )
        chosen = {"client_id", "principal_id", "object_id", "mi_res_id"} & request.query.keys()
        if chosen and request.query.get("client_id", "").lower() != self.client_id.lower():
            return _reply(
                400, {"statusCode": 400, "message": "No managed identity is found for it."}
            )
        resource = request.query.get("resource", "").removesuffix("/.default")
        if request.method != "GET" or not resource:
            return _reply(400, {"statusCode": 400, "message": "GET, with resource=, is needed."})
        try:
            reply = self._issued(request, resource, v2=False)
        except _DeniedError as denied:
            return _reply(denied.status, {"statusCode": denied.status, "message": denied.message})
        return _reply(200, {**reply.body, "client_id": self.client_id}, _NO_STORE)

    def _denied(self, request: Request, denied: _DeniedError) -> Reply:
        trace = self.new_id()
        correlation = request.headers.get("client-request-id") or self.new_id()
        at = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(self.tokens.now()))
        said = (
            f"AADSTS{denied.code}: {denied.message} Trace ID: {trace} "
            f"Correlation ID: {correlation} Timestamp: {at}"
        )
        body = {
            "error": denied.error,
            "error_description": said,
            "error_codes": [denied.code],
            "timestamp": at,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"{metadata.authority_of(request.base_url)}/error?code={denied.code}",
        }
        return _reply(denied.status, body, _NO_STORE)


def _reply(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
    content = {"Content-Type": "application/json; charset=utf-8"}
    return Reply(status=status, body=body, headers={**content, **(headers or {})})


def _arm_error(code: str, message: str) -> dict[str, str]:
    return {"code": code, "message": message}


def _same(given: str, wanted: str) -> bool:
    """Compared in a time that tells nothing of where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _need(form: Mapping[str, str], name: str) -> str:
    if value := form.get(name):
        return value
    raise _DeniedError(
        400,
        "invalid_request",
        900144,
        f"The request body must contain the following parameter: '{name}'.",
    )


def _form(request: Request) -> dict[str, str]:
    """The fields of a form, and of the header that may hold the application and its secret."""
    try:
        pairs = parse_qsl(request.body.decode(), max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise _DeniedError(
            400, "invalid_request", 9000410, "Malformed request: the body is not a form."
        ) from None
    form: dict[str, str] = {}
    for name, value in pairs:
        form.setdefault(name, value)
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":  # RFC 6749, 2.3.1
        try:
            client, _, secret = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            client = secret = ""
        form.setdefault("client_id", unquote_plus(client))
        form.setdefault("client_secret", unquote_plus(secret))
    return form
