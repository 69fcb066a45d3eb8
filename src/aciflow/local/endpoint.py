"""
The endpoint, pure: a request in, a reply out; observations in, actions and the next wake out.

It never sleeps, connects or looks at a clock, so a host thread can drive it in real time, and a
simulator's heap through thousands of launches in seconds.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve

from aciflow.local.config import Config
from aciflow.local.groups.times import http_date
from aciflow.local.protocol import (
    Action,
    Closed,
    Observation,
    OpenTerminal,
    Question,
    Reply,
    Request,
    ResolveImages,
)
from aciflow.local.rest import (
    catalogue,
    containers,
    errors,
    groups,
    operations,
    profiles,
    providers,
    regions,
    resource_groups,
    resources,
    tags,
)
from aciflow.local.rest.locations import LOCATIONS, normal_location
from aciflow.local.rest.providers import check_registered
from aciflow.local.rest.routing import Call, Handler, Router
from aciflow.local.rest.state import State
from aciflow.local.rest.versions import check_version


if TYPE_CHECKING:
    from aciflow.local.faults import Plan


__all__ = ["Endpoint"]


_ROUTER = Router(
    route
    for part in (
        groups,
        containers,
        resource_groups,
        resources,
        operations,
        catalogue,
        providers,
        regions,
        tags,
        profiles,
    )
    for route in part.ROUTES
)


_ID = re.compile(r"[0-9A-Za-z-]{1,64}")


class Endpoint:
    """
    An Azure Resource Manager with Azure Container Instances in it.

    Not thread-safe: its host calls one method at a time.

    Args:
        subscription_id: The one subscription it has.
        tenant_id: Its tenant.
        locations: Regions, normalised (``westus``).
        token_check: Whether a bearer token is one that this endpoint's owner issued.
        new_id: Gives a new UUID in lower case, for operations, incarnations and request ids.
        unsupported: What the runtime cannot do and a PUT is refused for, see
            :func:`aciflow.local.rest.validation.check_runtime`.
        config: What can be set about it.

    Attributes:
        state: What it knows; for its own modules and tests.
    """

    def __init__(
        self,
        *,
        subscription_id: str,
        tenant_id: str,
        locations: Sequence[str] = LOCATIONS,
        token_check: Callable[[str], bool],
        new_id: Callable[[], str],
        unsupported: Collection[str] = (),
        config: Config | None = None,
    ) -> None:
        self._token_check = token_check
        self._new_id = new_id
        self.state = State(
            subscription_id=subscription_id,
            tenant_id=tenant_id,
            locations=tuple(locations),
            unsupported=frozenset(unsupported),
            config=config or Config(),
            new_id=new_id,
        )

    @property
    def generation(self) -> int:
        """Increases whenever something changes that :meth:`dump` would save."""
        return self.state.generation

    @property
    def idle(self) -> bool:
        """No container group exists, nor anything of a deleted one."""
        return not self.state.machines

    @property
    def closing(self) -> frozenset[str]:
        """The uids of deleted groups of which the runtime may still have something."""
        return frozenset(uid for uid, machine in self.state.machines.items() if machine.closing)

    def authentic(self, request: Request) -> bool:
        """Whether a request carries a token that is good here."""
        try:
            self._authenticate(request)
        except errors.Refusal:
            return False
        return True

    def handle(
        self, request: Request, now: float, answer: Any = None, plan: Plan | None = None
    ) -> Reply | Question:
        """
        Answer one request.

        Args:
            request: What was asked.
            now: Seconds since the epoch.
            answer: The runtime's answer to the question that the same request got before.
            plan: What it meets of the endpoint's faults; what happens on the wire is the host's business.

        Returns:
            The reply; or a question for the runtime, after which the caller calls again with its
            answer. Nothing has changed by then. Actions that a request leads to come out of the next
            :meth:`tick`.
        """
        try:
            reply = self._answer(request, now, answer, plan)
        except errors.Refusal as refusal:
            reply = refusal.reply()
        return self.dressed(request, reply, now) if isinstance(reply, Reply) else reply

    def dressed(self, request: Request, reply: Reply, now: float) -> Reply:
        """A reply with the headers that all of ARM's have."""
        return evolve(reply, headers={**reply.headers, **self._headers(request, reply, now)})

    def location_of(self, request: Request) -> str | None:
        """The region that a request is about, normalised: of its body, its path or its group."""
        body: Any = None
        with contextlib.suppress(ValueError, RecursionError):
            body = json.loads(request.body or b"null")
        given = body.get("location") if isinstance(body, dict) else None
        if isinstance(given, str):
            return normal_location(given)
        parts = [part.lower() for part in request.path.split("/") if part]
        named = dict(itertools.pairwise(parts))
        if "locations" in named:
            return normal_location(named["locations"])
        home = named.get("resourcegroups", "")
        record = self.state.groups.get((home, named.get("containergroups", "")))
        if record is not None:
            return record.location
        group = self.state.resource_groups.get(home)
        return group.location if group is not None else None

    def tick(
        self, observed: Sequence[Observation], now: float
    ) -> tuple[list[Action], float | None]:
        """
        Take in what the runtime saw, and do what is due.

        Returns:
            The actions to carry out, and when to call again at the latest (``None``: only when
            something is observed or requested).
        """
        state = self.state
        for seen in observed:
            machine = state.machines.get(seen.uid)
            if machine is None:
                continue
            state.act(machine, machine.observe(seen, now))
            if isinstance(seen, Closed) and machine.closed:
                state.forget(seen.uid)
        for machine in state.due(now):
            state.act(machine, machine.wake(now))
        actions, state.outbox = state.outbox, []
        return actions, state.next_wake

    def claim(self, session: str, password: str, now: float) -> OpenTerminal | None:
        """
        What a session that exec or attach has made stands for; it can be claimed once.

        Returns:
            ``None`` for one that is not known, was claimed, has expired, or has another password.
        """
        return self.state.claim(session, password, now)

    def dump(self) -> dict[str, Any]:
        """Its state as JSON, secrets included: for a file that only its user can read."""
        return self.state.dump()

    def load(self, saved: Mapping[str, Any]) -> None:
        """
        Take up the state of an earlier process; the next tick repeats what was under way.

        Raises:
            ValueError: It was written by another version.
        """
        self.state.load(dict(saved))

    def recovery(self) -> dict[str, dict[str, Any]]:
        """What :meth:`aciflow.local.runtime.base.Runtime.recover` needs to know of each group."""
        return {
            uid: {
                "resource_id": machine.desired.resource_id,
                "ip": machine.ip,
                "running": {
                    record.run.name: {
                        "attempt": record.attempt,
                        "container_id": record.container_id,
                    }
                    for record in (*machine.init, *machine.main)
                    if record.phase in ("running", "stopping")
                },
            }
            for uid, machine in self.state.machines.items()
        }

    # --- inside ----------------------------------------------------------------------------

    def _answer(
        self, request: Request, now: float, answer: Any, plan: Plan | None
    ) -> Reply | Question:
        self._authenticate(request)
        route, params = _ROUTER.find(request.method, request.path)
        if route.versioned:
            check_version(request.path, request.query.get("api-version"), self.state.locations)
        subscription = params.get("subscription")
        if subscription is not None and subscription.lower() != self.state.subscription_id.lower():
            raise errors.subscription_not_found(subscription)
        check_registered(self.state, request)
        call = Call(request=request, params=params, now=now, state=self.state, answer=answer)
        return route.handler(call) if plan is None else self._meeting(plan, route.handler, call)

    def _meeting(self, plan: Plan, handler: Handler, call: Call) -> Reply | Question:
        """What a handler says where the service has a fault."""
        from aciflow.local.faults import effects

        location = self.location_of(call.request) or ""
        if plan.failure is not None and call.answer is not None:
            self.state.doom = effects.doom(plan.failure, call.request, location, call.now)
        try:
            reply = handler(call)
        finally:
            self.state.doom = None
        if isinstance(reply, ResolveImages) and plan.refusal is not None:
            raise effects.refusal(plan.refusal, call.request, location)  # it was valid so far
        return effects.distorted(plan, reply, call.now) if isinstance(reply, Reply) else reply

    def _authenticate(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given = scheme.lower() == "bearer" and bool(token)
        if not given or not self._token_check(token.strip()):
            raise errors.unauthenticated(self.state.tenant_id, missing=not given)

    def _headers(self, request: Request, reply: Reply, now: float) -> dict[str, str]:
        correlation = request.headers.get("x-ms-correlation-request-id", "")
        if _ID.fullmatch(correlation) is None:
            correlation = self._new_id()
        region = "global"
        if isinstance(reply.body, dict):
            region = reply.body.get("location") or region
        headers = {
            "Date": http_date(now),
            "x-ms-request-id": f"{region}:{correlation}",
            "x-ms-correlation-request-id": correlation,
        }
        if reply.body is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
        if request.method in ("GET", "HEAD") and reply.status < 400:
            headers["x-ms-ratelimit-remaining-subscription-reads"] = "11999"
        return headers
