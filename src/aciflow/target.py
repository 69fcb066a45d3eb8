"""
Where a client works: Azure, the embedded local endpoint, or an ARM endpoint at a URL.

``"auto"`` decides by what this machine says, in this order: an argument that only Azure understands
(``subscription_id``, ``credential``, ``cloud``); ``ACIFLOW_TARGET``; ``AZURE_SUBSCRIPTION_ID``; az's
default subscription (``azureProfile.json``); else the local endpoint, with a warning.
"""

from __future__ import annotations

import os
import sys
import warnings

from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from attrs import field, frozen

from aciflow.arm.azconfig import default_location, default_subscription
from aciflow.arm.settings import ArmSettings
from aciflow.errors import ConfigurationError, CredentialError, LocalTargetWarning


if TYPE_CHECKING:
    from aciflow.local.azure import LocalAzure


__all__ = ["Cloud", "Target", "resolve"]

LOCAL_LOCATION = "eastus"


@frozen
class Cloud:
    """
    One of Azure's clouds.

    Attributes:
        arm: Its Resource Manager.
        scope: What a token for it is asked for.
        authority: Where one signs in.
    """

    arm: str
    scope: str
    authority: str


# azure.mgmt.core.tools.get_arm_endpoints and azure.identity.AzureAuthorityHosts
_CLOUDS = {
    "public": Cloud(
        "https://management.azure.com",
        "https://management.azure.com/.default",
        "https://login.microsoftonline.com",
    ),
    "usgov": Cloud(
        "https://management.usgovcloudapi.net",
        "https://management.core.usgovcloudapi.net/.default",
        "https://login.microsoftonline.us",
    ),
    "china": Cloud(
        "https://management.chinacloudapi.cn",
        "https://management.chinacloudapi.cn/.default",
        "https://login.chinacloudapi.cn",
    ),
}

# azureProfile.json's environmentName
_AZ_CLOUDS = {"AzureCloud": "public", "AzureUSGovernment": "usgov", "AzureChinaCloud": "china"}

#: Of the endpoint in this process. Nothing listens there: its transport never connects anywhere.
LOCAL_URL = "https://aciflow.localhost"


@frozen(kw_only=True)
class Target:
    """
    Where a client works.

    Attributes:
        kind: ``azure``, ``local`` (in this process, or shared by this user's) or ``url``.
        label: What a timeline's first line says: ``local engine, not Azure``; empty for Azure.
        subscription_id: Its subscription.
        base_url: Its ARM.
        location: The default region: the argument, else az's own default; ``None`` without either.
        settings: For the gateways.
        endpoint: The local endpoint itself, where ``kind`` is ``local``.
        served: A ``url`` that is a local endpoint of another process: it signs in where it serves, which
            no Azure does. It may be asked as often as one in this process.
    """

    kind: Literal["azure", "local", "url"]
    label: str
    subscription_id: str
    base_url: str
    location: str | None
    settings: ArmSettings = field(repr=False)
    endpoint: LocalAzure | None = field(default=None, repr=False)
    served: bool = False


def resolve(
    target: str | LocalAzure = "auto",
    *,
    subscription_id: str | None = None,
    credential: Any = None,
    cloud: str | None = "public",
    location: str | None = None,
    api_version: str | None = None,
) -> Target:
    """
    Decide where a client works. Sends nothing and asks for no token.

    Args:
        target: ``auto``, ``azure``, ``local``, a ``LocalAzure``, or the ``https`` URL of an endpoint.
        subscription_id: Azure's; an endpoint at a URL needs it too.
        credential: Object with ``get_token``; Azure's default is the process's
            ``DefaultAzureCredential``; an endpoint at a URL has no default, unless the environment says
            that it is its own ``AZURE_AUTHORITY_HOST`` and has a secret for it.
        cloud: ``public``, ``usgov`` or ``china``.
        location: The default region.
        api_version: Of Microsoft.ContainerInstance.

    Raises:
        ConfigurationError: An argument that this target cannot honour, or no subscription.
        CredentialError: An endpoint's URL without ``credential=`` or a secret for it.
    """
    cloud = cloud or "public"
    if cloud not in _CLOUDS:
        raise ConfigurationError(f"cloud={cloud!r}: choose one of {', '.join(_CLOUDS)}")
    azure_only = {
        "subscription_id": subscription_id,
        "credential": credential,
        "cloud": cloud if cloud != "public" else None,
    }
    given = [name for name, value in azure_only.items() if value is not None]
    chosen: Any = target
    if target == "auto":
        chosen = "azure" if given else _from_environment()
    if not isinstance(chosen, str):
        return _local(_endpoint(chosen), given, subscription_id, location, api_version)
    if chosen == "local":
        from aciflow.local.azure import LocalAzure

        return _local(LocalAzure.shared(), given, subscription_id, location, api_version)
    if chosen == "azure":
        return _azure(subscription_id, credential, cloud, location, api_version)
    if "://" in chosen:
        return _url(chosen, subscription_id, credential, cloud, location, api_version)
    raise ConfigurationError(
        f"target={chosen!r}: choose auto, azure, local, a LocalAzure or an https:// URL"
    )


