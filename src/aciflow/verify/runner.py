"""Runs the scenarios against one endpoint, and removes what they made."""

from __future__ import annotations

import time

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen

from aciflow.errors import AciflowError
from aciflow.model.cost import STANDARD, cost
from aciflow.verify.arm import RESOURCES, Arm
from aciflow.verify.exchange import Exchange
from aciflow.verify.scenarios import SCENARIOS, Scenario
from aciflow.verify.stage import Check, NoImageError, Place, Stage


if TYPE_CHECKING:
    from aciflow.arm.settings import ArmSettings
    from aciflow.client import Client


__all__ = ["Outcome", "Run", "chosen", "estimate", "execute"]


@frozen(kw_only=True)
class Outcome:
    """
    What came of one scenario.

    Attributes:
        checks: What was expected.
        error: Why it could not be done to its end, or ``None``.
        skipped: It was not done.
        hopeless: Those after it would fail in the same way, and are not done.
        seconds: How long it took.
    """

    name: str
    about: str
    checks: tuple[Check, ...] = ()
    error: str | None = None
    skipped: bool = False
    hopeless: bool = False
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Done, and all was as expected."""
        return not self.skipped and self.error is None and all(check.ok for check in self.checks)


@frozen(kw_only=True)
class Run:
    """
    A whole run.

    Attributes:
        target: ``azure`` or ``local``.
        place: Where.
        outcomes: In order.
        exchanges: All traffic, as it was: with identifiers, and without the tokens.
        answers: To the questions, by id.
        starts: Rows for traces.
        dollars: What the groups have cost, by published prices; ``None`` where there is no price.
        left: What could not be removed.
        secrets: What must not be written anywhere.
        began: Seconds since the epoch.
        seconds: How long it took.
    """

    target: str
    place: Place
    outcomes: tuple[Outcome, ...]
    exchanges: tuple[Exchange, ...] = field(repr=False)
    answers: Mapping[str, Sequence[str]]
    starts: tuple[Mapping[str, Any], ...]
    dollars: float | None
    left: tuple[str, ...]
    secrets: frozenset[str] = field(repr=False)
    began: float
    seconds: float

    @property
    def passed(self) -> bool:
        """All was as expected, and nothing is left."""
        return not self.left and all(one.passed or one.skipped for one in self.outcomes)


def chosen(names: Sequence[str]) -> tuple[Scenario, ...]:
    """
    Scenarios by name; all without names.

    Raises:
        LookupError: There is none of that name.
    """
    known = {scenario.name: scenario for scenario in SCENARIOS}
    for name in names:
        if name not in known:
            raise LookupError(f"no scenario {name!r}; there are {', '.join(known)}")
    return tuple(known[name] for name in names) if names else SCENARIOS


def estimate(scenarios: Sequence[Scenario], location: str) -> tuple[float, bool]:
    """
    What scenarios will cost on Azure.

    Returns:
        USD; and whether the region's own price is known, else it is the highest that is.
    """
    normal = location.replace(" ", "").lower()
    known = normal in STANDARD
    prices = [normal] if known else list(STANDARD)
    return max(
        sum(_price(one.cpu_seconds, one.gb_seconds, price) for one in scenarios) for price in prices
    ), known


def _price(cpu_seconds: float, gb_seconds: float, location: str) -> float:
    return (cost(1.0, cpu_seconds, gb_seconds, location) or 0.0) if cpu_seconds else 0.0


def execute(
    settings: ArmSettings,
    client: Callable[[], Client],
    place: Place,
    scenarios: Sequence[Scenario],
    *,
    target: str,
    budget: float | None = None,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
) -> Run:
    """
    Run scenarios one after the other, in a resource group of their own.

    Args:
        settings: The endpoint and the principal.
        client: Makes an aciflow client of the same endpoint.
        place: Where; its resource group must not exist.
        scenarios: Which.
        target: For the report.
        budget: USD, by published prices; scenarios that would go beyond are skipped.
        on_outcome: Told of each.

    Raises:
        AciflowError: The resource group cannot be made.
    """
    arm = Arm(settings)
    began, clock = time.time(), time.monotonic()
    stage = Stage(arm=arm, place=place, client=client)
    outcomes: list[Outcome] = []
    left: tuple[str, ...] = ()
    try:
        _make_home(stage)
        try:
            for scenario in scenarios:
                outcome = _one(stage, scenario, budget)
                outcomes.append(outcome)
                on_outcome(outcome)
                if outcome.hopeless:
                    break
        finally:
            left = _remove_home(stage)
    finally:
        arm.close()
    return Run(
        target=target,
        place=place,
        outcomes=tuple(outcomes),
        exchanges=tuple(arm.exchanges),
        answers=stage.answers,
        starts=tuple(stage.starts),
        dollars=_spent(stage),
        left=left,
        secrets=frozenset(arm.secrets),
        began=began,
        seconds=time.monotonic() - clock,
    )


def _one(stage: Stage, scenario: Scenario, budget: float | None) -> Outcome:
    outcome = Outcome(name=scenario.name, about=scenario.about)
    spent = _spent(stage) or 0.0
    price, _ = estimate([scenario], stage.place.location)
    if budget is not None and spent + price > budget:
        return evolve(outcome, skipped=True, error=f"beyond the budget: ${spent:.2f} are spent")
    stage.arm.scenario, stage.checks = scenario.name, []
    began = time.monotonic()
    error: str | None = None
    hopeless = False
    try:
        with stage.removing():
            scenario.run(stage)
    except NoImageError as problem:
        error, hopeless = f"{problem}\n--image names another one than {stage.place.image}", True
    except AciflowError as problem:
        error = str(problem)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as problem:
        # A reply that is not as any that is known is what one wants to know about.
        error = f"a reply has another form than expected: {type(problem).__name__}: {problem}"
    return evolve(
        outcome,
        checks=tuple(stage.checks),
        error=error,
        hopeless=hopeless,
        seconds=time.monotonic() - began,
    )


def _spent(stage: Stage) -> float | None:
    if stage.place.location.replace(" ", "").lower() not in STANDARD:
        return None
    return _price(stage.used[0], stage.used[1], stage.place.location)


def _make_home(stage: Stage) -> None:
    stage.arm.scenario = "preparation"
    there = stage.send("HEAD", stage.home, step="resource group, HEAD", version=RESOURCES)
    if there.status != 404:
        raise AciflowError(
            f"resource group {stage.place.resource_group}: {there.status}; a new one is needed"
        )
    body = {
        "location": stage.place.location,
        "tags": {"aciflow-verify": stage.place.run, "purpose": "aciflow verify; may be deleted"},
    }
    made = stage.send("PUT", stage.home, body, step="resource group, PUT", version=RESOURCES)
    if made.status not in (200, 201):
        raise AciflowError(f"resource group: {made.status} {made.code}: {made.message}")


def _remove_home(stage: Stage) -> tuple[str, ...]:
    """Delete the resource groups; returns those that may still be there."""
    stage.arm.scenario = "clean-up"
    for name in list(stage.made):
        stage.gone(name)
    left = []
    for path in (stage.home, f"{stage.home}-other"):
        name = path.rpartition("/")[2]
        try:
            begun = stage.send("DELETE", path, step=f"DELETE {name[-5:]}", version=RESOURCES)
            if begun.status == 202:
                stage.arm.poll(begun, step="DELETE, operation", timeout=1800, every=5.0)
            there = stage.send("HEAD", path, step="HEAD", version=RESOURCES)
            if there.status != 404:
                left.append(name)
        except AciflowError:
            left.append(name)
    return tuple(left)
