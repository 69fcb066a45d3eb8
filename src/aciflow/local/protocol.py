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


class Dropped(Exception):  # noqa: N818 - it is what a transport has to do, not a fault of the endpoint
    """
    Raised instead of a reply: whoever carries it closes the connection and says nothing.

    Attributes:
        effect: Whether the request was carried out before.
    """

    def __init__(self, *, effect: bool) -> None:
        super().__init__("the connection was dropped, as a fault of this endpoint says")
        self.effect = effect


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


@frozen(kw_only=True)
class ListImages:
    """
    Ask of a runtime: which images are here already?

    Answer: a tuple of names, ``nginx:1.27``, sorted; without those that aciflow itself made.
    """


Question: TypeAlias = ResolveImages | ReadLogs | ListImages


@frozen(kw_only=True)
class OpenTerminal:
    """
    What a session that exec or attach has made leads to; a runtime opens it, see ``Runtime.terminal``.

    Attributes:
        uid: The group.
        container: Its name.
        kind: ``exec`` starts a process with a terminal; ``attach`` shows what the container writes from
            now on.
        command: For ``exec``: the one command, as it was asked for.
        rows: Of the terminal.
        columns: Of the terminal.
    """

    uid: str
    container: str
    kind: Literal["exec", "attach"]
    command: str = ""
    rows: int = 24
    columns: int = 80


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
        kind: ``empty_dir``, ``secret`` and ``git_repo`` are what a runtime makes itself.
        files: For ``secret``: name to content.
        folder: For ``azure_file``: the local folder that stands for the share.
        repository: For ``git_repo``: its URL.
        directory: For ``git_repo``: where in the volume; ``.`` for its root, empty for a folder named
            after the repository (as ``git clone`` and Kubernetes have it).
        revision: For ``git_repo``: the commit, or empty for the head.
        generation: How often the group was stopped before: what a runtime makes itself is new then.
    """

    volume: str
    path: str
    read_only: bool = False
    kind: Literal["empty_dir", "secret", "azure_file", "git_repo"] = "empty_dir"
    files: Mapping[str, bytes] = field(factory=dict, repr=False)
    folder: str = ""
    repository: str = field(default="", repr=False)
    directory: str = ""
    revision: str = ""
    generation: int = 0

    @property
    def key(self) -> str:
        """What tells it from the other volumes of its group, earlier generations included."""
        return f"{self.volume}.{self.generation}" if self.generation else self.volume


@frozen(kw_only=True)
class Probe:
    """
    A liveness or readiness probe as ACI has them; either ``command`` or ``port`` is set.

    Attributes:
        command: To run inside the container; exit code 0 is a success.
        port: Of an HTTP GET; a status from 200 to 399 is a success.
        path: Of the GET.
        scheme: ``http`` or ``https`` (whose certificate is not checked, as by the kubelet).
        headers: Of the GET.
        initial_delay: Seconds from the container's start to the first probe.
        period: Seconds from one probe to the next.
        failure_threshold: Failures in a row that count.
        success_threshold: Successes in a row that count.
        timeout: Seconds that one probe may take.
    """

    command: tuple[str, ...] = ()
    port: int | None = None
    path: str = "/"
    scheme: Literal["http", "https"] = "http"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    initial_delay: float = 0.0
    period: float = 10.0
    failure_threshold: int = 3
    success_threshold: int = 1
    timeout: float = 1.0


ProbeKind: TypeAlias = Literal["liveness", "readiness"]


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
        probes: Its probes; a runtime runs one when it is told to, see :class:`RunProbe`.
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
    probes: Mapping[ProbeKind, Probe] = field(factory=dict)


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
        probe_ports: TCP ports that :class:`RunProbe` will ask for; they need not be of its address.
    """

    uid: str
    resource_id: str
    name: str
    containers: int
    ports: tuple[PortSpec, ...] = ()
    restarts: Literal["always", "on-failure", "never"] = "never"
    probe_ports: tuple[int, ...] = ()


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
class RunProbe:
    """
    Probe a running container once; answered by :class:`Probed`.

    Attributes:
        attempt: The start that it is about; nothing is answered once that has ended.
        number: Which probe of its kind this is, from 0 for each attempt.
    """

    uid: str
    container: str
    kind: ProbeKind
    probe: Probe
    attempt: int = 0
    number: int = 0


@frozen(kw_only=True)
class CloseSandbox:
    """Remove every container, volume and address of a group; answered by :class:`Closed`."""

    uid: str


Action: TypeAlias = (
    OpenSandbox | PullImage | StartContainer | StopContainer | RunProbe | CloseSandbox
)


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
    """
    It could not be started (no such command, a volume that cannot be had).

    Attributes:
        volume: The name of the volume that could not be had; empty where it was something else.
    """

    uid: str
    container: str
    at: float
    message: str
    attempt: int = 0
    volume: str = ""


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
class Probed:
    """What a probe saw; ``message`` says why it failed, in one line."""

    uid: str
    container: str
    at: float
    kind: ProbeKind
    ok: bool
    message: str = ""
    attempt: int = 0
    number: int = 0


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
    | Probed
    | Closed
)
