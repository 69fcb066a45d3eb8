"""
Effects with retries.

Which errors, how often and how long is said with tenacity's policies. They are evaluated on the flow's
clock and random generator; tenacity never sleeps here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import tenacity

from attrs import define, field, frozen
from tenacity.wait import wait_base

from aciflow.errors import (
    AciflowError,
    ArmError,
    CredentialError,
    EndpointUnreachableError,
    ImageError,
    NotFoundError,
    ServiceError,
    ThrottledError,
    TransitioningError,
)
from aciflow.flow.effects import (
    ArmCall,
    Done,
    Effect,
    Env,
    Flow,
    LedgerClear,
    LedgerWrite,
    Next,
    Start,
)


__all__ = [
    "LAG",
    "NEW_HOME",
    "PATIENT",
    "STANDARD",
    "STEADY",
    "Attempts",
    "Policy",
    "passing",
    "perform",
    "retrying",
    "sleep",
    "transient",
]

# ARM's regions learn of a new resource group one after the other, which takes seconds
# (Microsoft's support in terraform-provider-azurerm#18268; that provider waits for it, too, #25758).
LAG = 15.0


def transient(error: BaseException) -> bool:
    """Whether the same request may well succeed a little later."""
    if isinstance(error, ImageError):
        # Docker Hub's rate limit and outages come as a 409 of ACI (azure-cli#29300).
        return error.code == "RegistryErrorResponse"
    if isinstance(error, ServiceError) and error.status == 501:
        return False  # what is not implemented will not be a moment later
    return isinstance(
        error, ThrottledError | ServiceError | TransitioningError | EndpointUnreachableError
    )


def passing(error: BaseException) -> bool:
    """
    The same for who had a token before.

    That it cannot be renewed now is most often the same outage: the sign-in host is out of reach, too.
    """
    return transient(error) or isinstance(error, CredentialError)


class _FullJitter(wait_base):
    """A uniform share of tenacity's exponential wait, but ``Retry-After`` always wins."""

    def __init__(self, env: Env, ceiling: wait_base) -> None:
        self._env = env
        self._ceiling = ceiling

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        error = cast("tenacity.Future", retry_state.outcome).exception()
        if isinstance(error, ArmError) and error.retry_after:
            return error.retry_after
        return self._env.random.uniform(0.0, float(self._ceiling(retry_state)))


class _StopAfter(tenacity.stop.stop_base):
    """Give up certain errors after so many attempts, before the deadline."""

    def __init__(self, attempts: int, *errors: type[Exception]) -> None:
        self._attempts = attempts
        self._errors = errors

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        error = cast("tenacity.Future", retry_state.outcome).exception()
        return isinstance(error, self._errors) and retry_state.attempt_number >= self._attempts


def _lags(error: BaseException) -> bool:
    return isinstance(error, NotFoundError) and error.code == "ResourceGroupNotFound"


class _StopLag(tenacity.stop.stop_base):
    """Believe in the end that a resource group is not there."""

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        error = cast("tenacity.Future", retry_state.outcome).exception()
        took = cast("float", retry_state.seconds_since_start)
        return _lags(cast("BaseException", error)) and took >= LAG


@frozen(kw_only=True)
class Policy:
    """
    A retry policy.

    Attributes:
        retry: Which errors.
        stop: When to give up before the deadline.
        ceiling: The longest wait before each attempt, seconds; the real one is a random share of it.
    """

    retry: tenacity.retry_base = field(factory=lambda: tenacity.retry_if_exception(transient))
    stop: tenacity.stop.stop_base
    ceiling: wait_base = field(factory=lambda: tenacity.wait_exponential(0.5, max=20.0))


