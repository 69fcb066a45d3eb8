"""``aciflow verify``."""

from __future__ import annotations

import contextlib
import secrets
import sys
import time

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aciflow.cli.values import UsageError


if TYPE_CHECKING:
    from argparse import Namespace

    from aciflow.arm.settings import ArmSettings
    from aciflow.cli.output import Output
    from aciflow.local.azure import LocalAzure
    from aciflow.verify.runner import Outcome, Run
    from aciflow.verify.scenarios import Scenario
    from aciflow.verify.stage import Place


__all__ = ["verify"]

IMAGE = "mcr.microsoft.com/azuredocs/aci-helloworld:latest"
"""Microsoft's own example: serves HTTP on port 80, has a shell, and needs no Docker Hub."""

LOCATION = "eastus"


def verify(args: Namespace, output: Output) -> int:
    """Run the scenarios, print what came of them, write the report and the archive."""
    from aciflow.verify import report
    from aciflow.verify.runner import chosen

    try:
        scenarios = chosen(args.scenarios)
        other = report.read_traffic(Path(args.against)) if args.against else None
    except (LookupError, ValueError) as error:
        raise UsageError(str(error)) from error
    if args.list:
        rows = [{"name": one.name, "about": one.about} for one in scenarios]
        output.result(rows, "\n".join(f"{one['name']:15} {one['about']}" for one in rows))
        return 0
    folder = Path(args.out)
    if not folder.is_dir():
        raise UsageError(f"--out {folder}: no such directory")
    if args.target == "azure":
        run = _on_azure(args, output, scenarios)
        if run is None:
            return 1
    else:
        run = _on_local(output, scenarios, args.image)
    comparison = None
    if other is not None:
        comparison = report.against(run, other, Path(args.against).name)
    elif args.target == "azure" and not args.no_comparison:
        output.note("the same on the local endpoint, to compare")
        local = _on_local(output, scenarios, args.local_image or args.image)
        comparison = report.against(run, local.exchanges, "the local endpoint")
    veil = report.veil_of(run)
    shown = report.document(run, comparison, veil)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(run.began))
    name = f"aciflow-verify-{args.target}-{stamp}"
    page, packed = folder / f"{name}.md", folder / f"{name}.zip"
    page.write_text(report.page(shown), encoding="utf-8")
    report.archive(packed, run, shown, veil)
    output.result({**shown, "report": str(page), "archive": str(packed)}, _summary(run, shown))
    output.note(f"report:  {page}\narchive: {packed} (no secrets in it; send this one)")
    return 0 if run.passed else 1


def _summary(run: Run, shown: dict[str, Any]) -> str:
    passed = sum(one.passed for one in run.outcomes)
    lines = [f"{passed} of {len(run.outcomes)} scenarios as expected in {run.seconds:.0f} s"]
    if run.target == "azure" and run.dollars is not None:
        lines.append(f"cost by published prices: ${run.dollars:.2f}")
    if shown["comparison"] is not None:
        found = len(shown["comparison"]["differences"])
        lines.append(f"{found} differences from {shown['comparison']['with']}")
    seen = sum(bool(one["seen"]) for one in shown["answers"].values())
    lines.append(f"{seen} of {len(shown['answers'])} open questions have an answer")
    if run.left:
        lines.append(f"LEFT: {', '.join(run.left)}")
        lines += [f"  az group delete --yes --name {name}" for name in run.left]
    else:
        lines.append("nothing is left")
    return "\n".join(lines)


def _on_azure(args: Namespace, output: Output, scenarios: tuple[Scenario, ...]) -> Run | None:
    from attrs import evolve

    from aciflow.client import Client
    from aciflow.target import resolve
    from aciflow.verify.prices import confidential
    from aciflow.verify.runner import estimate, execute

    target = resolve("azure", subscription_id=args.subscription, cloud=args.cloud)
    location = args.location or target.location or LOCATION
    dollars, known = estimate(scenarios, location)
    place = _place(args.image or IMAGE, location)
    output.note(
        f"{len(scenarios)} scenarios on Azure, subscription {target.subscription_id}, {location}.\n"
        f"Estimated cost ${dollars:.2f}, by published prices"
        + ("" if known else f" of the dearest region that is known, since {location}'s is not")
        + f"; the budget is ${args.budget:.2f}.\n"
        f"All of it is made in the resource group {place.resource_group} and removed again; should "
        f"this be killed:\n  az group delete --yes --name {place.resource_group}"
    )
    if dollars > args.budget:
        raise UsageError(f"the estimate is above --budget {args.budget:g}")
    if not args.yes and not _agreed():
        output.note("nothing was done")
        return None
    run = execute(
        target.settings,
        lambda: Client("azure", subscription_id=target.subscription_id, cloud=args.cloud),
        place,
        scenarios,
        target="azure",
        budget=args.budget,
        on_outcome=lambda outcome: _tell(output, outcome),
    )
    return evolve(run, answers={**run.answers, "confidential": confidential()})


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to ask; --yes agrees to the cost")
    print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _on_local(output: Output, scenarios: tuple[Scenario, ...], image: str | None) -> Run:
    from aciflow.local.azure import LocalAzure
    from aciflow.verify.runner import execute

    with LocalAzure() as local, _served(local) as settings:
        return execute(
            settings,
            local.client,
            _place(image or IMAGE, LOCATION),
            scenarios,
            target="local",
            on_outcome=lambda outcome: _tell(output, outcome),
        )


@contextlib.contextmanager
def _served(local: LocalAzure) -> Iterator[ArmSettings]:
    """The endpoint over TLS, as any other client sees it."""
    from aciflow.arm.settings import ArmSettings

    with local.serve() as served:
        yield ArmSettings(
            subscription_id=local.subscription_id,
            base_url=served.url,
            credential=local.credential(),
            credential_scopes=(f"{served.url}/.default",),
            verify=str(served.ca_file),
        )


def _place(image: str, location: str) -> Place:
    from aciflow.verify.stage import Place

    run = secrets.token_hex(3)
    return Place(resource_group=f"aciflow-verify-{run}", location=location, image=image, run=run)


def _tell(output: Output, outcome: Outcome) -> None:
    mark = "skipped" if outcome.skipped else "ok" if outcome.passed else "FAILED"
    output.note(f"{outcome.name:15} {mark:8} {outcome.seconds:5.0f} s  {outcome.about}")
    if outcome.error:
        output.note(f"  {outcome.error}")
    for check in outcome.checks:
        if not check.ok:
            output.note(f"  not so: {check.text} ({check.detail})")
