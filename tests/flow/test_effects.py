from __future__ import annotations

import pytest

from tests.flow.kit import REF

from aciflow.flow.effects import ArmCall, Done
from aciflow.flow.ids import GroupRef, ResourceGroupRef


def test_a_call_knows_whether_it_only_reads() -> None:
    """GETs count against the read budget; what changes something is awaited when interrupted."""
    assert ArmCall(operation="group.get").reads
    assert not ArmCall(operation="group.restart").reads


def test_a_call_shows_no_body() -> None:
    """The body of a PUT may hold secrets."""
    assert "s3cret" not in repr(ArmCall(operation="group.put", body={"key": "s3cret"}))


def test_the_result_of_an_effect_is_its_value_or_its_error() -> None:
    """A flow need not look at both."""
    assert 7 == Done(1, 7).result()
    with pytest.raises(OSError, match="gone"):
        Done(1, error=OSError("gone")).result()


def test_a_leftover_on_azure_is_removed_with_az() -> None:
    """The command works on a machine without aciflow."""
    assert REF.id.endswith(
        "/resourceGroups/rg/providers/Microsoft.ContainerInstance/containerGroups/web"
    )
    assert REF.leftover.remove_with.startswith("az container delete --resource-group rg --name web")
    assert REF.resource_group.leftover.remove_with.startswith("az group delete --name rg")


def test_a_leftover_elsewhere_is_removed_with_aciflow() -> None:
    """Az does not know of the local endpoint."""
    home = ResourceGroupRef(subscription_id="s", name="rg", azure=False)
    assert "aciflow delete --resource-group rg --all" == home.leftover.remove_with
    group = GroupRef(resource_group=home, name="web")
    assert "aciflow delete web --resource-group rg" == group.leftover.remove_with