# What is busy will be done, and who throttles says when to come back: the deadline ends that. An outage
# may last longer than any launch, and an endpoint that is not reached at all is most often not there.
STANDARD = Policy(
    stop=tenacity.stop_any(
        _StopAfter(10, ServiceError),
        # A misspelt image looks the same where no public registry is reached: be done in seconds.
        _StopAfter(5, ImageError),
        _StopAfter(4, EndpointUnreachableError),
    )
)
# For what is put into a resource group that has just been made.
NEW_HOME = Policy(
    retry=tenacity.retry_any(STANDARD.retry, tenacity.retry_if_exception(_lags)),
    stop=tenacity.stop_any(STANDARD.stop, _StopLag()),
)
# For what waits as long as a launch may take, whatever is in the way.
STEADY = Policy(stop=tenacity.stop_never)
# For what has run for hours and must not be given up because a laptop changed its network.
PATIENT = Policy(retry=tenacity.retry_if_exception(passing), stop=tenacity.stop_never)


def sleep(env: Env, seconds: float) -> Flow[None]:
    """Wait, on the flow's clock; whatever ends meanwhile is dropped."""
    until = env.clock.now() + seconds
    while (yield Next(until)) is not None:
        pass


# How long an interrupted flow waits for a write that is under way: what it made must be known before it
# can be deleted. ACI's slowest recorded PUT took 8 s to answer.
SETTLE = 30.0


def perform(env: Env, effect: Effect) -> Flow[Any]:
    """
    One effect, once, with nothing else under way. Returns its value or raises its error.

    If the flow is interrupted meanwhile (Ctrl-C, a cancelled task) and the effect is a write, to ARM or to
    the ledger, its end is awaited before the interruption goes on, so that a clean-up comes after it and
    not before.
    """
    token = None
    try:
        token = yield Start(effect)
        done = yield from _wait_for(token, None)
    except GeneratorExit:
        raise
    except BaseException:
        if token is not None and _writes(effect):
            yield from _wait_for(token, env.clock.now() + SETTLE)
        raise
    return cast("Done", done).result()


def _writes(effect: Effect) -> bool:
    if isinstance(effect, ArmCall):
        return not effect.reads
    return isinstance(effect, LedgerWrite | LedgerClear)


def _wait_for(token: int, until: float | None) -> Flow[Done | None]:
    while True:
        done = cast("Done | None", (yield Next(until)))
        if done is None or done.token == token:
            return done


@define
class Attempts:
    """
    What is known of the attempts at a write.

    Attributes:
        unsure: One of them may have worked although no reply said so: it was lost, a gateway gave up, or
            the flow was interrupted. A refusal (4xx) did nothing.
    """

    unsure: bool = False

    def failed(self, error: BaseException) -> None:
        """One more has."""
        lost = isinstance(error, EndpointUnreachableError) and error.sent
        silent = lost or isinstance(error, ServiceError)
        self.unsure = self.unsure or silent or not isinstance(error, AciflowError)


def retrying(
    env: Env,
    effect: Effect,
    *,
    deadline: float,
    policy: Policy = STANDARD,
    before_retry: Callable[[], Flow[Any]] | None = None,
    attempts: Attempts | None = None,
) -> Flow[Any]:
    """
    One effect, again as long as ``policy`` says and ``deadline`` (on the flow's clock) allows.

    Args:
        env: The flow's clock and random generator.
        effect: What to do.
        deadline: No attempt is begun after it.
        policy: Which errors are tried again, and when.
        before_retry: A flow that looks whether the effect is still needed; if it returns something
            other than ``None`` that is the result, and the effect is not tried again.
        attempts: Told how each attempt failed.

    Raises:
        The last error, where it was not worth another attempt.
    """
    # The retry object is only read by tenacity's own loop, which is not used.
    state = tenacity.RetryCallState(cast("Any", None), None, (), {})
    state.start_time = env.clock.now()
    while True:
        try:
            return (yield from perform(env, effect))
        except BaseException as error:
            if attempts is not None:
                attempts.failed(error)
            if not isinstance(error, Exception):
                raise
            state.set_exception((type(error), error, error.__traceback__))
            state.outcome_timestamp = env.clock.now()
            if not policy.retry(state) or policy.stop(state):
                raise
            delay = _FullJitter(env, policy.ceiling)(state)
            if env.clock.now() + delay > deadline:
                raise
        yield from sleep(env, delay)
        if before_retry is not None:
            found = yield from before_retry()
            if found is not None:
                return found
        state.prepare_for_next_attempt()
