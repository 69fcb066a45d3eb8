"""The environment in which another program finds the endpoint, trusts it and can sign in."""

from __future__ import annotations

import os

from collections.abc import Mapping
from urllib.parse import urlsplit

from aciflow.local.served import azure_cli
from aciflow.local.served.authority import INTERCEPTED
from aciflow.local.served.facts import Facts
from aciflow.local.served.identity import IDENTITY_PATH


__all__ = ["environ"]

_LOOPBACK = ("localhost", "127.0.0.1", "127.0.0.0/8", "::1")


def environ(facts: Facts, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """
    The variables to set for a child process; ``az``'s configuration is written on the way.

    Args:
        facts: The endpoint.
        environment: The child's environment so far, of which some is kept: hosts without a proxy,
            certificate authorities of Node's.

    Returns:
        What comes on top of ``environment``. It holds secrets, all of them the endpoint's own.
    """
    config = azure_cli.write(facts.directory / "azure", facts)
    bundle = str(facts.ca_file)
    authority = urlsplit(facts.url)
    found = {
        "ACIFLOW_TARGET": facts.url,
        # az
        "AZURE_CONFIG_DIR": str(config),
        "AZURE_CORE_INSTANCE_DISCOVERY": "false",
        # Trust: requests and so az; az's WebSockets; OpenSSL, httpx, aiohttp, Go and .NET; curl; Node
        "REQUESTS_CA_BUNDLE": bundle,
        "WEBSOCKET_CLIENT_CA_BUNDLE": bundle,
        "SSL_CERT_FILE": bundle,
        "CURL_CA_BUNDLE": bundle,
        "NODE_EXTRA_CA_CERTS": _node(facts, environment),
        # The SDKs' identity libraries
        "AZURE_TENANT_ID": facts.tenant_id,
        "AZURE_CLIENT_ID": facts.client_id,
        "AZURE_CLIENT_SECRET": facts.client_secret,
        "AZURE_SUBSCRIPTION_ID": facts.subscription_id,
        "AZURE_AUTHORITY_HOST": facts.url,
        "IDENTITY_ENDPOINT": f"{facts.url}{IDENTITY_PATH}",
        "IDENTITY_HEADER": facts.identity_secret,
        # Where Resource Manager is: no SDK reads it from a variable, but scripts do
        "AZURE_RESOURCE_MANAGER_URL": facts.url,
        # Terraform's and OpenTofu's azurerm
        "ARM_METADATA_HOSTNAME": authority.netloc,
        "ARM_TENANT_ID": facts.tenant_id,
        "ARM_CLIENT_ID": facts.client_id,
        "ARM_CLIENT_SECRET": facts.client_secret,
        "ARM_SUBSCRIPTION_ID": facts.subscription_id,
        "ARM_RESOURCE_PROVIDER_REGISTRATIONS": "none",
    }
    if facts.proxy_url is None:
        # EnvironmentCredential, the first that DefaultAzureCredential tries, would ask
        # login.microsoftonline.com whether it may trust AZURE_AUTHORITY_HOST, and fail.
        found["AZURE_TOKEN_CREDENTIALS"] = "ManagedIdentityCredential"  # noqa: S105 - a class's name
    else:
        # By its own name msal finds it in the proxy; of a host that it does not know it drops the port.
        found["AZURE_AUTHORITY_HOST"] = "https://login.microsoftonline.com"
        found["HTTPS_PROXY"] = found["https_proxy"] = facts.proxy_url
    direct = _no_proxy(environment, authority.hostname or "", intercept=facts.proxy_url is not None)
    found["NO_PROXY"] = found["no_proxy"] = direct
    return found


def _node(facts: Facts, environment: Mapping[str, str]) -> str:
    """Node adds these to its own roots; where the user has named some, the bundle has to hold them too."""
    theirs = environment.get("NODE_EXTRA_CA_CERTS")
    own = facts.own_ca_file or facts.ca_file
    if not theirs:
        return str(own)
    try:
        with open(theirs, encoding="utf-8") as file:  # noqa: PTH123 - as the user wrote it
            named = file.read()
    except OSError:
        return str(own)
    both = facts.directory / "node-ca.pem"
    both.write_text(f"{named.rstrip()}\n{own.read_text(encoding='utf-8')}", encoding="utf-8")
    return str(both)


def _no_proxy(environment: Mapping[str, str], host: str, *, intercept: bool) -> str:
    """
    Hosts that are reached directly: the user's, and the endpoint.

    An intercepted host must come by the proxy, so what would keep it away from there is left out.
    """
    given = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    theirs = [entry for entry in (part.strip() for part in given.split(",")) if entry]
    if intercept:
        theirs = [entry for entry in theirs if not any(_covers(entry, one) for one in INTERCEPTED)]
    own = [*_LOOPBACK, *([host] if host not in _LOOPBACK else [])]
    return ",".join(dict.fromkeys([*theirs, *own]))


def _covers(entry: str, host: str) -> bool:
    """Whether an entry of ``NO_PROXY`` means a host: all of them, itself or a domain that it is in."""
    name = entry.lower().lstrip("*").lstrip(".").partition(":")[0]
    return name in ("", host) or host.endswith(f".{name}")
