"""
A configuration of ``az`` in which the endpoint is registered as a cloud and the application is logged in.

The files are written as azure-cli 2.91 writes and reads them, without running it: ``az cloud register``,
``az cloud set``, ``az login --service-principal`` and ``az account set`` take it twelve seconds, and it
need not be installed. (``azure/cli/core/cloud.py``, ``_profile.py``, ``auth/identity.py``.)
"""

from __future__ import annotations

import json

from pathlib import Path
from typing import Any

from aciflow.local.served.facts import Facts
from aciflow.local.served.metadata import CLOUD_NAME, ENDPOINTS, SUFFIXES
from aciflow.local.state import private_directory, write_private


__all__ = ["write"]

# az's names, by those of /metadata/endpoints (CloudEndpoints.ARM_METADATA_INDEX)
_ENDPOINTS = {
    "active_directory_data_lake_resource_id": "activeDirectoryDataLake",
    "active_directory_graph_resource_id": "graphAudience",
    "app_insights_resource_id": "appInsightsResourceId",
    "app_insights_telemetry_channel_resource_id": "appInsightsTelemetryChannelResourceId",
    "app_service_resource_id": "appServiceResourceId",
    "attestation_resource_id": "attestationResourceId",
    "batch_resource_id": "batch",
    "gallery": "gallery",
    "log_analytics_resource_id": "logAnalyticsResourceId",
    "media_resource_id": "media",
    "microsoft_graph_resource_id": "microsoftGraphResourceId",
    "ossrdbms_resource_id": "ossrdbmsResourceId",
    "portal": "portal",
    "sql_management": "sqlManagement",
    "synapse_analytics_resource_id": "synapseAnalyticsResourceId",
    "vm_image_alias_doc": "vmImageAliasDoc",
}

# az's names (CloudSuffixes.ARM_METADATA_INDEX), and whether it puts a dot in front
_SUFFIXES = {
    "acr_login_server_endpoint": ("acrLoginServer", "."),
    "attestation_endpoint": ("attestationEndpoint", "."),
    "azure_datalake_analytics_catalog_and_job_endpoint": (
        "azureDataLakeAnalyticsCatalogAndJob",
        "",
    ),
    "azure_datalake_store_file_system_endpoint": ("azureDataLakeStoreFileSystem", ""),
    "keyvault_dns": ("keyVaultDns", "."),
    "mariadb_server_endpoint": ("mariadbServerEndpoint", "."),
    "mhsm_dns": ("mhsmDns", "."),
    "mysql_server_endpoint": ("mysqlServerEndpoint", "."),
    "postgresql_server_endpoint": ("postgresqlServerEndpoint", "."),
    "sql_server_hostname": ("sqlServerHostname", "."),
    "storage_endpoint": ("storage", ""),
    "storage_sync_endpoint": ("storageSyncEndpointSuffix", ""),
    "synapse_analytics_endpoint": ("synapseAnalytics", "."),
}

_CONFIG = {
    "cloud": {"name": CLOUD_NAME},
    "core": {
        # It would ask login.microsoftonline.com whether it may trust our sign-in host.
        "instance_discovery": "no",
        "encrypt_token_cache": "no",
        # Whatever would go to Microsoft unasked, or ask the user.
        "collect_telemetry": "no",
        "error_recommendation": "off",
        "first_run": "no",
        "login_experience_v2": "off",
        "survey_message": "no",
    },
    "auto-upgrade": {"enable": "no", "prompt": "no"},
    "extension": {"use_dynamic_install": "no"},
    "logging": {"enable_log_file": "no"},
}


def write(directory: Path, facts: Facts) -> Path:
    """
    Write the files of an ``AZURE_CONFIG_DIR``, once: what az has changed in it since then stays.

    Args:
        directory: Becomes the configuration; made, for this user alone.
        facts: The endpoint.

    Returns:
        The directory.
    """
    private_directory(directory)
    last = directory / "clouds.config"
    if last.exists():
        return directory
    account = {
        "installationId": facts.client_id,  # else it makes one of this machine's hardware address
        "subscriptions": [
            {
                "id": facts.subscription_id,
                "name": "aciflow local endpoint",
                "state": "Enabled",
                "user": {"name": facts.client_id, "type": "servicePrincipal"},
                "isDefault": True,
                "tenantId": facts.tenant_id,
                "environmentName": CLOUD_NAME,
                "homeTenantId": facts.tenant_id,
                "managedByTenants": [],
            }
        ],
    }
    principal = {
        "client_id": facts.client_id,
        "tenant": facts.tenant_id,
        "client_secret": facts.client_secret,
    }
    _write(directory / "config", _ini(_CONFIG))
    _write(directory / "azureProfile.json", json.dumps(account))
    _write(directory / "service_principal_entries.json", json.dumps([principal]))
    # When it looked for updates last, which it else does from help pages.
    _write(directory / "versionCheck.json", json.dumps({"check_time": "9000-01-01 00:00:00.0"}))
    _write(last, _ini({CLOUD_NAME: _cloud(facts)}))
    return directory


def _cloud(facts: Facts) -> dict[str, str]:
    base = f"{facts.url}/"
    return {
        "endpoint_resource_manager": base,
        "endpoint_management": base,
        "endpoint_active_directory": facts.url,
        "endpoint_active_directory_resource_id": base,
        **{f"endpoint_{name}": ENDPOINTS[key] for name, key in _ENDPOINTS.items()},
        **{f"suffix_{name}": dot + SUFFIXES[key] for name, (key, dot) in _SUFFIXES.items()},
        "subscription": facts.subscription_id,
    }


def _ini(sections: dict[str, Any]) -> str:
    lines = []
    for section, options in sections.items():
        lines += [f"[{section}]", *(f"{name} = {value}" for name, value in options.items()), ""]
    return "\n".join(lines)


def _write(path: Path, text: str) -> None:
    write_private(path, text.encode())