def _from_environment() -> str:
    """What ``auto`` is where no argument decides."""
    named = os.environ.get("ACIFLOW_TARGET", "").strip()
    if named and named != "auto":
        return named
    if os.environ.get("AZURE_SUBSCRIPTION_ID"):
        return "azure"
    profile = default_subscription()
    if profile is not None and profile.cloud in _AZ_CLOUDS:
        return "azure"
    _warn_local()
    return "local"


def _warn_local() -> None:
    """Say it at the line that called aciflow; Python shows a warning of one line once."""
    package = os.path.dirname(__file__)  # noqa: PTH120 -- as frames spell it
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package):
        level, frame = level + 1, frame.f_back
    warnings.warn(
        "no Azure is configured (AZURE_SUBSCRIPTION_ID, az login), so containers run on this machine, "
        "behind the local endpoint. target='local' says so without this warning, target='azure' "
        "insists on Azure.",
        LocalTargetWarning,
        stacklevel=level,
    )


def _endpoint(given: Any) -> LocalAzure:
    from aciflow.local.azure import LocalAzure

    if isinstance(given, LocalAzure):
        return given
    raise ConfigurationError(f"target= takes a name, a URL or a LocalAzure, not {given!r}")


def _local(
    endpoint: LocalAzure,
    given: list[str],
    subscription_id: str | None,
    location: str | None,
    api_version: str | None,
) -> Target:
    refused = [name for name in given if name != "subscription_id"]
    if subscription_id is not None and subscription_id != endpoint.subscription_id:
        refused.insert(0, "subscription_id")
    if refused:
        names = ", ".join(f"{name}=" for name in refused)
        raise ConfigurationError(
            f"the local endpoint cannot honour {names}: it has a subscription and credentials of "
            "its own"
        )
    return Target(
        kind="local",
        label=f"local {endpoint.kind}, not Azure",
        subscription_id=endpoint.subscription_id,
        base_url=LOCAL_URL,
        location=location or LOCAL_LOCATION,
        endpoint=endpoint,
        settings=ArmSettings(
            subscription_id=endpoint.subscription_id,
            base_url=LOCAL_URL,
            credential=endpoint.credential(),
            credential_scopes=(f"{LOCAL_URL}/.default",),
            transport=endpoint.transport(),
            async_transport=endpoint.async_transport(),
            api_version=api_version,
        ),
    )


def _azure(
    subscription_id: str | None,
    credential: Any,
    cloud: str,
    location: str | None,
    api_version: str | None,
    base_url: str | None = None,
) -> Target:
    subscription = subscription_id or os.environ.get("AZURE_SUBSCRIPTION_ID")
    if not subscription:
        profile = default_subscription()
        if profile is None:
            raise ConfigurationError(
                "no subscription: pass subscription_id=, set AZURE_SUBSCRIPTION_ID, or `az login`"
            )
        subscription = profile.id
        theirs = _AZ_CLOUDS.get(profile.cloud)
        if theirs is None or (theirs != cloud and (cloud != "public" or base_url is not None)):
            raise ConfigurationError(
                f"az's default subscription is in the cloud {profile.cloud}; pass subscription_id= "
                f"of one in {cloud!r}"
            )
        cloud = theirs
    where = _CLOUDS[cloud]
    if credential is None:
        from aciflow.arm.credentials import default_credential

        credential = default_credential(where.authority)
    arm = base_url or where.arm
    return Target(
        kind="azure",
        label="",
        subscription_id=subscription,
        base_url=arm,
        location=location or default_location(),
        settings=ArmSettings(
            subscription_id=subscription,
            base_url=arm,
            credential=credential,
            credential_scopes=(where.scope,),
            api_version=api_version,
        ),
    )


