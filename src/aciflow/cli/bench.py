"""``aciflow bench``."""

from __future__ import annotations

import json

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aciflow.cli.values import traces as read_traces


if TYPE_CHECKING:
    from argparse import Namespace

    from aciflow.cli.output import Output


__all__ = ["detection", "imports", "load", "overhead"]


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


def load(args: Namespace, output: Output) -> int:
    """The served endpoint under load."""
    from aciflow.bench import load as benchmark

    measured = benchmark.measure(args.seconds, rounds=args.rounds, seed=args.seed)
    return _show(args, output, measured, benchmark.report(measured))


def detection(args: Namespace, output: Output) -> int:
    """How late a caller knows that a container serves."""
    from aciflow.bench import detection as benchmark

    traces = read_traces(Path(args.traces))
    measured = benchmark.measure(traces, seed=args.seed)
    return _show(args, output, measured, benchmark.render(measured))


def _show(args: Namespace, output: Output, measured: dict[str, Any], text: str) -> int:
    output.result(measured, text)
    if args.json not in (None, "-"):
        Path(args.json).write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    return 0
