"""
What the endpoint's pure part and a runtime say to each other.

The endpoint asks for :data:`Action` s; a runtime carries them out in its own time and reports
:data:`Observation` s. Nothing here does anything.

A group is named by its ``uid``: a new one for each incarnation, so that what a runtime reports about a
group that was deleted and made again can never be taken for the new one's.
All times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from attrs import field, frozen


@frozen(kw_only=True)
class Request:
    """
    A request to the endpoint.

    Attributes:
        method: Upper case.
        path: Decoded, without the query.
        query: The first value of each parameter; names in lower case.
        headers: Names in lower case. Not in the repr (bearer tokens).
        body: Raw bytes. Not in the repr (secrets).
        base_url: Scheme and authority that the client used, for absolute URLs in replies.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(factory=dict)
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    base_url: str = "https://management.azure.com"


@frozen(kw_only=True)
class Reply:
    """A reply of the endpoint; ``body`` is JSON or ``None`` for an empty one."""

    status: int
    body: Any = field(default=None, repr=False)
    headers: Mapping[str, str] = field(factory=dict)


@frozen(kw_only=True)
class RegistryAuth:
    """Credentials for one registry."""

    server: str
    username: str
    password: str = field(repr=False)


@frozen(kw_only=True)
class ResolveImages:
    """
    Ask of a runtime, before a PUT is accepted: are these images to be had?

    Answer: a tuple of :class:`ImageAnswer`, one an image, in order.
    """

    images: tuple[str, ...]
    auths: tuple[RegistryAuth, ...] = ()


@frozen(kw_only=True)
class ImageAnswer:
    """
    ``problem`` is ``None`` where the image can run here.

    ``exposed`` is what its configuration exposes, as ``80/tcp``; empty where that is not known.
    """

    image: str
    digest: str | None = None
    exposed: tuple[str, ...] = ()
    problem: Literal["inaccessible", "registry", "platform"] | None = None
    detail: str = ""


@frozen(kw_only=True)
class ReadLogs:
    """
    Ask of a runtime for a container's output, stdout and stderr as they came.

    Answer: the text; with ``timestamps`` each line begins with an RFC 3339 time and a space.
    """

    uid: str
    container: str
    tail: int | None = None
    timestamps: bool = False


Question: TypeAlias = ResolveImages | ReadLogs


# --- actions ----------------------------------------------------------------------------------


@frozen(kw_only=True)
class PortSpec:
    """A port of a group's address."""

    port: int
    protocol: Literal["TCP", "UDP"] = "TCP"


@frozen(kw_only=True)
class Mount:
    """
    One volume in one container.

    Attributes:
        volume: The volume's name, unique in its group.
        path: Where.
        read_only: As asked.
        kind: ``empty_dir`` and ``secret`` are what a runtime makes itself.
        files: For ``secret``: name to content.
    """

    volume: str
    path: str
    read_only: bool = False
    kind: Literal["empty_dir", "secret", "azure_file", "git_repo"] = "empty_dir"
    files: Mapping[str, bytes] = field(factory=dict, repr=False)


@frozen(kw_only=True)
class ContainerRun:
    """
    One container as a runtime shall start it.

    Attributes:
        name: Unique in its group.
        image: As the user wrote it.
        command: The exec array that replaces the image's entrypoint and command, or empty.
        env: Environment, secure values included.
        cpu: vCPU limit, or ``None``.
        memory_gb: Memory limit in GB, or ``None``.
        init: An init container.
        last: Its exit ends the group's last container (a hint, may be ignored).
    """

    name: str
    image: str
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(factory=dict, repr=False)
    mounts: tuple[Mount, ...] = ()
    cpu: float | None = None
    memory_gb: float | None = None
    init: bool = False
    privileged: bool = False
    run_as_user: int | None = None
    run_as_group: int | None = None


@frozen(kw_only=True)
class OpenSandbox:
    """
    Give a group its network: an address, and the ports it serves on.

    Answered by :class:`SandboxReady` or :class:`SandboxFailed`.

    Attributes:
        uid: The group.
        resource_id: Its ARM id, for labels.
        name: Its name, which is also the containers' hostname.
        containers: How many containers will share it, init containers included.
        ports: To be reachable from the caller; empty for a group without an address.
        restarts: Which ends of a container will be followed by another start; the group's address is
            to be held until then.
    """

    uid: str
    resource_id: str
    name: str
    containers: int
    ports: tuple[PortSpec, ...] = ()
    restarts: Literal["always", "on-failure", "never"] = "never"


@frozen(kw_only=True)
class PullImage:
    """Answered by :class:`PullStarted`, then :class:`Pulled` or :class:`PullFailed`."""

    uid: str
    container: str
    image: str
    auths: tuple[RegistryAuth, ...] = ()


@frozen(kw_only=True)
class StartContainer:
    """
    Create (or start again) and start one container in the group's sandbox.

    Answered by :class:`Started` or :class:`StartFailed`, and later by :class:`Exited`.

    Attributes:
        attempt: 0 for the first start, then one more for each restart.
    """

    uid: str
    run: ContainerRun
    attempt: int = 0


@frozen(kw_only=True)
class StopContainer:
    """SIGTERM, then SIGKILL after ``grace`` seconds; answered by :class:`Exited`."""

    uid: str
    container: str
    grace: float = 5.0


@frozen(kw_only=True)
class CloseSandbox:
    """Remove every container, volume and address of a group; answered by :class:`Closed`."""

    uid: str


Action: TypeAlias = OpenSandbox | PullImage | StartContainer | StopContainer | CloseSandbox


# --- observations -----------------------------------------------------------------------------


@frozen(kw_only=True)
class SandboxReady:
    """
    The group's sandbox is open; told again when it gets its address, or another one.

    Attributes:
        ip: What the group's ``ipAddress.ip`` will be (locally reachable); ``None`` as long as nothing
            is there.
        mapped: Where a port is reached elsewhere than on ``ip:port``: port to (host, port).
    """

    uid: str
    at: float
    ip: str | None = None
    mapped: Mapping[int, tuple[str, int]] = field(factory=dict)


@frozen(kw_only=True)
class SandboxFailed:
    """No address could be had; ``message`` names the port or the cause."""

    uid: str
    at: float
    message: str


@frozen(kw_only=True)
class PullStarted:
    """The pull has begun."""

    uid: str
    container: str
    at: float
    digest: str | None = None


@frozen(kw_only=True)
class Pulled:
    """The image is there (``cached``: it was before)."""

    uid: str
    container: str
    at: float
    digest: str | None = None
    cached: bool = False


@frozen(kw_only=True)
class PullFailed:
    """It could not be pulled; ``message`` is the registry's or the engine's."""

    uid: str
    container: str
    at: float
    message: str


@frozen(kw_only=True)
class Started:
    """A container's first process runs."""

    uid: str
    container: str
    at: float
    container_id: str
    attempt: int = 0
    notes: tuple[str, ...] = ()


@frozen(kw_only=True)
class StartFailed:
    """It could not be started (no such command, a bad mount)."""

    uid: str
    container: str
    at: float
    message: str
    attempt: int = 0


@frozen(kw_only=True)
class Exited:
    """A container's first process has ended."""

    uid: str
    container: str
    at: float
    exit_code: int
    container_id: str = ""
    oom_killed: bool = False
    attempt: int = 0


@frozen(kw_only=True)
class Closed:
    """Nothing of the group is left in the runtime."""

    uid: str
    at: float


Observation: TypeAlias = (
    SandboxReady
    | SandboxFailed
    | PullStarted
    | Pulled
    | PullFailed
    | Started
    | StartFailed
    | Exited
    | Closed
)
