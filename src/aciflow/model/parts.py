"""
The pieces of a container group, as one asks for them.

Names follow Azure's, in Python's spelling; numbers are vCPU, GB and seconds. Every class has ``extra``:
raw ARM JSON that is merged last into what the class itself sends, so that a field newer than aciflow is
never out of reach. Objects are merged member by member, a list is appended to ours, anything else
replaces it.

Nothing is checked here beyond what could not be stored at all: :func:`aciflow.model.validate` says
everything that is wrong at once.
"""

from __future__ import annotations

import math

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from attrs import field, frozen


Protocol = Literal["TCP", "UDP"]
VolumeKind = Literal["empty_dir", "secret", "azure_file", "git_repo", "other"]


def as_texts(value: Iterable[str]) -> tuple[str, ...]:
    """
    A tuple of strings from any iterable of them, except from a string.

    Raises:
        TypeError: ``value`` is one string: its letters are never what was meant.
    """
    if isinstance(value, str):
        message = f"expected a sequence of strings, not one string ({len(value)} characters)"
        raise TypeError(message)
    return tuple(value)


def as_json(value: Mapping[str, Any] | None) -> dict[str, Any]:
    """A copy, so that a frozen value does not change with its source."""
    return dict(value or {})


def as_text_map(value: Mapping[str, str] | None) -> dict[str, str]:
    """A copy of a mapping of strings."""
    return dict(value or {})


def as_words(value: str | Iterable[str]) -> tuple[str, ...]:
    """The words of a string (ARM has them in one), or of a sequence."""
    return tuple(value.split()) if isinstance(value, str) else tuple(value)


def as_number(value: float | None) -> float | None:
    """A float, or ``None``."""
    return None if value is None else float(value)


