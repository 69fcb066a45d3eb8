"""``aciflow bench``."""

from __future__ import annotations

import json

from pathlib import Path
from typing import TYPE_CHECKING, Any


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

    measured = benchmark.measure(Path(args.traces), seed=args.seed)
    return _show(args, output, measured, benchmark.report(measured))


def _show(args: Namespace, output: Output, measured: dict[str, Any], text: str) -> int:
    output.result(measured, text)
    if args.json not in (None, "-"):
        Path(args.json).write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    return 0
