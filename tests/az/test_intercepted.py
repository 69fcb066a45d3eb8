"""An az that was never told of the endpoint: Azure's own cloud, through the intercepting proxy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.azure_cli import Az

from aciflow.local import LocalAzure


pytestmark = [pytest.mark.az, pytest.mark.slow]


def test_az_s_own_cloud_is_the_endpoint(
    az_program: Path, plain: dict[str, str], tmp_path: Path
) -> None:
    """It logs in at login.microsoftonline.com and makes a group at management.azure.com, it thinks."""
    with LocalAzure("simulated") as azure, azure.serve(intercept=True):
        given = {**plain, **azure.environ(), "AZURE_CONFIG_DIR": str(tmp_path / "azure")}
        del given["AZURE_CORE_INSTANCE_DISCOVERY"]
        az = Az(az_program, {**given, "AZURE_CORE_COLLECT_TELEMETRY": "no"})

        (account,) = az.json(
            *["login", "--service-principal", "--tenant", given["AZURE_TENANT_ID"]],
            *["--username", given["AZURE_CLIENT_ID"], "--password", given["AZURE_CLIENT_SECRET"]],
        )
        made = az.json("group", "create", "--name", "mine", "--location", "westus")

        assert account["cloudName"] == "AzureCloud"
        assert account["id"] == azure.subscription_id
        assert made["id"] == f"/subscriptions/{azure.subscription_id}/resourceGroups/mine"
        assert [one["name"] for one in az.json("group", "list")] == ["mine"]
