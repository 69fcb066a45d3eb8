"""
Probing a container from inside, by commands in it.

For conditions that ask for it, and for ports that are silent from here although their container runs: a
laptop behind an egress filter, or a private address, look like that while all is well. A command is a
request to ARM and a session, so they come one at a time, at their own pace, and what was not asked for only
a few times.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

from attrs import define, field

from aciflow.errors import (
    AciflowError,
    ArmError,
    ContainerNotRunningError,
    ExecError,
    GroupGoneError,
    NoShellError,
)
from aciflow.flow.effects import Done, Exec, ProbeResult
from aciflow.flow.ids import GroupRef
from aciflow.flow.pace import Pace
from aciflow.flow.retry import transient
from aciflow.model import GroupState
from aciflow.ready import Check, ExecCheck, HttpCheck, InsideCheck, TcpCheck
from aciflow.sessions.values import ExecResult


__all__ = ["MOST_UNASKED", "SILENT", "Inside", "inside_alone"]

# Commands that nobody has asked for, at the most, in one wait.
MOST_UNASKED = 10
# What a port that cannot be reached from here looks like.
SILENT = frozenset({"timeout", "unroutable"})

_OK = ProbeResult(ready=True, reason="ok")
_NO_TOOL = 69
_NOTHING = 7

# The kernel's list of listening sockets: every shell can read it, and no tool has to be there.
_TCP = """
for f in /proc/net/tcp /proc/net/tcp6; do
  [ -r $f ] && while read -r _ l _ s _; do
    case "$l $s" in *:PORT\\ 0A) exit 0;; esac
  done < $f
done
exit 7
"""

# One GET without redirects or proxies, as from here; the status is printed. wget follows redirects, so the
# first status that it saw counts. Options that busybox's may lack (-T, -t) are left out.
_HTTP = """
u=http://127.0.0.1:$1$2
if command -v curl >/dev/null 2>&1; then
  s=$(http_proxy= all_proxy= ALL_PROXY= curl -s -o /dev/null -m $3 -w '%{http_code}' "$u") ||
    [ "$s" -gt 0 ] 2>/dev/null || exit 7
  echo $s; exit 0
