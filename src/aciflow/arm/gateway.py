"""The one gateway to ARM, sync. :mod:`aciflow.arm.aio_gateway` is its async twin."""

from __future__ import annotations

import threading

from collections.abc import Callable
from typing import Any

from azure.core.pipeline import Pipeline
from azure.core.rest import HttpRequest
from azure.mgmt.core import ARMPipelineClient
from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

from aciflow.arm import sdk
from aciflow.arm.credentials import source_of
from aciflow.arm.network import sync_client
from aciflow.arm.routes import require
from aciflow.arm.settings import ArmSettings
from aciflow.arm.transport import HttpxTransport
from aciflow.errors import AciflowError
from aciflow.flow.effects import ArmCall, ArmReply


__all__ = ["Gateway"]


class Gateway:
    """
    Carries out :class:`~aciflow.flow.effects.ArmCall` s through the azure SDKs.

    Safe to use from several threads. Nothing is connected or imported before it is needed.

    Args:
        settings: The endpoint and the principal.
    """

    def __init__(self, settings: ArmSettings) -> None:
        self._settings = settings
        self._source = source_of(settings.credential)
        self._lock = threading.Lock()
        self._pipeline: Any = None
        self._methods: dict[str, Callable[..., Any]] = {}
        self._clients: dict[str, Any] = {}

    def perform(self, call: ArmCall) -> ArmReply:
        """
        Send one request; no retries, no polling.

        Args:
            call: What is asked. Its timeout bounds the wait for a connection and for each part of the
                reply.

        Returns:
            The reply, with all pages of a list.

        Raises:
            ArmError: ARM refused, by its code.
            EndpointUnreachableError: No reply came.
            CredentialError: There is no token.
            ConfigurationError: A reply names a URL on another host.
            ValueError: The call lacks what its operation needs.
        """
        require(call)
        pages = [self._caught(call, self._start(call))]
        seen: set[str] = set()
        while (link := sdk.next_page(pages[-1])) is not None and link not in seen:
            seen.add(link)
            pages.append(self._caught(call, self._get(link)))
        return pages[0] if len(pages) == 1 else sdk.joined(pages)

    def authenticate(self) -> None:
        """
        Have a token, so that its time is not the first request's.

        Raises:
            CredentialError: There is none.
        """
        self._source.get_token(*self._settings.credential_scopes)

    def close(self) -> None:
        """Close the connections. It opens new ones if it is used again."""
        with self._lock:
            pipeline, self._pipeline = self._pipeline, None
            self._methods.clear()
            self._clients.clear()
        if pipeline is not None:
            pipeline.__exit__(None, None, None)

    def _caught(
        self, call: ArmCall, send: Callable[[dict[str, Any]], Any], *, again: bool = True
    ) -> ArmReply:
        # a token from memory may have been revoked, or be of an endpoint that began anew: then one
        # new token is tried
        remembered = again and self._source.cached(self._settings.credential_scopes) is not None
        caught: list[ArmReply] = []
        failure: Exception | None = None
        try:
            send(sdk.request_options(call, caught))
        except Exception as error:
            # With a reply in hand it is the SDK's reading of it that failed, and nobody needs that
            if (
                not caught
                and not isinstance(error, AciflowError)
                and not isinstance(error, sdk.NO_REPLY)
            ):
                raise
            failure = error
        # raised out here, so that no error carries the SDK's along, with the request and its token
        if isinstance(failure, AciflowError):
            failure.__cause__ = failure.__context__ = None
            raise failure
        if not caught:
            raise sdk.unreachable(call, self._settings, failure)
        if caught[-1].status == 401:
            self._source.forget()
            if remembered:
                return self._caught(call, send, again=False)
        return sdk.checked(call, caught[-1])

    def _start(self, call: ArmCall) -> Callable[[dict[str, Any]], Any]:
        if call.operation == "operation.get":
            return self._get(call.url or "")
        method = sdk.METHODS[call.operation]
        bound = self._methods.get(call.operation) or self._bind(call.operation, method)

        def send(options: dict[str, Any]) -> None:
            result = bound(*method.arguments(call), **options)
            if method.kind == "pages":
                next(result.by_page(), None)

        return send

    def _get(self, url: str) -> Callable[[dict[str, Any]], Any]:
        def send(options: dict[str, Any]) -> None:
            self._client("pipeline").send_request(HttpRequest("GET", url), **options)

        return send

    def _bind(self, operation: str, method: sdk.Method) -> Callable[..., Any]:
        group, name = method.path
        bound: Callable[..., Any] = getattr(getattr(self._client(method.client), group), name)
        self._methods[operation] = bound
        return bound

    def _client(self, name: str) -> Any:
        with self._lock:
            client = self._clients.get(name)
            if client is None:
                client = self._clients[name] = self._make(name)
            return client

    def _make(self, name: str) -> Any:
        settings = self._settings
        if self._pipeline is None:
            authentication: Any = ARMChallengeAuthenticationPolicy(
                self._source, *settings.credential_scopes
            )
            self._pipeline = Pipeline(
                HttpxTransport(sync_client(settings)), sdk.policies(settings, authentication)
            )
        if name == "pipeline":
            return ARMPipelineClient(settings.base_url, policies=[], pipeline=self._pipeline)
        options = sdk.client_options(settings, name)
        options.update(credential=self._source, pipeline=self._pipeline)
        if name == "containers":
            from azure.mgmt.containerinstance import ContainerInstanceManagementClient

            return ContainerInstanceManagementClient(**options)
        from azure.mgmt.resource.resources import ResourceManagementClient

        return ResourceManagementClient(**options)
