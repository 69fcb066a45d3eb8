"""What a cloud says of itself: ``/metadata/endpoints`` and OpenID's discovery documents."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit


__all__ = [
    "ARM_HOSTS",
    "CLOUD_NAME",
    "ENDPOINTS",
    "LOGIN_HOSTS",
    "SUFFIXES",
    "authority_of",
    "endpoints",
    "instances",
    "openid_configuration",
]

CLOUD_NAME = "AciflowLocal"
"""Of the cloud that az is registered with."""

ARM_HOSTS = ("management.azure.com", "management.core.windows.net")
"""The public cloud's Resource Manager, today's name and the one that it had first."""

LOGIN_HOSTS = (
    "login.microsoftonline.com",
    "login.windows.net",
    "login.microsoft.com",
    "sts.windows.net",
)
"""Entra's names in the public cloud, which are one another's aliases."""

# Those of the public cloud (azure.cli.core.cloud.AZURE_PUBLIC_CLOUD 2.91, and what
# https://management.azure.com/metadata/endpoints gives), but for the three that are ours. Nobody gets a
# token of this endpoint for one of the others, so nothing is ever sent there with one.
ENDPOINTS = {
    "portal": "https://portal.azure.com",
    "media": "https://rest.media.azure.net",
    "graph": "https://graph.windows.net/",
    "graphAudience": "https://graph.windows.net/",
    "gallery": "https://gallery.azure.com/",
    "batch": "https://batch.core.windows.net/",
    "vmImageAliasDoc": "https://azcliprod.blob.core.windows.net/cli/vm/aliases.json",
    "activeDirectoryDataLake": "https://datalake.azure.net/",
    "sqlManagement": "https://management.core.windows.net:8443/",
    "microsoftGraphResourceId": "https://graph.microsoft.com/",
    "appInsightsResourceId": "https://api.applicationinsights.io",
    "appInsightsTelemetryChannelResourceId": "https://dc.applicationinsights.azure.com/v2/track",
    "appServiceResourceId": "https://appservice.azure.com",
    "attestationResourceId": "https://attest.azure.net",
    "synapseAnalyticsResourceId": "https://dev.azuresynapse.net",
    "logAnalyticsResourceId": "https://api.loganalytics.io",
    "ossrdbmsResourceId": "https://ossrdbms-aad.database.windows.net",
    "ossrDbmsResourceId": "https://ossrdbms-aad.database.windows.net",
}

SUFFIXES = {
    "acrLoginServer": "azurecr.io",
    "attestationEndpoint": "attest.azure.net",
    "azureDataLakeAnalyticsCatalogAndJob": "azuredatalakeanalytics.net",
    "azureDataLakeStoreFileSystem": "azuredatalakestore.net",
    "azureFrontDoorEndpointSuffix": "azurefd.net",
    "keyVaultDns": "vault.azure.net",
    "mariadbServerEndpoint": "mariadb.database.azure.com",
    "mhsmDns": "managedhsm.azure.net",
    "mysqlServerEndpoint": "mysql.database.azure.com",
    "postgresqlServerEndpoint": "postgres.database.azure.com",
    "sqlServerHostname": "database.windows.net",
    "storage": "core.windows.net",
    "storageSyncEndpointSuffix": "afs.azure.net",
    "synapseAnalytics": "dev.azuresynapse.net",
}


def authority_of(base_url: str) -> str:
    """Where one signs in, as seen by who reached the endpoint at ``base_url``."""
    if urlsplit(base_url).hostname in ARM_HOSTS:
        return f"https://{LOGIN_HOSTS[0]}"
    return base_url


def endpoints(base_url: str, tenant_id: str, api_version: str) -> Any:
    """
    The body of ``/metadata/endpoints``.

    One cloud from 2022-09-01 on, a list of all clouds before (2019-05-01 to 2020-06-01), and four keys
    with 2015-01-01 and 2018-05-01, which is what each reader of them expects.

    Args:
        base_url: As the client reached the endpoint.
        tenant_id: The endpoint's.
        api_version: As asked for.
    """
    authentication = {
        "loginEndpoint": f"{authority_of(base_url)}/",
        "audiences": [f"{base_url}/"],
        "tenant": tenant_id,
        "identityProvider": "AAD",
    }
    if urlsplit(base_url).hostname in ARM_HOSTS:
        authentication["audiences"] = [f"https://{host}/" for host in reversed(ARM_HOSTS)]
    if api_version < "2019":
        return {
            "galleryEndpoint": ENDPOINTS["gallery"],
            "graphEndpoint": ENDPOINTS["graph"],
            "portalEndpoint": ENDPOINTS["portal"],
            "authentication": {
                name: authentication[name] for name in ("loginEndpoint", "audiences")
            },
        }
    cloud = {
        "name": CLOUD_NAME,
        "resourceManager": f"{base_url}/",
        "authentication": authentication,
        "suffixes": dict(SUFFIXES),
        **ENDPOINTS,
    }
    return cloud if api_version >= "2022" else [cloud]


def openid_configuration(authority: str, tenant: str, tenant_id: str, *, v2: bool) -> Any:
    """
    OpenID Connect's discovery document, with the members that Entra's has.

    Args:
        authority: Scheme and authority of the sign-in host.
        tenant: As asked for: an id, ``common`` or ``organizations``.
        tenant_id: The endpoint's.
        v2: For the v2.0 endpoints.
    """
    base = f"{authority}/{tenant}"
    version = "/v2.0" if v2 else ""
    return {
        "issuer": (
            f"{authority}/{tenant_id}/v2.0" if v2 else f"https://sts.windows.net/{tenant_id}/"
        ),
        "token_endpoint": f"{base}/oauth2{version}/token",
        "authorization_endpoint": f"{base}/oauth2{version}/authorize",
        "device_authorization_endpoint": f"{base}/oauth2{version}/devicecode",
        "end_session_endpoint": f"{base}/oauth2{version}/logout",
        "jwks_uri": f"{base}/discovery{version}/keys",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": ["token"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["HS256"],
        "scopes_supported": [".default"],
        "claims_supported": [
            "aud",
            "iss",
            "iat",
            "nbf",
            "exp",
            "appid",
            "oid",
            "sub",
            "tid",
            "ver",
        ],
        "request_uri_parameter_supported": False,
        "tenant_region_scope": None,
        "cloud_instance_name": urlsplit(authority).netloc,
    }


def instances(host: str, authority: str, tenant: str) -> Any:
    """
    Which sign-in hosts are the same one, for who asks before trusting one.

    Args:
        host: The one that was asked about.
        authority: Where its discovery document is.
        tenant: Of which the document is.
    """
    aliases = [host] if host not in LOGIN_HOSTS else list(LOGIN_HOSTS)
    return {
        "tenant_discovery_endpoint": f"{authority}/{tenant}/v2.0/.well-known/openid-configuration",
        "api-version": "1.1",
        "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": aliases}],
    }
