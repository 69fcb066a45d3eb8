"""The ARM JSON of a group's pieces: one :class:`~aciflow.model.shape.Shape` for each."""

from __future__ import annotations

import binascii

from typing import Any

from aciflow.errors import Problem
from aciflow.model import parts
from aciflow.model.parts import Volume
from aciflow.model.shape import (
    Found,
    Member,
    Problems,
    Shape,
    choice,
    entries,
    flag,
    mapping,
    member,
    number,
    text,
    text_map,
    texts,
    whole,
)


def _or_none(value: bool) -> bool | None:
    """A false that is the default is not sent."""
    return value or None


def _words(value: tuple[str, ...]) -> str:
    return " ".join(value)


PORT = Shape(
    parts.Port,
    member("port", "port", whole, required=True),
    member("protocol", "protocol", choice("TCP", "UDP")),
)
RESOURCES = Shape(
    parts.Resources,
    member("cpu", "requests.cpu", number, required=True),
    member("memory_gb", "requests.memoryInGB", number, required=True),
    member("gpu", "requests.gpu.count", whole),
    member("gpu_sku", "requests.gpu.sku", text),
    member("cpu_limit", "limits.cpu", number),
    member("memory_limit_gb", "limits.memoryInGB", number),
)
MOUNT = Shape(
    parts.VolumeMount,
    member("name", "name", text, required=True),
    member("mount_path", "mountPath", text, required=True),
    member("read_only", "readOnly", flag, _or_none),
)


def _header(item: Any, where: str, problems: Problems) -> tuple[str, str]:
    item = mapping(item, where, problems)
    return (
        text(item.get("name"), f"{where}.name", problems),
        text(item.get("value"), f"{where}.value", problems),
    )


def _headers(item: Any, where: str, problems: Problems) -> tuple[tuple[str, str], ...]:
    return tuple(
        _header(entry, f"{where}[{index}]", problems)
        for index, entry in enumerate(entries(item, where, problems))
    )


def _header_list(value: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [{"name": name, "value": content} for name, content in value]


PROBE = Shape(
    parts.Probe,
    member("command", "exec.command", texts, list),
    member("http_path", "httpGet.path", text),
    member("http_port", "httpGet.port", whole),
    member("http_scheme", "httpGet.scheme", choice("http", "https")),
    member("http_headers", "httpGet.httpHeaders", _headers, _header_list),
    member("initial_delay", "initialDelaySeconds", whole),
    member("period", "periodSeconds", whole),
    member("failure_threshold", "failureThreshold", whole),
    member("success_threshold", "successThreshold", whole),
    member("timeout", "timeoutSeconds", whole),
)
SECURITY = Shape(
    parts.SecurityContext,
    member("privileged", "privileged", flag),
    member("allow_privilege_escalation", "allowPrivilegeEscalation", flag),
    member("add_capabilities", "capabilities.add", texts, list),
    member("drop_capabilities", "capabilities.drop", texts, list),
    member("run_as_user", "runAsUser", whole),
    member("run_as_group", "runAsGroup", whole),
    member("seccomp_profile", "seccompProfile", text),
)
REGISTRY = Shape(
    parts.Registry,
    member("server", "server", text, required=True),
    member("username", "username", text),
    member("password", "password", text),
    member("identity", "identity", text),
    member("identity_url", "identityUrl", text),
)
DNS = Shape(
    parts.DnsConfig,
    member("name_servers", "nameServers", texts, list, required=True),
    member("search_domains", "searchDomains", text, _words),
    member("options", "options", text, _words),
)
LOGS = Shape(
    parts.LogAnalytics,
    member("workspace_id", "workspaceId", text, required=True),
    member("workspace_key", "workspaceKey", text),
    member("log_type", "logType", choice("ContainerInsights", "ContainerInstanceLogs")),
    member("workspace_resource_id", "workspaceResourceId", text),
    member("metadata", "metadata", text_map, dict),
)
EXTENSION = Shape(
    parts.Extension,
    member("name", "name", text, required=True),
    member("type", "properties.extensionType", text, required=True),
    member("version", "properties.version", text, required=True),
    member("settings", "properties.settings", mapping, dict),
    member("protected_settings", "properties.protectedSettings", mapping, dict),
)


# --- identity ---------------------------------------------------------------------------------

_SYSTEM, _USER = "SystemAssigned", "UserAssigned"


def _identity_type(value: parts.Identity) -> str:
    kinds = [_SYSTEM] * value.system_assigned + [_USER] * bool(value.user_assigned)
    return ", ".join(kinds) or "None"


def _split_identity_type(item: Any, where: str, problems: Problems) -> Found:
    kinds = {kind.strip().lower() for kind in text(item, where, problems).split(",")}
    if unknown := kinds - {"systemassigned", "userassigned", "none", ""}:
        problems.append(Problem(field=where, message=f"unknown: {', '.join(sorted(unknown))}"))
    return {"system_assigned": "systemassigned" in kinds}, None


def _split_users(item: Any, where: str, problems: Problems) -> Found:
    """The ids; what the service tells about each (client and principal id) is state."""
    return {"user_assigned": tuple(mapping(item, where, problems))}, None


IDENTITY = Shape(
    parts.Identity,
    Member(("type",), _identity_type, _split_identity_type),
    Member(
        ("userAssignedIdentities",),
        lambda value: {resource_id: {} for resource_id in value.user_assigned} or None,
        _split_users,
    ),
    read_only=("principalId", "tenantId"),
)


# --- volumes ----------------------------------------------------------------------------------


def _volume_part(kind: str, attr: str, path: str) -> Member:
    """A member that also says which kind of volume it is."""
    plain = member(attr, path, text)

    def split(item: Any, where: str, problems: Problems) -> Found:
        return {"kind": kind, attr: text(item, where, problems)}, None

    return Member(plain.path, plain.join, split)


def _split_empty(item: Any, where: str, problems: Problems) -> Found:
    return {"kind": "empty_dir"}, mapping(item, where, problems) or None


def _join_secret(value: Volume) -> dict[str, str] | None:
    if value.kind != "secret":
        return None
    return {
        name: binascii.b2a_base64(content, newline=False).decode()
        for name, content in value.files.items()
    }


def _split_secret(item: Any, where: str, problems: Problems) -> Found:
    files = {}
    for key, value in text_map(item, where, problems).items():
        try:
            files[key] = binascii.a2b_base64(value, strict_mode=True)
        except ValueError:
            # Without the value, and without binascii's words about it.
            problems.append(Problem(field=f"{where}.{key}", message="is not base64"))
    return {"kind": "secret", "files": files}, None


def _volume(**arguments: Any) -> Volume:
    return Volume(**{"kind": "other", **arguments})


VOLUME = Shape(
    _volume,
    Member(("emptyDir",), lambda value: {} if value.kind == "empty_dir" else None, _split_empty),
    Member(("secret",), _join_secret, _split_secret),
    _volume_part("azure_file", "share", "azureFile.shareName"),
    member("account", "azureFile.storageAccountName", text),
    member("key", "azureFile.storageAccountKey", text),
    member("read_only", "azureFile.readOnly", flag, _or_none),
    _volume_part("git_repo", "url", "gitRepo.repository"),
    member("directory", "gitRepo.directory", text),
    member("revision", "gitRepo.revision", text),
    read_only=("name",),
)
