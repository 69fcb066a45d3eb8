"""The one way to Azure Resource Manager: the azure SDKs over one httpx transport."""
