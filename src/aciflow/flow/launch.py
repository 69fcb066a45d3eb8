"""
From a request to a container group that serves, or to a typed error with nothing left behind.

The order matters: the intent is on disk before the first request, the resources carry our tags from the
first request on, and whatever ends the launch (an error, Ctrl-C, a cancelled task) is answered by deleting
what the launch may have made.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias, TypeVar

from attrs import define, field

from aciflow.errors import (
    AciflowError,
    CapacityError,
    CleanupError,
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
from aciflow.flow.evidence import Evidence, gather
from aciflow.flow.facts import Facts
from aciflow.flow.groups import Made, find_to_use, make
from aciflow.flow.ids import LAUNCH_TAG, OWNER_TAG
from aciflow.flow.request import Launched, LaunchRequest
from aciflow.flow.retry import NEW_HOME, STANDARD, Attempts, perform, retrying, sleep
from aciflow.flow.wait import Mapped, wait_ready
from aciflow.model import GroupState, to_arm


__all__ = ["LAUNCH_TAG", "OWNER_TAG", "LaunchRequest", "Launched", "Launching", "launch"]

# Azure's own live tests are cleaned up by this tag (azure-sdk-for-python, doc/engsys_resource_management.md).
DELETE_AFTER_TAG = "DeleteAfter"
OPERATION_HEADER = "azure-asyncoperation"
# A provider's registration takes up to a few minutes; azure-core looks every 10 s.
REGISTRATION_LOOK = 2.0
# The last read only completes the timeline: no launch waits for it longer than this.
LAST_READ = 5.0

# What another region may not suffer from.
REGIONAL = (CapacityError, QuotaExceededError, RegionUnavailableError)

R = TypeVar("R")
# What follows once ARM has accepted: given what it echoed and the URL of the operation.
Then: TypeAlias = Callable[[GroupState, str | None], Flow[R]]


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
    job = Launching.begin(env, request, made)
    try:
        launched = yield from job.run(job.wait)
    except GeneratorExit:
        raise
    except BaseException as error:
        yield from job.fail(error)
        raise
    job.facts.close()
    return launched


@define(kw_only=True)
class Launching:
    """
    A launch under way: its record, and what it has made so far.

    Attributes:
        env: Clock and random generator.
        request: What, where and how.
        facts: What is seen.
        deadline: Of the launch, on the flow's clock.
        made: Filled in as it goes on.
        put_sent: There is or may be a container group of this launch's.
        put_answered: ARM has accepted it.
        adopted: It was there before.
        state: As ARM last said.
    """

    env: Env
    request: LaunchRequest
    facts: Facts
    deadline: float
    made: Made
    put_sent: bool = field(init=False, default=False)
    put_answered: bool = field(init=False, default=False)
    adopted: bool = field(init=False, default=False)

    @classmethod
    def begin(cls, env: Env, request: LaunchRequest, made: Made | None) -> Launching:
        """Now."""
        facts = Facts(env=env, target=request.target, title=request.title)
        return cls(
            env=env,
            request=request,
            facts=facts,
            deadline=facts.began + request.timeout,
            made=made or Made(),
        )

    def run(self, then: Then[R]) -> Flow[R]:
        """From the record of the intent to the end of what follows when ARM has accepted."""
        facts = self.facts
        yield from self._write("intended")
        start = yield from facts.begin("auth")
        yield from perform(self.env, Authenticate())
        yield from facts.end("auth", start)
        *others, last = yield from self._resource_group()
        existing = yield from self._existing()
        if existing is not None:
            self.adopted = True
            yield from self._write("adopted")
            facts.accepted = facts.elapsed()
            return (yield from then(existing, None))
        for location in others:
            try:
                return (yield from self._place(location, then))
            except REGIONAL as error:
                yield from facts.note(f"{location}: {error.message}")
                yield from self.withdraw()
                facts.start_over()
        return (yield from self._place(last, then))

    def _place(self, location: str, then: Then[R]) -> Flow[R]:
        accepted, operation_url = yield from self._submit(location)
        return (yield from then(accepted, operation_url))

    def wait(self, accepted: GroupState, operation_url: str | None) -> Flow[Launched]:
        """What follows in a launch: wait until it is ready, if that is asked for."""
        request, facts = self.request, self.facts
        state = accepted
        mapped: Mapped = {}
        if request.wait:
            state, mapped = yield from self._wait_ready(operation_url)
        if request.lifetime == "detached" or self.adopted:
            # From here on it is on purpose: nothing is to be cleaned up if this process dies.
            yield from perform(self.env, LedgerClear(launch_id=request.launch_id))
        return Launched(state=state, mapped=mapped, adopted=self.adopted, facts=facts)

    def _wait_ready(self, operation_url: str | None) -> Flow[tuple[GroupState, Mapped]]:
        request, facts = self.request, self.facts
        start = yield from facts.begin("ready", str(request.ready))
        waited = yield from wait_ready(
            self.env,
            ref=request.ref,
            ready=request.ready,
            facts=facts,
            pace=request.pace,
            deadline=self.deadline,
            operation_url=operation_url,
        )
        yield from facts.finish("ready", start)
        state = waited.state
        if request.pace.final_read and facts.incomplete:
            # The service's own times may be complete only after the fact.
            try:
                reply: ArmReply = yield from perform(self.env, self._get(timeout=LAST_READ))
            except AciflowError:
                pass  # it serves; the timeline is what it is
            else:
                state = GroupState.from_arm(reply.body)
                facts.see_state(state, reply.headers)
                yield from facts.news()
        return state, waited.mapped

    # --- the resource group ---------------------------------------------------------------

    def _resource_group(self) -> Flow[tuple[str, ...]]:
        """Make sure that it exists; returns the locations to try, at least one."""
        request = self.request
        wanted = request.locations or tuple(filter(None, [request.fallback_location]))
        if request.group_known and wanted:
            return wanted
        start = yield from self.facts.begin("resource_group")
        group = request.resource_group
        found = (
            None if request.group_new else (yield from find_to_use(self.env, group, self.deadline))
        )
        if found is None:
            yield from make(
                self.env,
                group,
                self.made,
                location=wanted[0] if wanted else None,
                tags=self._tags(),
                deadline=self.deadline,
            )
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
        try:
            reply = yield from self._arm(self._get())
        except NotFoundError:
            return None
        found = GroupState.from_arm(reply.body)
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
        before = found.tags[LAUNCH_TAG]
        yield from self._delete(launch_id=before)
        yield from perform(self.env, LedgerClear(launch_id=before))
        yield from self.facts.end("replace", start)
        return None

    def _get(self, timeout: float = 60.0) -> ArmCall:
        return ArmCall(
            operation="group.get",
            resource_group=self.request.resource_group.name,
            name=self.request.spec.name,
            timeout=timeout,
        )

    # --- the request itself ---------------------------------------------------------------

    def _submit(self, location: str) -> Flow[tuple[GroupState, str | None]]:
        """PUT; returns what ARM echoed, and the operation's URL."""
        request, facts = self.request, self.facts
        call = ArmCall(
            operation="group.put",
            resource_group=request.resource_group.name,
            name=request.spec.name,
            body=to_arm(request.spec, location=location, tags=self._tags()),
        )
        start = yield from facts.begin("submit", location)
        facts.submitted = start
        attempts = Attempts()
        self.put_sent, self.put_answered = True, False
        self.made.container_group = True
        try:
            reply = yield from self._registering(call, attempts)
        except AciflowError:
            if not attempts.unsure:
                # Refused, so nothing came of it; what is there under that name is somebody else's.
                self.put_sent = self.made.container_group = False
            raise
        self.put_answered = True
        facts.accepted = facts.elapsed()
        yield from facts.end("submit", start)
        yield from self._write("accepted", location=location)
        return GroupState.from_arm(reply.body), reply.headers.get(OPERATION_HEADER)

    def _registering(self, call: ArmCall, attempts: Attempts) -> Flow[ArmReply]:
        """PUT; a provider that is not registered yet is registered, which takes effect a little later."""
        asked = False
        while True:
            try:
                return (yield from self._arm(call, attempts))
            except NotRegisteredError:
                if not asked:
                    yield from self._register()
                elif self.env.clock.now() + REGISTRATION_LOOK > self.deadline:
                    raise
                else:
                    yield from sleep(self.env, REGISTRATION_LOOK)
                asked = True

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

    def _arm(self, call: ArmCall, attempts: Attempts | None = None) -> Flow[ArmReply]:
        sent = self.facts.elapsed()
        reply: ArmReply = yield from retrying(
            self.env,
            call,
            deadline=self.deadline,
            policy=NEW_HOME if self.made.resource_group else STANDARD,
            before_retry=None if attempts is None else self._lost,
            attempts=attempts,
        )
        self.facts.see_reply(reply, sent=sent)
        return reply

    def _lost(self) -> Flow[ArmReply | None]:
        """
        Whether a PUT that seemed to fail went through.

        A gateway's 504 can hide success, and a second PUT would restart what the first one made.
        """
        try:
            reply: ArmReply = yield from perform(self.env, self._get())
        except AciflowError:
            return None
        ours = (reply.body.get("tags") or {}).get(LAUNCH_TAG) == self.request.launch_id
        return reply if ours else None

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

    # --- the end of it --------------------------------------------------------------------

    def withdraw(self) -> Flow[None]:
        """
        Delete what the PUT made, or may have made.

        Raises:
            CleanupError: It is still there, or may be.
        """
        if self.put_sent:
            late = not self.put_answered
            yield from self._delete(launch_id=self.request.launch_id, maybe_late=late)
            self.put_sent = self.made.container_group = False

    def _delete(self, *, launch_id: str, maybe_late: bool = False) -> Flow[None]:
        yield from delete_group(
            self.env,
            self.request.ref,
            pace=self.request.pace,
            deadline=self.env.clock.now() + DELETE_BUDGET,
            launch_id=launch_id,
            maybe_late=maybe_late,
        )

    def fail(self, error: BaseException) -> Flow[None]:
        """Say what is known, delete what was made, and put both into the error."""
        facts, request = self.facts, self.request
        facts.close()
        evidence = Evidence()
        if isinstance(error, AciflowError) and (self.put_sent or self.adopted):
            evidence = yield from gather(self.env, request.ref, error)
        leftovers = yield from self._leave(error)
        if not leftovers:
            yield from perform(self.env, LedgerClear(launch_id=request.launch_id))
        if isinstance(error, AciflowError):
            error.context = LaunchContext(
                phase=facts.phase,
                timeline=facts.timeline(),
                resource_id=request.ref.id,
                logs=evidence.logs,
                events=evidence.events,
                leftovers=leftovers,
            )
        elif leftovers:
            error.add_note(f"still there: {leftovers[0]}")

    def _leave(self, error: BaseException) -> Flow[tuple[Leftover, ...]]:
        """Leave nothing, unless that is asked for; returns what is left."""
        if not self.put_sent:
            return ()
        if self.request.on_failure == "keep":
            self.made.container_group = False  # kept on purpose
            return (self.request.ref.leftover,)
        if isinstance(error, CleanupError):
            return error.remaining
        try:
            yield from self.withdraw()
        except CleanupError as failure:
            error.add_note(f"deleting it failed: {failure.message}")
            return failure.remaining
        return ()