fi
if command -v wget >/dev/null 2>&1; then
  s=$(http_proxy= wget -S -O /dev/null "$u" 2>&1)
  set -- $(printf '%s\\n' "$s" | while read -r a b _; do case $a in HTTP/*) echo $b; break;; esac; done)
  [ -n "$1" ] || exit 7
  echo $1; exit 0
fi
if command -v bash >/dev/null 2>&1; then
  exec bash -c 'exec 3<>/dev/tcp/127.0.0.1/$0 || exit 7
    printf "GET %s HTTP/1.0\\r\\nHost: 127.0.0.1\\r\\n\\r\\n" "$1" >&3
    read -r -t $2 _ s _ <&3 || exit 7; echo $s' $1 "$2" $3
fi
if command -v nc >/dev/null 2>&1; then
  s=$(printf 'GET %s HTTP/1.0\\r\\nHost: 127.0.0.1\\r\\n\\r\\n' "$2" | nc -w $3 127.0.0.1 $1 |
    { read -r _ s _; echo $s; })
  [ -n "$s" ] || exit 7
  echo $s; exit 0
fi
exit 69
"""


def inside_alone(check: Check) -> TypeGuard[InsideCheck]:
    """Whether a condition is never looked at from here."""
    return isinstance(check, ExecCheck) or (
        isinstance(check, TcpCheck | HttpCheck) and check.via == "container"
    )


@define(kw_only=True)
class Inside:
    """The commands of one wait."""

    ref: GroupRef
    pace: Pace
    hopeless: bool = field(init=False, default=False)
    outcomes: dict[Check, ProbeResult] = field(init=False, factory=dict)
    under_way: tuple[int, InsideCheck, float] | None = field(init=False, default=None)
    next_at: dict[Check, float] = field(init=False, factory=dict)
    began: bool = field(init=False, default=False)
    unasked: int = field(init=False, default=0)

    def wanted(
        self,
        checks: Iterable[Check],
        state: GroupState | None,
        since: float | None,
        now: float,
        seen: Mapping[Any, ProbeResult],
    ) -> tuple[InsideCheck, float] | None:
        """
        What to look at next and when, if anything.

        Args:
            checks: Those that are not met yet.
            state: As ARM last said.
            since: When all containers were first seen running, or ``None``.
            now: The time.
            seen: How the probes from here went.
        """
        if state is None:
            return None
        found: list[InsideCheck] = []
        for check in checks:
            if inside_alone(check):
                if _runs(state, container_for(check, state)):
                    found.append(check)
            elif isinstance(check, TcpCheck | HttpCheck) and check.via == "auto":
                silent = check in seen and seen[check].reason in SILENT
                long = since is not None and now - since >= self.pace.inside
                allowed = not self.hopeless and self.unasked < MOST_UNASKED
                if silent and long and allowed and state.os_type != "Windows":
                    found.append(check)
        due = [(check, self.next_at.get(check, now)) for check in found]
        return min(due, key=lambda pair: pair[1], default=None)

    def begin(self, check: InsideCheck, token: int, now: float) -> None:
        """It has been started."""
        self.under_way = token, check, now
        self.began = True
        self.unasked += not inside_alone(check)

    def take(self, done: Done, now: float) -> tuple[InsideCheck, ProbeResult, float]:
        """
        What came of it: the condition, the result, and when it was started.

        Raises:
            AciflowError: It can never be told, and was asked for.
        """
        assert self.under_way is not None  # noqa: S101 (its token was looked up there)
        (_, check, sent), self.under_way = self.under_way, None
        self.next_at[check] = now + self.pace.inside
        try:
            result = judge(check, done.result())
        except AciflowError as error:
            if not _passes(error):
                if inside_alone(check):
                    raise
                self.hopeless = True
            # Not "timeout", which is what a port does that cannot be reached from here.
            result = ProbeResult(ready=False, reason="exit", detail=error.message)
            if not inside_alone(check):
                return check, result, sent  # it says nothing about the port
        self.outcomes[check] = result
        return check, result, sent


def effect_for(check: InsideCheck, state: GroupState, ref: GroupRef, port: int | None) -> Exec:
    """The command that looks at a condition."""
    seconds = str(max(1, round(check.timeout)))
    if isinstance(check, ExecCheck):
        argv = check.argv
    elif isinstance(check, TcpCheck):
        argv = ("sh", "-c", _TCP.replace("PORT", f"{port:04X}"))
    else:
        argv = ("sh", "-c", _HTTP, "sh", str(port), check.path, seconds)
    return Exec(
        resource_group=ref.resource_group.name,
        name=ref.name,
        container=container_for(check, state),
        argv=argv,
        # The tools have the check's own time; the session needs some, too.
        timeout=check.timeout if isinstance(check, ExecCheck) else check.timeout + 10.0,
        shell=state.os_type != "Windows",
        port=port,
    )


def judge(check: InsideCheck, result: ExecResult) -> ProbeResult:
    """
    What a command's end means.

    Raises:
        NoShellError: There was no shell to tell.
        ExecError: The image has nothing to ask with.
    """
    if result.exit_code is None:
        raise NoShellError(f"{check}: the image has no shell that could tell how a command ended")
    last = result.output.strip().rpartition("\n")[2][-200:]
    if isinstance(check, ExecCheck):
        if result.exit_code == 0:
            return _OK
        detail = f"{check.argv[0]} ended with exit code {result.exit_code}"
        detail += f": {last}" if last else ""
        return ProbeResult(ready=False, reason="exit", detail=detail)
    if result.exit_code == _NO_TOOL:
        raise _NoToolError(
            f"{check} cannot be asked from inside: the image has none of curl, wget, bash and nc"
        )
    if result.exit_code != 0:
        what = (
            "nothing answers there" if result.exit_code == _NOTHING else f"the probe failed: {last}"
        )
        return ProbeResult(ready=False, reason="refused", detail=f"{check} from inside: {what}")
    if isinstance(check, TcpCheck):
        return _OK
    if last.isdigit() and int(last) in check.status:
        return _OK
    detail = f"GET {check.path} from inside answered {last or 'nothing'}"
    return ProbeResult(ready=False, reason="status", detail=detail)


class _NoToolError(ExecError):
    pass


def container_for(check: Check, state: GroupState) -> str:
    """
    In which container to look.

    All of a group share their ports; the one that declares it is the one that should have what it takes.
    """
    asked = getattr(check, "container", None)
    port = getattr(check, "port", None)
    if asked is not None:
        return str(asked)
    containers = _objects(state.raw.get("properties", {}).get("containers"))
    for item in containers if port is not None else ():
        if any(
            one.get("port") == port for one in _objects(item.get("properties", {}).get("ports"))
        ):
            return str(item.get("name"))
    return state.containers[0].name if state.containers else ""


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value or () if isinstance(item, Mapping)]


def _runs(state: GroupState, container: str) -> bool:
    current = next((s.current for s in state.containers if s.name == container), None)
    return current is not None and current.state == "Running"


def _passes(error: AciflowError) -> bool:
    """Whether the same command may succeed a little later."""
    if isinstance(error, NoShellError | _NoToolError):
        return False
    if isinstance(error, ArmError):
        return transient(error)
    return isinstance(error, ContainerNotRunningError | ExecError | GroupGoneError) or transient(
        error
    )
