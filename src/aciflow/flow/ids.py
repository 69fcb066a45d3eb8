"""Names of what a flow works on, and of the tags that tell whose it is."""

from __future__ import annotations

from attrs import frozen

from aciflow.errors import Leftover


__all__ = ["LAUNCH_TAG", "OWNER_TAG", "GroupRef", "ResourceGroupRef"]

# On everything that aciflow makes: by which launch, and for whom.
LAUNCH_TAG = "aciflow-launch-id"
OWNER_TAG = "aciflow-owner"


@frozen(kw_only=True)
class ResourceGroupRef:
    """
    A resource group.

    Attributes:
        azure: Whether it is Azure's, and so removed with ``az``.
    """

    subscription_id: str
    name: str
    azure: bool

    @property
    def id(self) -> str:
        """Its ARM id."""
        return f"/subscriptions/{self.subscription_id}/resourceGroups/{self.name}"

    @property
    def leftover(self) -> Leftover:
        """How a person removes it."""
        command = (
            f"az group delete --name {self.name} --subscription {self.subscription_id} --yes"
            if self.azure
            else f"aciflow delete --resource-group {self.name} --all"
        )
        return Leftover(resource_id=self.id, remove_with=command)


@frozen(kw_only=True)
class GroupRef:
    """A container group."""

    resource_group: ResourceGroupRef
    name: str

    @property
    def id(self) -> str:
        """Its ARM id."""
        return (
            f"{self.resource_group.id}/providers/Microsoft.ContainerInstance"
            f"/containerGroups/{self.name}"
        )

    @property
    def leftover(self) -> Leftover:
        """How a person removes it."""
        group = self.resource_group
        command = (
            f"az container delete --resource-group {group.name} --name {self.name}"
            f" --subscription {group.subscription_id} --yes"
            if group.azure
            else f"aciflow delete {self.name} --resource-group {group.name}"
        )
        return Leftover(resource_id=self.id, remove_with=command)