def as_headers(value: Mapping[str, str] | Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Pairs, in order; a name may come twice."""
    pairs: Any = value.items() if isinstance(value, Mapping) else value
    return tuple(pairs)


def as_files(value: Mapping[str, bytes | str] | None) -> dict[str, bytes]:
    """Contents as bytes; text is UTF-8."""
    return {
        name: content.encode() if isinstance(content, str) else bytes(content)
        for name, content in (value or {}).items()
    }


def total(values: Iterable[float]) -> float:
    """A sum in which ten tenths are one."""
    return round(math.fsum(values), 6)


def names_only(value: Mapping[str, Any]) -> str:
    """The repr of a mapping with secret values."""
    return "{" + ", ".join(f"{name!r}: ..." for name in value) + "}"


def _without_user(value: str | None) -> str:
    """The repr of a URL that may hold a user and a token."""
    if value is None or "@" not in value:
        return repr(value)
    scheme, _, rest = value.rpartition("//") if "//" in value else ("", "", value)
    return repr(f"{scheme}//...@{rest.rpartition('@')[2]}")


def extra_field() -> Any:
    """Raw ARM JSON; not in the repr, since it may hold what ought to be secret."""
    return field(factory=dict, converter=as_json, repr=False, kw_only=True)


def _secret() -> Any:
    return field(default=None, repr=_present, kw_only=True)


def _present(value: str | None) -> str:
    return "None" if value is None else "..."


@frozen
class Port:
    """
    A port; ACI maps none, so a container's port is the public one.

    Attributes:
        port: 1 to 65535.
        protocol: ``TCP`` or ``UDP``.
    """

    port: int
    protocol: Protocol = "TCP"
    extra: Mapping[str, Any] = extra_field()

    def __str__(self) -> str:
        return f"{self.port}/{self.protocol}"


def as_ports(value: Iterable[int | Port]) -> tuple[Port, ...]:
    """Ports, where a bare number is TCP."""
    return tuple(item if isinstance(item, Port) else Port(item) for item in value)


@frozen(kw_only=True)
class Resources:
    """
    What a container gets.

    Attributes:
        cpu: vCPU requested (and paid).
        memory_gb: Memory requested, in GB.
        cpu_limit: vCPU that it may use while others idle; at most the group's total.
        memory_limit_gb: The same for memory.
        gpu: Number of GPUs. Azure retired them on 2025-07-14; here so that old groups can be read.
        gpu_sku: ``K80``, ``P100`` or ``V100``.
    """

    cpu: float = field(default=1.0, converter=float)
    memory_gb: float = field(default=1.5, converter=float)
    cpu_limit: float | None = field(default=None, converter=as_number)
    memory_limit_gb: float | None = field(default=None, converter=as_number)
    gpu: int | None = None
    gpu_sku: str | None = None
    extra: Mapping[str, Any] = extra_field()


@frozen(kw_only=True)
class Volume:
    """
    Something to mount; made by one of its class methods.

    Attributes:
        kind: Which of the four; ``other`` is one that only ``extra`` describes.
        files: ``secret``: file name to content.
        share: ``azure_file``: the share.
        account: ``azure_file``: the storage account.
        key: ``azure_file``: the account's key. The service never tells it back.
        read_only: ``azure_file``: mounted so everywhere.
        url: ``git_repo``: what to clone.
        directory: ``git_repo``: into which directory of the volume; ``.`` for the volume itself.
        revision: ``git_repo``: the commit; the newest without.
    """

    kind: VolumeKind
    files: Mapping[str, bytes] = field(factory=dict, converter=as_files, repr=names_only)
    share: str | None = None
    account: str | None = None
    key: str | None = _secret()
    read_only: bool = False
    url: str | None = field(default=None, repr=_without_user)
    directory: str | None = None
    revision: str | None = None
    extra: Mapping[str, Any] = extra_field()

    @classmethod
    def empty_dir(cls) -> Volume:
        """An empty directory that the group's containers share; gone with the group."""
        return cls(kind="empty_dir")

    @classmethod
    def secret(cls, files: Mapping[str, bytes | str]) -> Volume:
        """Files in memory, read-only; text is stored as UTF-8."""
        return cls(kind="secret", files=files)

    @classmethod
    def azure_file(
        cls, share: str, account: str, key: str | None = None, *, read_only: bool = False
    ) -> Volume:
        """A share of Azure Files."""
        return cls(kind="azure_file", share=share, account=account, key=key, read_only=read_only)

    @classmethod
    def git_repo(
        cls, url: str, directory: str | None = None, revision: str | None = None
    ) -> Volume:
        """A clone made when the group starts."""
        return cls(kind="git_repo", url=url, directory=directory, revision=revision)


@frozen(kw_only=True)
class VolumeMount:
    """
    A volume in a container.

    Attributes:
        name: One of the group's ``volumes``.
        mount_path: An absolute directory. What the image has there is hidden.
        read_only: As it says.
    """

    name: str
    mount_path: str
    read_only: bool = False
    extra: Mapping[str, Any] = extra_field()


@frozen(kw_only=True)
class Probe:
    """
    A check that the service makes; a command or an HTTP request (ACI has no TCP probe).

    Attributes:
        command: Runs in the container; 0 is healthy.
        http_path: Of the request.
        http_port: Of the request.
        http_scheme: ``http`` or ``https``.
        http_headers: Pairs; not in the repr.
        initial_delay: Seconds before the first.
        period: Seconds between two.
        failure_threshold: So many failures in a row count.
        success_threshold: So many successes in a row count.
        timeout: Seconds for one.
    """

    command: tuple[str, ...] = field(default=(), converter=as_texts)
    http_path: str | None = None
    http_port: int | None = None
    http_scheme: str | None = None
    http_headers: tuple[tuple[str, str], ...] = field(default=(), converter=as_headers, repr=False)
    initial_delay: int | None = None
    period: int | None = None
    failure_threshold: int | None = None
    success_threshold: int | None = None
    timeout: int | None = None
    extra: Mapping[str, Any] = extra_field()

    @classmethod
    def exec(cls, command: Iterable[str], **timing: Any) -> Probe:
        """A command; ``timing`` are the fields from ``initial_delay`` on."""
        return cls(command=command, **timing)

    @classmethod
    def http(cls, port: int, path: str = "/", *, scheme: str = "http", **more: Any) -> Probe:
        """An HTTP request; ``more`` are ``http_headers`` and the fields from ``initial_delay`` on."""
        return cls(http_port=port, http_path=path, http_scheme=scheme, **more)


@frozen
class Registry:
    """
    How to pull from a private registry: a user-assigned identity, or a name and a password.

    Attributes:
        server: Host name, without a scheme.
        identity: Resource id of a user-assigned identity that the group has too.
        username: With ``password``.
        password: The service never tells it back.
        identity_url: Where the identity's token comes from.
    """

    server: str
    identity: str | None = field(default=None, kw_only=True)
    username: str | None = field(default=None, kw_only=True)
    password: str | None = _secret()
    identity_url: str | None = field(default=None, kw_only=True)
    extra: Mapping[str, Any] = extra_field()


@frozen(kw_only=True)
class Identity:
    """
    The group's managed identities.

    Attributes:
        system_assigned: One of its own, made and deleted with the group.
        user_assigned: Resource ids.
    """

    system_assigned: bool = False
    user_assigned: tuple[str, ...] = field(default=(), converter=as_texts)
    extra: Mapping[str, Any] = extra_field()


@frozen(kw_only=True)
class DnsConfig:
    """
    Name resolution inside the group.

    Attributes:
        name_servers: Addresses.
        search_domains: A sequence, or one string with spaces.
        options: As in resolv.conf; a sequence, or one string with spaces.
    """

    name_servers: tuple[str, ...] = field(converter=as_texts)
    search_domains: tuple[str, ...] = field(default=(), converter=as_words)
    options: tuple[str, ...] = field(default=(), converter=as_words)
    extra: Mapping[str, Any] = extra_field()


@frozen(kw_only=True)
class LogAnalytics:
    """
    A workspace that gets the group's logs and events.

    Attributes:
        workspace_id: The workspace's customer id.
        workspace_key: The service never tells it back.
        log_type: ``ContainerInsights`` or ``ContainerInstanceLogs``.
        workspace_resource_id: The ARM id.
        metadata: Added to each record.
    """

    workspace_id: str
    workspace_key: str | None = _secret()
    log_type: str | None = None
    workspace_resource_id: str | None = None
    metadata: Mapping[str, str] = field(factory=dict, converter=as_text_map)
    extra: Mapping[str, Any] = extra_field()


@frozen(kw_only=True)
class SecurityContext:
    """
    What a container's processes may do.

    Attributes:
        privileged: All; the Confidential sku only.
        allow_privilege_escalation: Whether a process may gain more than its parent has.
        add_capabilities: Linux capabilities to have besides the usual ones.
        drop_capabilities: Linux capabilities not to have.
        run_as_user: User id.
        run_as_group: Group id.
        seccomp_profile: A profile's JSON in base64.
    """

    privileged: bool | None = None
    allow_privilege_escalation: bool | None = None
    add_capabilities: tuple[str, ...] = field(default=(), converter=as_texts)
    drop_capabilities: tuple[str, ...] = field(default=(), converter=as_texts)
    run_as_user: int | None = None
    run_as_group: int | None = None
    seccomp_profile: str | None = None
    extra: Mapping[str, Any] = extra_field()


@frozen(kw_only=True)
class Extension:
    """
    A deployment extension of the group.

    Attributes:
        name: Its own.
        type: Such as ``kube-proxy`` or ``realtime-metrics``.
        version: Of the extension.
        settings: Any JSON object.
        protected_settings: The same, never told back and not in the repr.
    """

    name: str
    type: str
    version: str
    settings: Mapping[str, Any] = field(factory=dict, converter=as_json)
    protected_settings: Mapping[str, Any] = field(factory=dict, converter=as_json, repr=False)
    extra: Mapping[str, Any] = extra_field()
