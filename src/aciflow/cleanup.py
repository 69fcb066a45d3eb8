"""Clean-ups that go on when a part of them fails, and tell of it without hiding what came before."""

from __future__ import annotations

import warnings

from collections.abc import Iterator
from contextlib import contextmanager

from attrs import define, field

from aciflow.errors import AciflowError, CleanupError, Leftover


__all__ = ["Failures", "noting", "warning"]


@define
class Failures:
    """The parts of a clean-up that failed; one must not keep the others from being done."""

    remaining: list[Leftover] = field(factory=list)
    messages: list[str] = field(factory=list)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """One part."""
        try:
            yield
        except CleanupError as error:
            self.remaining += error.remaining
            self.messages.append(error.message.partition("\n")[0])
        except AciflowError as error:
            self.messages.append(error.message)

    def raise_for_any(self) -> None:
        """
        Tell of all of them.

        Raises:
            CleanupError: What is left, and how to remove it.
        """
        if self.messages:
            raise CleanupError("; ".join(self.messages), remaining=self.remaining)


@contextmanager
def noting(error: BaseException | None) -> Iterator[None]:
    """Do not let a failing clean-up hide the error that it follows: it becomes a note of that one."""
    try:
        yield
    except AciflowError as failure:
        if error is None:
            raise
        error.add_note(str(failure))


@contextmanager
def warning() -> Iterator[None]:
    """Do not let a failing clean-up take away the result that it follows: it becomes a warning."""
    try:
        yield
    except AciflowError as failure:
        warnings.warn(str(failure), UserWarning, stacklevel=2)
