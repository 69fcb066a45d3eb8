"""Everything that is printed: results on standard output, all else on standard error."""

from __future__ import annotations

import json
import sys
import warnings

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from attrs import frozen

from aciflow.errors import (
    AciflowError,
    ArmError,
    ContainerExitedError,
    LocalTargetWarning,
    ValidationError,
)


if TYPE_CHECKING:
    from aciflow.timeline.live import ProgressHook


__all__ = ["Output"]


@frozen(kw_only=True)
class Output:
    """
    How to print.

    Attributes:
        json: Results are JSON, one document, and so is an error.
        quiet: Neither progress nor notes.
    """

    json: bool
    quiet: bool

    def result(self, document: Any, text: str) -> None:
        """Print a result: the document as JSON, or the text."""
        if self.json:
            self._print(json.dumps(document, indent=2))
        else:
            self._print(text)

    def line(self, text: str) -> None:
        """Print one line of a result that comes bit by bit; nothing where the result is JSON."""
        if not self.json:
            self._print(text)

    def note(self, text: str) -> None:
        """Tell people something that is no result."""
        if not self.quiet:
            self._print(text, file=sys.stderr)

    def error(self, error: AciflowError) -> None:
        """Print an error as one block, or as JSON."""
        if self.json:
            self._print(json.dumps({"error": error_document(error)}, indent=2))
        else:
            first, *rest = str(error).splitlines() or [type(error).__name__]
            notes = getattr(error, "__notes__", [])
            block = [f"error: {first}", *(f"  {line}".rstrip() for line in [*rest, *notes])]
            self._print("\n".join(block), file=sys.stderr)

    def usage(self, error: Exception) -> None:
        """Print what is wrong with what was typed."""
        if self.json:
            self._print(
                json.dumps({"error": {"type": "UsageError", "message": str(error)}}, indent=2)
            )
        else:
            self._print(f"error: {error}", file=sys.stderr)

    def bug(self, error: Exception) -> None:
        """Print an error that nobody foresaw."""
        text = f"{type(error).__name__}: {error}"
        if self.json:
            self._print(
                json.dumps({"error": {"type": type(error).__name__, "message": str(error)}})
            )
        else:
            self._print(f"error: {text}\n  not foreseen; --debug shows where", file=sys.stderr)

    def progress(self) -> ProgressHook | None:
        """A hook for ``on_phase``, where somebody watches."""
        from aciflow.timeline.live import default_hook

        return None if self.quiet else default_hook()

    @contextmanager
    def warnings(self) -> Iterator[None]:
        """Print warnings as notes, without the line of code that Python shows."""

        def show(message: Warning | str, *_: Any, **__: Any) -> None:
            if isinstance(message, LocalTargetWarning):
                text = "no Azure is configured: this is this machine's engine ('aciflow doctor' says more)"
            else:
                text = str(message)
            self.note(f"note: {text}")

        with warnings.catch_warnings():
            warnings.showwarning = show
            yield

    def _print(self, text: str, *, file: Any = None) -> None:
        stream = sys.stdout if file is None else file
        encoding = getattr(stream, "encoding", None) or "utf-8"
        # A terminal or file of another encoding gets question marks, never a crash.
        print(text.encode(encoding, "replace").decode(encoding), file=stream, flush=True)


def error_document(error: AciflowError) -> dict[str, Any]:
    """An error as JSON: what a program needs to branch on, and what a person would read."""
    document: dict[str, Any] = {"type": type(error).__name__, "message": error.message}
    if isinstance(error, ArmError):
        document |= {"code": error.code, "status": error.status, "request_id": error.request_id}
    if isinstance(error, ValidationError):
        document["problems"] = [
            {"field": problem.field, "message": problem.message} for problem in error.problems
        ]
    if isinstance(error, ContainerExitedError):
        document |= {"container": error.container, "exit_code": error.exit_code}
    if error.context is not None:
        document |= {
            "phase": error.context.phase,
            "logs": error.context.logs,
            "events": list(error.context.events),
            "timeline": error.context.timeline.to_dict(),
        }
    left = [*error.leftovers, *getattr(error, "remaining", ())]
    document["leftovers"] = [
        {"resource_id": one.resource_id, "remove_with": one.remove_with} for one in left
    ]
    return document
