"""What other processes need to know of an endpoint that is served."""

from __future__ import annotations

from pathlib import Path

from attrs import field, frozen


__all__ = ["Facts"]


@frozen(kw_only=True)
class Facts:
    """
    A served endpoint, as the environment of another process is made from it.

    Attributes:
        url: Scheme, host and port: ``https://localhost:8443``.
        subscription_id: Its subscription.
        tenant_id: Its tenant.
        client_id: The application that may ask for tokens.
        client_secret: Its secret.
        identity_secret: What a request to the managed identity's page carries in ``X-IDENTITY-HEADER``.
        ca_file: A bundle of certificates: those that this machine trusts, and the endpoint's own CA.
        directory: A private directory (0700) that goes when the endpoint stops.
        own_ca_file: The endpoint's own CA alone, for clients that add to what they trust; ``None`` where
            only the bundle is there.
        proxy_url: The intercepting proxy, with the password that it wants:
            ``http://aciflow:PASSWORD@127.0.0.1:PORT``; ``None`` without one.
    """

    url: str
    subscription_id: str
    tenant_id: str
    client_id: str
    client_secret: str = field(repr=False)
    identity_secret: str = field(repr=False)
    ca_file: Path
    directory: Path
    own_ca_file: Path | None = None
    proxy_url: str | None = field(default=None, repr=False)
