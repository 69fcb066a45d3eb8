"""
Effects with retries.

Which errors, how often and how long is said with tenacity's policies. They are evaluated on the flow's
clock and random generator; tenacity never sleeps here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import tenacity

from attrs import field, frozen
from tenacity.wait import wait_base

from aciflow.errors import (
    ArmError,
    EndpointUnreachableError,
    ImageError,
    ServiceError,
    ThrottledError,
    TransitioningError,
)
from aciflow.flow.effects import ArmCall, Done, Effect, Env, Flow, Next, Start


__all__ = ["STANDARD", "Policy", "perform", "retrying", "sleep"]


def transient(error: BaseException) -> bool:
    """Whether the same request may well succeed a little later."""
    if isinstance(error, ImageError):
        # Docker Hub's rate limit and outages come as a 409 of ACI (azure-cli#29300).
        return error.code == "RegistryErrorResponse"
    return isinstance(
        error, ThrottledError | ServiceError | TransitioningError | EndpointUnreachableError
    )


class _FullJitter(wait_base):
    """A uniform share of tenacity's exponential wait, but ``Retry-After`` always wins."""

    def __init__(self, env: Env, ceiling: wait_base) -> None:
        self._env = env
        self._ceiling = ceiling

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        error = cast("tenacity.Future", retry_state.outcome).exception()
        if isinstance(error, ArmError) and error.retry_after is not None:
            return error.retry_after
        return self._env.random.uniform(0.0, float(self._ceiling(retry_state)))


class _StopUnreachable(tenacity.stop.stop_base):
    """An endpoint that cannot be reached at all is given up after a few attempts, not minutes."""

    def __init__(self, attempts: int) -> None:
        self._attempts = attempts

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        error = cast("tenacity.Future", retry_state.outcome).exception()
        return (
            isinstance(error, EndpointUnreachableError)
            and retry_state.attempt_number >= self._attempts
        )


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
    stop: tenacity.stop.stop_base = field(
        factory=lambda: tenacity.stop_any(tenacity.stop_after_attempt(10), _StopUnreachable(4))
    )
    ceiling: wait_base = field(factory=lambda: tenacity.wait_exponential(0.5, max=20.0))


STANDARD = Policy()


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

    If the flow is interrupted meanwhile (Ctrl-C, a cancelled task) and the effect is a write to ARM, its
    end is awaited before the interruption goes on, so that a clean-up comes after it and not before.
    """
    token = yield Start(effect)
    try:
        done = yield from _wait_for(token, None)
    except GeneratorExit:
        raise
    except BaseException:
        if isinstance(effect, ArmCall) and not effect.reads:
            yield from _wait_for(token, env.clock.now() + SETTLE)
        raise
    return cast("Done", done).result()


def _wait_for(token: int, until: float | None) -> Flow[Done | None]:
    while True:
        done = cast("Done | None", (yield Next(until)))
        if done is None or done.token == token:
            return done


def retrying(
    env: Env,
    effect: Effect,
    *,
    deadline: float,
    policy: Policy = STANDARD,
    before_retry: Callable[[], Flow[Any]] | None = None,
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

    Raises:
        The last error, where it was not worth another attempt.
    """
    # The retry object is only read by tenacity's own loop, which is not used.
    state = tenacity.RetryCallState(cast("Any", None), None, (), {})
    state.start_time = env.clock.now()
    while True:
        try:
            return (yield from perform(env, effect))
        except Exception as error:
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