def _origin(url: str) -> tuple[str, str]:
    """A URL's normal form and its host, where it is one that a token may be sent to."""
    # the URL is not repeated where it may hold a password
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise ConfigurationError("target= is not a URL") from None
    if "@" in parts.netloc:
        raise ConfigurationError("target= has a user in its URL; pass credential= instead")
    if parts.scheme.lower() != "https" or not host:
        raise ConfigurationError(f"target={url!r}: tokens are sent over https:// only")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigurationError(f"target={url!r}: give https://host:port, without a path")
    shown = f"[{host}]" if ":" in host else host
    return (f"https://{shown}" if port in (None, 443) else f"https://{shown}:{port}"), host


def _own_credential(base: str) -> Any:
    """
    For an endpoint that is its own sign-in host, as ``aciflow local`` is: the environment's secret.

    Only where ``AZURE_AUTHORITY_HOST`` names the very endpoint, or ``IDENTITY_ENDPOINT`` is there (an
    intercepted Azure keeps its own authority): the secret then goes nowhere else than to whom the
    environment says it belongs.
    """
    names = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
    tenant, client, secret = (os.environ.get(name, "") for name in names)
    own = _is_at(base, "AZURE_AUTHORITY_HOST") or _is_at(base, "IDENTITY_ENDPOINT")
    if own and tenant and client and secret:
        from aciflow.arm.credentials import SecretCredential

        return SecretCredential(base, tenant_id=tenant, client_id=client, client_secret=secret)
    raise CredentialError(
        f"{base} is none of Azure's own, so it gets no DefaultAzureCredential token: pass credential=, "
        "or set AZURE_AUTHORITY_HOST to it with AZURE_TENANT_ID, AZURE_CLIENT_ID and "
        "AZURE_CLIENT_SECRET, as `aciflow local -- COMMAND` does"
    )


def _is_at(base: str, variable: str) -> bool:
    """Whether a variable holds a URL, or a host, of an endpoint."""
    value = os.environ.get(variable, "")
    parts = urlsplit(value if "://" in value else f"https://{value}")
    try:
        return _origin(f"{parts.scheme}://{parts.netloc}")[0] == base
    except ConfigurationError:
        return False


def _url(
    url: str,
    subscription_id: str | None,
    credential: Any,
    cloud: str,
    location: str | None,
    api_version: str | None,
) -> Target:
    base, host = _origin(url)
    for name, known in _CLOUDS.items():
        own = known.arm.removeprefix("https://")
        if base == known.arm or (host.endswith(f".{own}") and base == f"https://{host}"):
            if cloud not in ("public", name):
                raise ConfigurationError(f"{url} is in the cloud {name!r}, not {cloud!r}")
            return _azure(subscription_id, credential, name, location, api_version, base)
    if cloud != "public":
        raise ConfigurationError(f"cloud={cloud!r} says nothing about {url}; leave it out")
    home = location or default_location()
    served = credential is None
    if served:
        credential = _own_credential(base)
        home = home or LOCAL_LOCATION  # Azure's Resource Manager and its sign-in are never one host
    subscription = subscription_id or os.environ.get("AZURE_SUBSCRIPTION_ID")
    if not subscription:
        raise ConfigurationError(f"no subscription for {base}: pass subscription_id=")
    return Target(
        kind="url",
        label=f"{base.removeprefix('https://')}, not Azure",
        subscription_id=subscription,
        base_url=base,
        location=home,
        served=served,
        settings=ArmSettings(
            subscription_id=subscription,
            base_url=base,
            credential=credential,
            # its own, so that the token which it sees is of no use at another
            credential_scopes=(f"{base}/.default",),
            api_version=api_version,
        ),
    )
