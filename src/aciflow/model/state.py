"""
What there is: a container group as the service tells it.

The parser takes whatever comes. Events are late, out of order, repeated or absent in recorded traffic,
an address may never appear, and a list leaves the instance view out; none of that is an error here.
Times are seconds since the epoch, by the service's clock; events have whole seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import field, frozen

from aciflow.model.parts import Port, total


# Where events have the same whole second, the order in which they happen.
_ORDER = {"Pulling": 0, "Pulled": 1, "Created": 2, "Started": 3, "Killing": 4, "BackOff": 5}


@frozen(kw_only=True)
class Event:
    """
    Something that the service did or noticed.

    Attributes:
        name: ``Pulling``, ``Pulled``, ``Created``, ``Started``, ``Killing``, ``BackOff``, ...
        message: The service's words.
        type: ``Normal`` or ``Warning``.
        count: How often, since events are aggregated.
        first: When first.
        last: When last.
    """

    name: str
    message: str = ""
    type: str = "Normal"
    count: int = 1
    first: float
    last: float


@frozen(kw_only=True)
class ContainerState:
    """
    One stretch of a container's life.

    Attributes:
        state: ``Waiting``, ``Running`` or ``Terminated``.
        started_at: When its first process started.
        finished_at: When it ended.
        exit_code: Of its first process.
        detail: ``Error``, ``Completed``, ``CrashLoopBackOff: ...``; often empty.
    """

    state: str
    started_at: float | None = None
    finished_at: float | None = None
    exit_code: int | None = None
    detail: str = ""


@frozen(kw_only=True)
class ContainerStatus:
    """
    One container as it is.

    Attributes:
        name: As asked for.
        image: As asked for.
        restart_count: Times it was started again.
        current: Now; ``None`` until the service tells.
        previous: Before the last restart.
        events: Oldest first, each once.
    """

    name: str
    image: str = ""
    restart_count: int = 0
    current: ContainerState | None = None
    previous: ContainerState | None = None
    events: tuple[Event, ...] = ()


@frozen(kw_only=True)
class GroupState:
    """
    A container group as it is.

    Attributes:
        id: The ARM id.
        name: Of the group.
        resource_group: From the id.
        location: The region.
        tags: Of the resource.
        provisioning_state: ``Pending``, ``Creating``, ``Succeeded``, ``Failed``, ... It says that the
            service has done its part, not that a container lives.
        state: Of the instance view, or empty: ``Pending``, ``Running``, ``Succeeded``, ``Failed``,
            ``Stopped``, ...
        ip: Once there is one.
        fqdn: The public name; told before it resolves.
        ports: Open on the address.
        public: Whether the address is on the internet.
        containers: In the order asked for.
        init_containers: In the order they run.
        events: Of the group itself, oldest first, each once.
        restart_policy: As asked for.
        os_type: As asked for.
        cpu: vCPU of all containers together.
        memory_gb: GB of all containers together.
        priority: ``Regular`` or ``Spot``, which has another price.
        raw: The body itself. Not compared, not in the repr.
    """

    id: str
    name: str
    resource_group: str
    location: str
    tags: Mapping[str, str]
    provisioning_state: str
    state: str
    ip: str | None
    fqdn: str | None
    ports: tuple[Port, ...]
    public: bool
    containers: tuple[ContainerStatus, ...]
    init_containers: tuple[ContainerStatus, ...]
    events: tuple[Event, ...]
    restart_policy: str
    os_type: str
    cpu: float
    memory_gb: float
    priority: str = "Regular"
    raw: Mapping[str, Any] = field(repr=False, eq=False)

    @classmethod
    def from_arm(cls, body: Mapping[str, Any]) -> GroupState:
        """
        Read the body of a GET, a PUT's reply or a list's item.

        Args:
            body: A container group as ARM has it.
        """
        body = _object(body)
        props = _object(body.get("properties"))
        address = _object(props.get("ipAddress"))
        view = _object(props.get("instanceView"))
        resource_id = _text(body.get("id"))
        containers = [_object(item) for item in _list(props.get("containers"))]
        requests = [
            _object(_object(_object(item.get("properties")).get("resources")).get("requests"))
            for item in containers
        ]
        return cls(
            id=resource_id,
            name=_text(body.get("name")) or resource_id.rpartition("/")[2],
            resource_group=_after(resource_id, "resourcegroups"),
            location=_text(body.get("location")),
            tags={str(key): _text(value) for key, value in _object(body.get("tags")).items()},
            provisioning_state=_text(props.get("provisioningState")),
            state=_text(view.get("state")),
            ip=_text(address.get("ip")) or None,
            fqdn=_text(address.get("fqdn")) or None,
            ports=tuple(_ports(address.get("ports"))),
            public=_text(address.get("type")).lower() == "public",
            containers=tuple(_container(item) for item in containers),
            init_containers=tuple(
                _container(_object(item)) for item in _list(props.get("initContainers"))
            ),
            events=_events(view.get("events")),
            restart_policy=_text(props.get("restartPolicy")),
            os_type=_text(props.get("osType")),
            cpu=total(_number(item.get("cpu")) or 0.0 for item in requests),
            memory_gb=total(_number(item.get("memoryInGB")) or 0.0 for item in requests),
            priority=_text(props.get("priority")) or "Regular",
            raw=body,
        )


def parse_time(text: Any) -> float | None:
    """
    Seconds since the epoch of an ARM time, such as ``2023-05-05T00:15:33.4566364Z``.

    Args:
        text: What stands there. A time without a zone is UTC.

    Returns:
        ``None`` for what is no time, and for .NET's ``0001-01-01T00:00:00Z``, which means none.
    """
    from datetime import UTC, datetime  # it costs more than this module

    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    if moment.year == 1:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _container(item: Mapping[str, Any]) -> ContainerStatus:
    props = _object(item.get("properties"))
    view = _object(props.get("instanceView"))
    return ContainerStatus(
        name=_text(item.get("name")),
        image=_text(props.get("image")),
        restart_count=_whole(view.get("restartCount")) or 0,
        current=_state(view.get("currentState")),
        previous=_state(view.get("previousState")),
        events=_events(view.get("events")),
    )


def _state(value: Any) -> ContainerState | None:
    item = _object(value)
    if not item:
        return None
    return ContainerState(
        state=_text(item.get("state")),
        started_at=parse_time(item.get("startTime")),
        finished_at=parse_time(item.get("finishTime")),
        exit_code=_whole(item.get("exitCode")),
        detail=_text(item.get("detailStatus")),
    )


def _events(value: Any) -> tuple[Event, ...]:
    """Each once, oldest first; one without any time cannot be placed and is left out."""
    found: dict[tuple[str, str, float, float], Event] = {}
    for item in map(_object, _list(value)):
        last = parse_time(item.get("lastTimestamp"))
        first = parse_time(item.get("firstTimestamp"))
        first = last if first is None else first
        if first is None:
            continue
        event = Event(
            name=_text(item.get("name")),
            message=_text(item.get("message")),
            type=_text(item.get("type")),
            count=_whole(item.get("count")) or 1,
            first=first,
            last=first if last is None else last,
        )
        found.setdefault((event.name, event.message, event.first, event.last), event)
    return tuple(sorted(found.values(), key=lambda e: (e.first, _ORDER.get(e.name, 9), e.last)))


def _ports(value: Any) -> Iterable[Port]:
    for item in map(_object, _list(value)):
        port = _whole(item.get("port"))
        if port is not None:
            udp = _text(item.get("protocol")).upper() == "UDP"
            yield Port(port=port, protocol="UDP" if udp else "TCP")


def _after(resource_id: str, word: str) -> str:
    """The segment after one that is ``word`` in any case (ARM spells resourceGroups both ways)."""
    parts = resource_id.split("/")
    kinds = [part.lower() for part in parts[:-1]]
    return parts[kinds.index(word) + 1] if word in kinds else ""


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if good else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None
