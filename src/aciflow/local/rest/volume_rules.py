"""Which volumes ACI refuses, and which shares this endpoint does not have."""

from __future__ import annotations

import base64
import binascii
import re

from collections.abc import Mapping
from typing import Any

from aciflow.local.config import Config
from aciflow.local.groups.desired import share_key
from aciflow.local.rest import errors
from aciflow.local.rest.errors import Refusal


__all__ = ["KINDS", "check_volumes"]


KINDS = ("azureFile", "emptyDir", "secret", "gitRepo")

MAX_VOLUMES = 20

# Documented as 5 to 63 characters; az itself sends shorter ones, so no least length here.
_NAME = re.compile(r"(?!.*--)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SHARE = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")


def check_volumes(name: str, kept: Mapping[str, Any], config: Config) -> None:
    """
    Names, kinds and contents of a group's volumes.

    Raises:
        Refusal: The first problem.
    """
    volumes = kept.get("volumes") or ()
    if len(volumes) > MAX_VOLUMES:
        raise Refusal(
            400,
            "TooManyVolumes",
            f"Container group '{name}' may have at most {MAX_VOLUMES} volumes.",
        )
    seen = set()
    for volume in volumes:
        label = volume["name"]
        if _NAME.fullmatch(label) is None:
            raise Refusal(
                400,
                "InvalidVolumeName",
                f"The volume name '{label}' in container group '{name}' is invalid. It must have at most "
                "63 lowercase letters, numbers or hyphens, and no hyphen at its start or end or beside "
                "another.",
            )
        if label in seen:
            raise Refusal(
                400,
                "DuplicateVolumeName",
                f"The volume name '{label}' is used twice in container group '{name}'.",
            )
        seen.add(label)
        _check_volume(name, volume, config)


def _check_volume(name: str, volume: Mapping[str, Any], config: Config) -> None:
    if volume.get("secretReference") is not None:
        raise errors.not_local(f"secretReference volumes (volume '{volume['name']}')")
    kinds = [kind for kind in KINDS if volume.get(kind) is not None]
    if len(kinds) != 1:
        raise Refusal(
            400,
            "InvalidVolume",
            f"Volume '{volume['name']}' in container group '{name}' must have exactly one of "
            f"'{','.join(KINDS)}'.",
        )
    if kinds == ["secret"]:
        _check_secret(name, volume)
    elif kinds == ["azureFile"]:
        _check_share(name, volume, config)
    elif kinds == ["gitRepo"]:
        _check_repository(name, volume)


def _check_secret(name: str, volume: Mapping[str, Any]) -> None:
    for key, content in volume["secret"].items():
        if not _is_file_name(key):
            raise Refusal(
                400,
                "InvalidSecretVolumeName",
                f"Secret '{key}' of volume '{volume['name']}' in container group '{name}' is not a file "
                "name.",
            )
        try:
            base64.b64decode(content, validate=True)
        except (binascii.Error, ValueError):
            raise Refusal(
                400,
                "InvalidSecretVolumeContent",
                f"Secret '{key}' of volume '{volume['name']}' in container group '{name}' is not base64.",
            ) from None


def _is_file_name(key: str) -> bool:
    return key not in ("", ".", "..") and key.isprintable() and "/" not in key and len(key) <= 253


def _check_share(name: str, volume: Mapping[str, Any], config: Config) -> None:
    share = volume["azureFile"]
    account, label = share["storageAccountName"], share["shareName"]
    if share.get("storageAccountKeyReference") is not None:
        raise errors.not_local(f"storageAccountKeyReference (volume '{volume['name']}')")
    where = f"of volume '{volume['name']}' in container group '{name}'"
    if _ACCOUNT.fullmatch(account) is None or _SHARE.fullmatch(label) is None:
        raise Refusal(
            400,
            "InvalidAzureFileVolume",
            f"The storage account '{account}' or the share '{label}' {where} has no valid name.",
        )
    if share_key(account, label) not in {key.lower() for key in config.azure_files}:
        raise Refusal(
            400,
            "AzureFileShareNotFound",
            f"The share '{account}/{label}' {where} is not found. A local endpoint has the shares that it "
            f"was given: LocalAzure(azure_files={{'{account}/{label}': '/a/local/folder'}}).",
        )


def _check_repository(name: str, volume: Mapping[str, Any]) -> None:
    repo = volume["gitRepo"]
    directory = repo.get("directory") or ""
    if (
        not repo["repository"].strip()
        or not repo["repository"].isprintable()
        or repo["repository"].startswith("-")
        or ".." in directory.split("/")
        or directory.startswith(("/", "-"))
        or "\0" in directory
        or (repo.get("revision") or "").startswith("-")
    ):
        raise Refusal(
            400,
            "InvalidGitRepoVolume",
            f"The 'gitRepo' of volume '{volume['name']}' in container group '{name}' is invalid: it needs "
            "a repository, and a directory below the volume.",
        )
