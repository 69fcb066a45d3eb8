"""A run as a page for people and as an archive for those who maintain aciflow."""

from __future__ import annotations

import io
import json
import platform
import time
import zipfile

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from aciflow._version import __version__
from aciflow.verify.compare import Difference, differences
from aciflow.verify.exchange import Exchange, Veil
from aciflow.verify.questions import QUESTIONS
from aciflow.verify.runner import Run


__all__ = ["Comparison", "against", "archive", "document", "page", "read_traffic", "veil_of"]


@frozen(kw_only=True)
class Comparison:
    """
    Two runs beside each other.

    Attributes:
        other: What the second one was.
        found: Differences.
        alone: Steps that only one of them has.
    """

    other: str
    found: Sequence[Difference] = ()
    alone: Sequence[str] = ()


def against(run: Run, other: Iterable[Exchange], what: str) -> Comparison:
    """Compare a run with other traffic."""
    found, alone = differences(run.exchanges, other)
    return Comparison(other=what, found=found, alone=alone)


def veil_of(run: Run) -> Veil:
    """What a run's records are seen through."""
    return Veil(run.secrets)


def document(run: Run, comparison: Comparison | None, veil: Veil) -> dict[str, Any]:
    """Everything but the traffic, as JSON."""
    shown: dict[str, Any] = veil.value(
        {
            "aciflow": __version__,
            "python": platform.python_version(),
            "target": run.target,
            "location": run.place.location,
            "image": run.place.image,
            "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(run.began)),
            "seconds": round(run.seconds, 1),
            "dollars": None if run.dollars is None else round(run.dollars, 4),
            "passed": run.passed,
            "left": list(run.left),
            "requests": len(run.exchanges),
            "scenarios": [
                {
                    "name": one.name,
                    "about": one.about,
                    "passed": one.passed,
                    "skipped": one.skipped,
                    "seconds": round(one.seconds, 1),
                    "error": one.error,
                    "checks": [
                        {"text": check.text, "ok": check.ok, "detail": check.detail}
                        for check in one.checks
                    ],
                }
                for one in run.outcomes
            ],
            "answers": {
                key: {"question": QUESTIONS[key], "seen": list(run.answers.get(key, ()))}
                for key in QUESTIONS
            },
            "comparison": None if comparison is None else _compared(comparison),
        }
    )
    return shown


def _compared(comparison: Comparison) -> dict[str, Any]:
    return {
        "with": comparison.other,
        "differences": [
            {
                "scenario": one.scenario,
                "step": one.step,
                "what": one.what,
                "there": one.there,
                "here": one.here,
            }
            for one in comparison.found
        ],
        "only_one_has": list(comparison.alone),
    }


def page(shown: Mapping[str, Any]) -> str:
    """The report, in Markdown."""
    passed = sum(one["passed"] for one in shown["scenarios"])
    lines = [
        f"# aciflow verify: {shown['target']}",
        "",
        f"{shown['began']}, {shown['location']}, image `{shown['image']}`.",
        f"aciflow {shown['aciflow']}, Python {shown['python']}.",
        f"{passed} of {len(shown['scenarios'])} scenarios as expected, {shown['requests']} requests, "
        f"{shown['seconds']:.0f} s"
        + ("." if shown["dollars"] is None else f", about ${shown['dollars']:.2f}."),
        "",
        "Nothing is left." if not shown["left"] else f"**Left: {', '.join(shown['left'])}**",
        "",
        "## Scenarios",
        "",
        "| scenario | what | outcome | s |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {one['name']} | {one['about']} | {_outcome(one)} | {one['seconds']:.0f} |"
        for one in shown["scenarios"]
    ]
    lines += _failures(shown["scenarios"])
    lines += ["", "## What nobody had verified", ""]
    for answer in shown["answers"].values():
        lines += [f"- {answer['question']}"]
        lines += [f"  - {_cell(text)}" for text in answer["seen"]] or ["  - not seen in this run"]
    if shown["comparison"] is not None:
        lines += _comparison(shown["comparison"])
    return "\n".join(lines) + "\n"


def _outcome(one: Mapping[str, Any]) -> str:
    if one["skipped"]:
        return f"skipped: {_cell(one['error'])}"
    bad = sum(not check["ok"] for check in one["checks"])
    if one["passed"]:
        return f"{len(one['checks'])} checks passed"
    return f"**{bad} of {len(one['checks'])} checks failed**" if bad else "**not done**"


def _failures(scenarios: Sequence[Mapping[str, Any]]) -> list[str]:
    lines: list[str] = []
    for one in scenarios:
        if one["passed"] or one["skipped"]:
            continue
        lines += ["", f"### {one['name']}", ""]
        if one["error"]:
            lines.append(f"- {_cell(one['error'])}")
        lines += [
            f"- not so: {check['text']} ({_cell(check['detail'])})"
            for check in one["checks"]
            if not check["ok"]
        ]
    return lines


def _comparison(shown: Mapping[str, Any]) -> list[str]:
    lines = ["", f"## Compared with {shown['with']}", ""]
    found = shown["differences"]
    if not found:
        lines.append("No difference in any status, header or body.")
    else:
        lines += [
            f"{len(found)} differences.",
            "",
            "| scenario | step | what | this run | the other |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {one['scenario']} | {one['step']} | `{one['what']}` | {_cell(one['there'])} "
            f"| {_cell(one['here'])} |"
            for one in found
        ]
    if shown["only_one_has"]:
        lines += ["", "Steps that only one of them has:", ""]
        lines += [f"- {each}" for each in shown["only_one_has"]]
    return lines


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")[:400]


def archive(path: Path, run: Run, shown: Mapping[str, Any], veil: Veil) -> None:
    """
    Write everything into one file: the report, the traffic, the starts.

    Raises:
        OSError: It cannot be written.
        AssertionError: A secret would be in it; nothing is written then.
    """
    parts = {
        "report.md": page(shown),
        "verify.json": json.dumps(shown, indent=1),
        "traffic.json": json.dumps([veil.exchange(seen) for seen in run.exchanges], indent=1),
        "aci-starts.json": json.dumps({"count": len(run.starts), "starts": veil.value(run.starts)}),
    }
    for name, text in parts.items():
        if any(secret in text for secret in run.secrets if secret):
            raise AssertionError(f"{name} would hold a secret, so no archive was written")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in parts.items():
            packed.writestr(name, text)
    path.write_bytes(buffer.getvalue())


def read_traffic(path: Path) -> list[Exchange]:
    """
    The traffic of an archive.

    Raises:
        ValueError: It is none.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            return [Exchange(**item) for item in json.loads(packed.read("traffic.json"))]
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no archive of aciflow verify: {error}") from error
