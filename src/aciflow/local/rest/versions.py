"""The api-versions of each provider: those that recordings, SDKs and ``az`` ask with."""

from __future__ import annotations

from collections.abc import Mapping

from aciflow.local.rest import errors


__all__ = ["RESOURCES", "VERSIONS", "check_version"]


CONTAINER_INSTANCE = "Microsoft.ContainerInstance"
RESOURCES = "Microsoft.Resources"

VERSIONS: Mapping[str, tuple[str, ...]] = {
    # Newest first, as a provider's own list has them; so that what takes the first takes a stable one.
    CONTAINER_INSTANCE: (
        "2026-06-01-preview",
        "2025-09-01",
        "2024-11-01-preview",
        "2024-10-01-preview",
        "2024-09-01-preview",
        "2024-05-01-preview",
        "2023-05-01",
        "2023-02-01-preview",
        "2022-10-01-preview",
        "2022-09-01",
        "2022-04-01-preview",
        "2021-10-01",
        "2021-09-01",
        "2021-07-01",
        "2021-03-01",
        "2020-11-01",
        "2019-12-01",
        "2018-10-01",
        "2018-09-01",
        "2018-07-01",
        "2018-06-01",
        "2018-04-01",
        "2018-02-01-preview",
        "2017-12-01-preview",
        "2017-10-01-preview",
        "2017-08-01-preview",
    ),
    RESOURCES: (
        "2026-06-01",
        "2025-04-01",
        "2025-03-01",
        "2024-11-01",
        "2024-08-01",
        "2024-07-01",
        "2024-03-01",
        "2023-07-01",
        "2022-12-01",
        "2022-09-01",
        "2022-06-01",
        "2022-01-01",
        "2021-04-01",
        "2021-01-01",
        "2020-10-01",
        "2020-09-01",
        "2020-08-01",
        "2020-06-01",
        "2020-05-01",
        "2020-01-01",
        "2019-11-01",
        "2019-10-01",
        "2019-09-01",
        "2019-08-01",
        "2019-07-01",
        "2019-06-01",
        "2019-05-10",
        "2019-05-01",
        "2019-03-01",
        "2018-11-01",
        "2018-09-01",
        "2018-08-01",
        "2018-07-01",
        "2018-05-01",
        "2018-02-01",
        "2018-01-01",
        "2017-08-01",
        "2017-06-01",
        "2017-05-10",
        "2016-09-01",
        "2016-07-01",
        "2016-06-01",
        "2016-02-01",
        "2015-11-01",
        "2015-01-01",
        "2014-04-01",
    ),
}


def provider_of(path: str) -> tuple[str, str]:
    """
    The provider that answers for a path, and the resource type there; ARM's own is ``Microsoft.Resources``.

    A provider that is asked about (``/providers/NAMESPACE``) does not answer itself.
    """
    segments = [segment for segment in path.split("/") if segment]
    lower = [segment.lower() for segment in segments]
    for place in range(len(lower) - 1, 0, -1):
        if lower[place - 1] == "providers":
            rest = segments[place + 1 :]
            if not rest or lower[place + 1] in ("register", "unregister", "resourcetypes"):
                break
            if lower[place] == CONTAINER_INSTANCE.lower():
                kinds = rest[::2] if rest[0].lower() != "locations" else rest[0:3:2]
                return CONTAINER_INSTANCE, "/".join(kinds)
            break
    return RESOURCES, ""


def check_version(path: str, version: str | None, locations: tuple[str, ...]) -> None:
    """
    Refuse a request that says no version, or one that its provider does not have.

    Args:
        path: The request's.
        version: Its ``api-version``.
        locations: Where the provider is, for the message.

    Raises:
        Refusal: ``MissingApiVersionParameter``, ``InvalidApiVersionParameter``,
            ``NoRegisteredProviderFound``.
    """
    if not version:
        raise errors.missing_api_version()
    provider, kind = provider_of(path)
    known = VERSIONS[provider]
    if version.lower() in known:
        return
    if provider == RESOURCES:
        raise errors.invalid_api_version(version, known)
    raise errors.no_registered_provider(kind, version, sorted(known), locations)
