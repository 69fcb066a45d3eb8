"""``aciflow bench``."""

from __future__ import annotations

import json

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aciflow.cli.values import UsageError


if TYPE_CHECKING:
    from argparse import Namespace

    from aciflow.cli.output import Output


__all__ = ["detection", "imports", "overhead"]


def imports(args: Namespace, output: Output) -> int:
    """What importing costs."""
    from aciflow.bench import imports as benchmark

    measured = benchmark.measure(args.rounds, seed=args.seed)
    return _show(args, output, measured, benchmark.report(measured))


def overhead(args: Namespace, output: Output) -> int:
    """A launch on the engine against the plain Engine API."""
    from aciflow.bench import overhead as benchmark

    measured = benchmark.measure(args.rounds, image=args.image, seed=args.seed)
    return _show(args, output, measured, benchmark.report(measured))


def detection(args: Namespace, output: Output) -> int:
    """How late a caller knows that a container serves."""
    from aciflow.bench import detection as benchmark

    traces = _traces(Path(args.traces))
    measured = benchmark.measure(traces, seed=args.seed)
    return _show(args, output, measured, benchmark.render(measured))


def _traces(path: Path) -> list[dict[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--traces {path}: {error}") from error
    rows = content.get("starts") if isinstance(content, dict) else content
    if not isinstance(rows, list) or not rows:
        raise UsageError(f'--traces {path}: recorded starts are expected, {{"starts": [...]}}')
    return rows


def _show(args: Namespace, output: Output, measured: dict[str, Any], text: str) -> int:
    output.result(measured, text)
    if args.json not in (None, "-"):
        Path(args.json).write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    return 0
