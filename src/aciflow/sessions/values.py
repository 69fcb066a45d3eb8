"""What an exec came to."""

from __future__ import annotations

from attrs import field, frozen


__all__ = ["ExecResult"]


@frozen
class ExecResult:
    """
    What a command in a container came to.

    Attributes:
        output: What it wrote to stdout and stderr, in the order in which it did; what is no UTF-8 is
            replaced.
        exit_code: Its exit code, 128 and the signal's number for one that was killed; ``None`` where
            the image has no shell that could report it: ACI itself tells none.
    """

    output: str = field(repr=False)
    exit_code: int | None
