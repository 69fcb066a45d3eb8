"""
From a request to a container group that serves, or to a typed error with nothing left behind.

The order matters: the intent is on disk before the first request, the resources carry our tags from the
first request on, and whatever ends the launch (an error, Ctrl-C, a cancelled task) is answered by deleting
what the launch may have made.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from attrs import define, evolve, field, frozen

from aciflow.errors import (
    AciflowError,
    ArmError,
    CapacityError,
    ContainerExitedError,
    EndpointUnreachableError,
    LaunchContext,
    Leftover,
    NameTakenError,
    NotFoundError,
    NotOursError,
    NotRegisteredError,
    QuotaExceededError,
    RegionUnavailableError,
)
from aciflow.flow.delete import DELETE_BUDGET, delete_group
from aciflow.flow.effects import (
    ArmCall,
    ArmReply,
    Authenticate,
    Env,
    Flow,
    LedgerClear,
    LedgerWrite,
)
from aciflow.flow.facts import Facts
from aciflow.flow.groups import Made, find, location_required, put, record
from aciflow.flow.ids import GroupRef, ResourceGroupRef
from aciflow.flow.pace import Pace
from aciflow.flow.retry import perform, retrying, sleep
from aciflow.flow.wait import Mapped, wait_ready
from aciflow.model import ContainerGroupSpec, GroupState, to_arm
from aciflow.ready import Ready


__all__ = [
    "LAUNCH_TAG",
    "OWNER_TAG",
    "LaunchRequest",
    "Launched",
    "Launching",
    "Made",
    "launch",
    "title_of",
]

LAUNCH_TAG = "aciflow-launch-id"
OWNER_TAG = "aciflow-owner"
# Azure's own live tests are cleaned up by this tag (azure-sdk-for-python, doc/engsys_resource_management.md).
DELETE_AFTER_TAG = "DeleteAfter"
OPERATION_HEADER = "azure-asyncoperation"
# A provider's registration takes up to a few minutes; azure-core looks every 10 s.
REGISTRATION_LOOK = 2.0
LOG_TAIL = 50

# What another region may not suffer from.
REGIONAL = (CapacityError, QuotaExceededError, RegionUnavailableError)


@frozen(kw_only=True)
class LaunchRequest:
    """
    Everything a launch needs to know.

    Attributes:
        launch_id: Unique; on disk and in the tags.
        spec: What to run, already validated.
        resource_group: Where.
        group_known: The resource group is known to exist; it is neither looked up nor made.
        group_new: Its name was made up for this client, so there is nothing to look up.
        group_location: For the resource group if it must be made and no location is given.
        locations: To be tried in this order; empty: the resource group's own.
        fallback_location: If there is none at all.
        tags: Besides the spec's and our own.
        owner: Who (``user@host``).
        ready: What to wait for.
        timeout: Seconds for all of it.
        wait: Whether to wait for ``ready``; if not, it ends when ARM has accepted.
        if_exists: What to do about a container group of that name.
        on_failure: Whether a failed one is deleted.
        delete_after: Seconds until ``reap`` may delete it, or ``None``.
        lifetime: For the ledger.
        pace: How often to ask whom.
        target: As the timeline says it.
        process: For the ledger: who is launching.
    """

    launch_id: str
    spec: ContainerGroupSpec
    resource_group: ResourceGroupRef
    group_known: bool = False
    group_new: bool = False
    locations: tuple[str, ...] = ()
    fallback_location: str | None = None
    tags: Mapping[str, str] = field(factory=dict)
    owner: str
    ready: Ready
    timeout: float = 300.0
    wait: bool = True
    if_exists: Literal["error", "adopt", "replace"] = "error"
    on_failure: Literal["delete", "keep"] = "delete"
    delete_after: float | None = None
    lifetime: str = "process"
    pace: Pace
    target: str = ""
    process: Mapping[str, Any] = field(factory=dict)

    @property
    def ref(self) -> GroupRef:
        """The container group to be."""
        return GroupRef(resource_group=self.resource_group, name=self.spec.name)


@frozen(kw_only=True)
class Launched:
    """
    What came of a launch.

    Attributes:
        state: What ARM last said.
        mapped: Ports that are reached elsewhere than on the address.
        adopted: It was there before.
        facts: All that was seen, for the timeline.
    """

    state: GroupState
    mapped: Mapped
    adopted: bool
    facts: Facts


def launch(env: Env, request: LaunchRequest, made: Made | None = None) -> Flow[Launched]:
    """
    Launch.

    Args:
        env: Clock and random generator.
        request: What, where and how.
        made: Filled in as the launch goes on.

    Raises:
        AciflowError: With ``context`` set: the phase, the timeline so far, logs, and what is left.
    """
    facts = Facts(env=env, target=request.target, title=title_of(request))
    deadline = facts.began + request.timeout
    run = Launching(env=env, request=request, facts=facts, deadline=deadline, made=made or Made())
    try:
        launched = yield from run.run()
    except GeneratorExit:
        raise
    except BaseException as error:
        yield from run.fail(error)
        raise
    facts.close()
    return launched


def title_of(request: LaunchRequest) -> str:
    """Name and images: the heading of its timeline."""
    images = ", ".join(container.image for container in request.spec.containers)
    return f"{request.spec.name} ({images})"


@define(kw_only=True)
class Launching:
    """A launch under way: its record, and what it has made so far."""

    env: Env
    request: LaunchRequest
    facts: Facts
    deadline: float
    made: Made
    put_sent: bool = field(init=False, default=False)
    put_answered: bool = field(init=False, default=False)
    put_repeated: bool = field(init=False, default=False)
    adopted: bool = field(init=False, default=False)
    state: GroupState | None = field(init=False, default=None)

    def run(self) -> Flow[Launched]:
        """From the record of the intent to a group that is ready."""
        facts = self.facts
        yield from self._write("intended")
        start = yield from facts.begin("auth")
        yield from perform(self.env, Authenticate())
        yield from facts.end("auth", start)
        locations = yield from self._resource_group()
        existing = yield from self._existing()
        if existing is not None:
            self.adopted = True
            yield from self._write("adopted")
            facts.accepted = facts.elapsed()
            return (yield from self._wait(existing, None))
        for place, location in enumerate(locations):
            try:
                accepted, operation_url = yield from self._submit(location)
                return (yield from self._wait(accepted, operation_url))
            except REGIONAL as error:
                if place + 1 == len(locations):
                    raise
                yield from facts.note(f"{location}: {error.message}")
                yield from self._withdraw()
        raise AssertionError("there is always a location")  # pragma: no cover

    # --- the resource group ---------------------------------------------------------------

    def _resource_group(self) -> Flow[tuple[str, ...]]:
        """Make sure that it exists; returns the locations to try."""
        request = self.request
        wanted = request.locations or tuple(filter(None, [request.fallback_location]))
        if request.group_known and wanted:
            return wanted
        start = yield from self.facts.begin("resource_group")
        group = request.resource_group
        found = None if request.group_new else (yield from find(self.env, group, self.deadline))
        if found is None:
            if not wanted:
                raise location_required(group.name)
            yield from record(self.env, group, "intended")
            self.made.resource_group = True
            yield from self._registering(put(group, wanted[0], self._tags()))
            self.made.location = wanted[0]
        else:
            self.made.location = str(found["location"])
            wanted = request.locations or (self.made.location,)
        yield from self.facts.end("resource_group", start)
        return wanted

    # --- a name that is taken -------------------------------------------------------------

    def _existing(self) -> Flow[GroupState | None]:
        """What is there under that name and shall be adopted, if anything."""
        request = self.request
        if self.made.resource_group:
            return None
        self.facts.phase = "submit"
        found = yield from self._look()
        if found is None:
            return None
        if request.if_exists == "adopt":
            return found
        if request.if_exists == "error":
            raise NameTakenError(
                f"container group '{found.name}' exists in resource group "
                f"'{request.resource_group.name}' ({found.state or found.provisioning_state}): a launch "
                f"would restart it. Choose another name, or pass if_exists='adopt' to use it or "
                f"if_exists='replace' to delete it first"
            )
        if LAUNCH_TAG not in found.tags:
            raise NotOursError(
                f"container group '{found.name}' does not carry the tag {LAUNCH_TAG}: it is not "
                f"aciflow's to replace"
            )
        start = yield from self.facts.begin("replace")
        yield from delete_group(
            self.env, request.ref, pace=request.pace, deadline=self._budget(DELETE_BUDGET)
        )
        yield from self.facts.end("replace", start)
        return None

    def _look(self) -> Flow[GroupState | None]:
        request = self.request
        try:
            reply = yield from self._arm(
                ArmCall(
                    operation="group.get",
                    resource_group=request.resource_group.name,
                    name=request.spec.name,
                )
            )
        except NotFoundError:
            return None
        return GroupState.from_arm(reply.body)

    # --- the request itself ---------------------------------------------------------------

    def _submit(self, location: str) -> Flow[tuple[GroupState, str | None]]:
        """PUT; returns what ARM echoed, and the operation's URL."""
        request, facts = self.request, self.facts
        body = to_arm(request.spec, location=location, tags=self._tags())
        call = ArmCall(
            operation="group.put",
            resource_group=request.resource_group.name,
            name=request.spec.name,
            body=body,
        )
        start = yield from facts.begin("submit", location)
        self.put_sent, self.put_answered = True, False
        self.made.container_group = True
        try:
            reply = yield from self._registering(call)
        except ArmError as error:
            if 400 <= error.status < 500 and not self.put_repeated:
                # Refused, so nothing came of it; what is there under that name is somebody else's.
                self.put_sent = self.made.container_group = False
            raise
        self.put_answered = True
        facts.accepted = facts.elapsed()
        yield from facts.end("submit", start)
        yield from self._write("accepted", location=location)
        return GroupState.from_arm(reply.body), reply.headers.get(OPERATION_HEADER)

    def _registering(self, call: ArmCall) -> Flow[ArmReply]:
        """One call; a provider that is not registered yet is registered, once."""
        try:
            return (yield from self._arm(call, before_retry=True))
        except NotRegisteredError:
            yield from self._register()
            return (yield from self._arm(call, before_retry=True))

    def _register(self) -> Flow[None]:
        start = yield from self.facts.begin("register", "Microsoft.ContainerInstance")
        yield from self._arm(ArmCall(operation="provider.register"))
        while True:
            reply = yield from self._arm(ArmCall(operation="provider.get"))
            if reply.body.get("registrationState") == "Registered":
                break
            if self.env.clock.now() + REGISTRATION_LOOK > self.deadline:
                raise NotRegisteredError(
                    "the provider Microsoft.ContainerInstance is still being registered: it takes a "
                    "few minutes once per subscription; launch again then",
                    status=409,
                    code="MissingSubscriptionRegistration",
                )
            yield from sleep(self.env, REGISTRATION_LOOK)
        yield from self.facts.end("register", start)

    def _arm(self, call: ArmCall, *, before_retry: bool = False) -> Flow[ArmReply]:
        sent = self.facts.elapsed()
        look = self._lost if before_retry and call.operation == "group.put" else None
        reply: ArmReply = yield from retrying(
            self.env, call, deadline=self.deadline, before_retry=look
        )
        self.facts.see_reply(reply, sent=sent)
        return reply

    def _lost(self) -> Flow[ArmReply | None]:
        """
        Whether a PUT that seemed to fail went through.

        A gateway's 504 can hide success, and a second PUT would restart what the first one made.
        """
        request = self.request
        self.put_repeated = True
        look = ArmCall(
            operation="group.get",
            resource_group=request.resource_group.name,
            name=request.spec.name,
        )
        try:
            reply: ArmReply = yield from perform(self.env, look)
        except (ArmError, EndpointUnreachableError):
            return None
        ours = (reply.body.get("tags") or {}).get(LAUNCH_TAG) == request.launch_id
        return reply if ours else None

    def _wait(self, accepted: GroupState, operation_url: str | None) -> Flow[Launched]:
        request, facts = self.request, self.facts
        self.state = accepted
        mapped: Mapped = {}
        if request.wait:
            yield from facts.begin("ready", str(request.ready))
            waited = yield from wait_ready(
                self.env,
                ref=request.ref,
                ready=request.ready,
                facts=facts,
                pace=request.pace,
                deadline=self.deadline,
                operation_url=operation_url,
            )
            self.state, mapped = waited.state, waited.mapped
            if request.pace.final_read:
                yield from self._complete()
        if request.lifetime == "detached" or self.adopted:
            # From here on it is on purpose: nothing is to be cleaned up if this process dies.
            yield from perform(self.env, LedgerClear(launch_id=request.launch_id))
        return Launched(
            state=self.state,
            mapped=mapped,
            adopted=self.adopted,
            facts=facts,
        )

    def _complete(self) -> Flow[None]:
        """Read once more: the service's own times are complete only after the fact."""
        try:
            reply = yield from self._arm(
                ArmCall(
                    operation="group.get",
                    resource_group=self.request.resource_group.name,
                    name=self.request.spec.name,
                )
            )
        except (ArmError, EndpointUnreachableError):
            return  # it serves; the timeline is what it is
        self.state = GroupState.from_arm(reply.body)
        self.facts.see_state(self.state, reply.headers)

    # --- records --------------------------------------------------------------------------

    def _tags(self) -> dict[str, str]:
        request = self.request
        tags = {**request.tags, LAUNCH_TAG: request.launch_id, OWNER_TAG: request.owner}
        if request.delete_after is not None:
            at = datetime.fromtimestamp(self.facts.began_wall + request.delete_after, UTC)
            tags[DELETE_AFTER_TAG] = at.isoformat(timespec="seconds")
        return tags

    def _write(self, stage: str, **more: str) -> Flow[None]:
        request = self.request
        record = {
            "launch_id": request.launch_id,
            "stage": stage,
            "id": request.ref.id,
            "subscription_id": request.resource_group.subscription_id,
            "resource_group": request.resource_group.name,
            "name": request.spec.name,
            "target": request.target or "azure",
            "lifetime": request.lifetime,
            "owner": request.owner,
            "began": self.facts.began_wall,
            "remove_with": request.ref.leftover.remove_with,
            **request.process,
            **more,
        }
        yield from perform(self.env, LedgerWrite(record=record))

    # --- failure --------------------------------------------------------------------------

    def _budget(self, seconds: float) -> float:
        return self.env.clock.now() + seconds

    def _withdraw(self) -> Flow[None]:
        """Delete what a PUT may have made."""
        if self.put_sent:
            yield from delete_group(
                self.env,
                self.request.ref,
                pace=self.request.pace,
                deadline=self._budget(DELETE_BUDGET),
                maybe_late=not self.put_answered,
            )
            self.put_sent = self.made.container_group = False

    def fail(self, error: BaseException) -> Flow[None]:
        """Say what is known, delete what was made, and put both into the error."""
        facts, request = self.facts, self.request
        failed_in = facts.phase
        facts.close()
        timeline = facts.timeline()
        logs = ""
        events: tuple[str, ...] = ()
        if self.put_sent and isinstance(error, AciflowError):
            logs, events = yield from self._evidence(error)
        leftovers: tuple[Leftover, ...] = ()
        if self.put_sent and request.on_failure == "keep":
            leftovers = (request.ref.leftover,)
            self.made.container_group = False  # kept on purpose
        else:
            try:
                yield from self._withdraw()
            except AciflowError as failure:
                leftovers = (request.ref.leftover,)
                error.add_note(f"deleting it failed: {failure}")
        if not leftovers:
            yield from perform(self.env, LedgerClear(launch_id=request.launch_id))
        if isinstance(error, AciflowError):
            error.context = LaunchContext(
                phase=failed_in,
                timeline=timeline,
                resource_id=request.ref.id,
                logs=logs,
                events=events,
                leftovers=leftovers,
            )
        elif leftovers:
            error.add_note(f"still there: {leftovers[0]}")

    def _evidence(self, error: AciflowError) -> Flow[tuple[str, tuple[str, ...]]]:
        """The last log lines and the events: once the group is deleted nobody can ask for them."""
        events: tuple[str, ...] = ()
        logs = ""
        call = ArmCall(
            operation="group.get",
            resource_group=self.request.resource_group.name,
            name=self.request.spec.name,
        )
        try:
            reply: ArmReply = yield from perform(self.env, call)
            state = GroupState.from_arm(reply.body)
            found = [*state.events, *(e for s in state.containers for e in s.events)]
            events = tuple(
                f"{event.name}: {event.message}" + (f" (x{event.count})" if event.count > 1 else "")
                for event in sorted(found, key=lambda event: event.first)
            )
            name = (
                error.container
                if isinstance(error, ContainerExitedError)
                else state.containers[0].name
            )
            tail = evolve(call, operation="group.logs", container=name, tail=LOG_TAIL)
            reply = yield from perform(self.env, tail)
            logs = (reply.body or {}).get("content") or ""
        except (ArmError, EndpointUnreachableError):
            pass  # there may be no log, or no group, any more
        return logs, events
