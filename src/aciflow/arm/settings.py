"""Where ARM is, and who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen


if TYPE_CHECKING:
    import ssl

    import httpx


__all__ = ["ArmSettings"]


@frozen(kw_only=True)
class ArmSettings:
    """
    One ARM endpoint as one principal sees it.

    Attributes:
        subscription_id: The subscription.
        base_url: Scheme and authority; nothing is ever sent to another one.
        credential: Object with ``get_token``, sync or async (the latter for the async gateway alone);
            ``None`` is the process's ``DefaultAzureCredential``.
        credential_scopes: What tokens are asked for.
        transport: The wire of the sync gateway; ``None`` is the network.
        async_transport: The wire of the async gateway; ``None`` is the network.
        api_version: Of Microsoft.ContainerInstance; ``None`` is aciflow's own choice, whatever the
            installed SDK's default is.
        verify: As in httpx. ``True`` also reads ``REQUESTS_CA_BUNDLE`` and ``CURL_CA_BUNDLE``.
    """

    subscription_id: str
    base_url: str = "https://management.azure.com"
    credential: Any = field(default=None, repr=False)
    credential_scopes: tuple[str, ...] = ("https://management.azure.com/.default",)
    transport: httpx.BaseTransport | None = None
    async_transport: httpx.AsyncBaseTransport | None = None
    api_version: str | None = None
    verify: bool | str | ssl.SSLContext = True
