"""``aciflow launch`` and ``aciflow run``."""

from __future__ import annotations

import http.client
import threading

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from aciflow.cli import values
from aciflow.cli.common import address, client, group_document, to_delete


if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from aciflow import ContainerGroup
    from aciflow.cli.output import Output
    from aciflow.timeline.live import ProgressHook


__all__ = ["first_line", "launch", "run"]

# A server that is ready answers at once, and the first line is a courtesy.
_FIRST_LINE_WITHIN = 3.0
_LONGEST_LINE = 200


def launch(args: Namespace, output: Output) -> int:
    """Launch, say where it serves and where the time went, and how to delete it."""
    holding = args.rm or args.lifetime == "process"
    options = _shape(args) | {
        "restart_policy": args.restart_policy,
        "ready": values.ready(args.ready),
        "timeout": args.timeout,
        "wait": not args.no_wait,
        "if_exists": args.if_exists,
        "on_failure": args.on_failure,
        "lifetime": "scope" if holding else "detached",
    }
    with closing(client(args)) as via:
        with _progress(output) as hook:
            group = via.launch(args.image, **options, on_phase=hook)
        if not holding:
            _tell(args, output, group, holding=False)
            return 0
        with group:
            _tell(args, output, group, holding=True)
            output.note("press Ctrl-C to delete it")
            _hold()
    return 0


def run(args: Namespace, output: Output) -> int:
    """Run a container to its end; its exit code is this command's."""
    options = _shape(args) | {"start_timeout": args.start_timeout, "timeout": args.timeout}
    command = options.pop("command")
    with closing(client(args)) as via, _progress(output) as hook:

        def line(found: Any) -> None:
            if hook is not None:
                hook.close()
            output.line(str(found))

        result = via.run(args.image, command, **options, on_log=line, on_phase=hook)
    document = {
        "exit_code": result.exit_code,
        "logs": result.logs,
        "logs_truncated": result.logs_truncated,
        "estimated_cost_usd": result.estimated_cost,
        "timeline": result.timeline.to_dict(),
    }
    if args.json:
        output.result(document, "")
    if result.logs_truncated:
        output.note("note: some of its log was lost: Azure keeps only the last 4 MB of it")
    if args.timeline:
        output.note(str(result.timeline))
    if result.exit_code is None:
        output.note("error: it ended, and the service reported no exit code")
        return 1
    return result.exit_code


def _shape(args: Namespace) -> dict[str, Any]:
    """The arguments that ``launch`` and ``run`` share."""
    from aciflow import Volume

    registry = values.registry(args.registry, args.registry_user, args.registry_identity)
    return {
        "command": args.argv or None,
        "name": args.name,
        "public_ip": args.public_ip,
        "ports": args.ports,
        "cpu": args.cpu,
        "memory_gb": args.memory,
        "env": values.pairs("--env", args.env) or None,
        "secure_env": values.secrets(args.secure_env) or None,
        "files": values.files(args.file) or None,
        "volumes": {path: Volume.empty_dir() for path in args.empty_dir} or None,
        "dns_label": args.dns_label,
        "os_type": args.os_type,
        "identity": args.identity,
        "subnet": args.subnet,
        "zone": args.zone,
        "spot": args.spot,
        "tags": values.pairs("--tag", args.tags) or None,
        "registry": registry,
        "location": args.location,
        "delete_after": values.duration(args.delete_after),
    }


@contextmanager
def _progress(output: Output) -> Iterator[ProgressHook | None]:
    """The progress line, which is gone before anything else is printed."""
    hook = output.progress()
    try:
        yield hook
    finally:
        if hook is not None:
            hook.close()


def _tell(args: Namespace, output: Output, group: ContainerGroup, *, holding: bool) -> None:
    from aciflow.model.cost import daily_cost

    line = None if args.no_wait else first_line(group)
    a_day = (
        daily_cost(args.cpu, args.memory, group.location, spot=args.spot, os_type=args.os_type)
        if group.target == "azure"
        else None
    )
    url = address(group)
    text = [f"{group.name}: {group.state}" if url is None else f"serving at {url}"]
    if args.no_wait:
        text = [f"{group.name}: accepted, not waited for"]
    if line is not None:
        text.append(f"first line: {line}")
    text += ["", str(group.timeline)]
    if not holding:
        text += ["", *_afterwards(args, group, a_day)]
    document = group_document(group) | {
        "first_line": line,
        "lifetime": "scope" if holding else "detached",
        "delete_with": to_delete(args, group),
        "cost_per_day_usd": a_day,
        "timeline": group.timeline.to_dict(),
    }
    output.result(document, "\n".join(text))


def _afterwards(args: Namespace, group: ContainerGroup, a_day: float | None) -> list[str]:
    if group.target != "azure":
        costs = "it costs nothing: it runs on this machine's engine"
        if group.target == "url":
            costs = "what it costs, its endpoint does not say"
    elif a_day is None:
        costs = f"what it costs in {group.location} is not known here; it costs until it is deleted"
    else:
        costs = f"it costs about ${a_day:.2f} a day (retail price) until it is deleted"
    return [f"delete it with: {to_delete(args, group)}", costs]


def first_line(group: ContainerGroup) -> str | None:
    """The first line that is served at ``/``, or ``None`` where that is no HTTP, or has no text."""
    if address(group) is None:
        return None
    endpoint = group.endpoint()
    # Not httpx: it would go through a proxy, and the container is looked at from here.
    connection = http.client.HTTPConnection(
        endpoint.host, endpoint.port, timeout=_FIRST_LINE_WITHIN
    )
    try:
        connection.request("GET", "/")
        content = connection.getresponse().read(65536).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    lines = (line.strip() for line in content.splitlines())
    return next((line[:_LONGEST_LINE] for line in lines if line), None)


def _hold() -> None:
    """Wait for Ctrl-C or SIGTERM, which come as exceptions."""
    forever = threading.Event()
    while True:
        # With a time, since on Windows a wait without one cannot be interrupted.
        forever.wait(3600.0)
