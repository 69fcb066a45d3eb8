"""
Airflow's own operator runs a job: unmodified, at Azure's own URLs, as its users write it.

Run by ``test_others.py`` in an environment that has Airflow and not aciflow: IMAGE EXIT_CODE.
"""

from __future__ import annotations

import json
import logging
import os
import sys


logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")

os.environ["AIRFLOW_CONN_AZURE_DEFAULT"] = json.dumps(
    {
        "conn_type": "azure_container_instance",
        "login": os.environ["AZURE_CLIENT_ID"],
        "password": os.environ["AZURE_CLIENT_SECRET"],
        "extra": {
            "tenantId": os.environ["AZURE_TENANT_ID"],
            "subscriptionId": os.environ["AZURE_SUBSCRIPTION_ID"],
        },
    }
)

from airflow.exceptions import AirflowException  # noqa: E402
from airflow.providers.microsoft.azure.hooks.container_instance import (  # noqa: E402
    AzureContainerInstanceHook,
)
from airflow.providers.microsoft.azure.operators.container_instances import (  # noqa: E402
    AzureContainerInstancesOperator,
)
from azure.identity import DefaultAzureCredential  # noqa: E402
from azure.mgmt.resource.resources import ResourceManagementClient  # noqa: E402


image, code = sys.argv[1:]
groups = ResourceManagementClient(
    DefaultAzureCredential(), os.environ["AZURE_SUBSCRIPTION_ID"]
).resource_groups
groups.create_or_update("airflow", {"location": "westeurope"})

print("connection:", *AzureContainerInstanceHook("azure_default").test_connection())
job = AzureContainerInstancesOperator(
    task_id="job",
    ci_conn_id="azure_default",
    registry_conn_id=None,
    resource_group="airflow",
    name="job",
    image=image,
    region="westeurope",
    command=["/bin/sh", "-c", f'echo "$GREETING from airflow"; exit {code}'],
    environment_variables={"GREETING": "hello", "WORD": "hidden-91"},
    secured_variables=["WORD"],
    cpu=1.0,
    memory_in_gb=1.0,
)
try:
    print("result:", job.execute({}))
except AirflowException as error:
    print("refused:", error)
print("left:", AzureContainerInstanceHook("azure_default").exists("airflow", "job"))
groups.begin_delete("airflow")
