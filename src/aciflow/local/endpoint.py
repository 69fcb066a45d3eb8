"""
The endpoint, pure: a request in, a reply out; observations in, actions and the next wake out.

It never sleeps, connects or looks at a clock, so a host thread can drive it in real time, and a
simulator's heap through thousands of launches in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

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
)
from aciflow.local.rest import catalogue, errors, groups, operations, resource_groups
from aciflow.local.rest.locations import LOCATIONS
from aciflow.local.rest.routing import Call, Router
from aciflow.local.rest.state import State


__all__ = ["Endpoint"]


_ROUTER = Router([*groups.ROUTES, *resource_groups.ROUTES, *operations.ROUTES, *catalogue.ROUTES])


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

    def handle(self, request: Request, now: float, answer: Any = None) -> Reply | Question:
        """
        Answer one request.

        Args:
            request: What was asked.
            now: Seconds since the epoch.
            answer: The runtime's answer to the question that the same request got before.

        Returns:
            The reply; or a question for the runtime, after which the caller calls again with its
            answer. Nothing has changed by then. Actions that a request leads to come out of the next
            :meth:`tick`.
        """
        try:
            reply = self._answer(request, now, answer)
        except errors.Refusal as refusal:
            reply = refusal.reply()
        if not isinstance(reply, Reply):
            return reply
        return evolve(reply, headers={**reply.headers, **self._headers(request, reply, now)})

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

    def _answer(self, request: Request, now: float, answer: Any) -> Reply | Question:
        self._authenticate(request)
        route, params = _ROUTER.find(request.method, request.path)
        if route.versioned and "api-version" not in request.query:
            raise errors.missing_api_version()
        subscription = params.get("subscription")
        if subscription is not None and subscription.lower() != self.state.subscription_id.lower():
            raise errors.subscription_not_found(subscription)
        return route.handler(
            Call(request=request, params=params, now=now, state=self.state, answer=answer)
        )

    def _authenticate(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given = scheme.lower() == "bearer" and bool(token)
        if not given or not self._token_check(token.strip()):
            raise errors.unauthenticated(self.state.tenant_id, missing=not given)

    def _headers(self, request: Request, reply: Reply, now: float) -> dict[str, str]:
        correlation = request.headers.get("x-ms-correlation-request-id") or self._new_id()
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
