"""What the sync and the async driver share: taking a flow from command to command."""

from __future__ import annotations

from types import GeneratorType
from typing import Any, Generic, TypeVar, cast

from aciflow.flow.effects import Command, Flow, Start


__all__ = ["Steps"]

R = TypeVar("R")


class Steps(Generic[R]):
    """
    A flow under way, and what it is to be told next.

    An interruption (Ctrl-C, a cancelled task) can come at any moment, also between two commands. It is
    thrown into the flow, which cleans up. One that comes while an effect is being started is kept back
    until the flow has learnt the effect's number: a request that was sent must not be forgotten.

    Attributes:
        token: Number of the effect that was started last.
        value: What the flow returned, once it has ended.
    """

    def __init__(self, flow: Flow[R]) -> None:
        self._flow = flow
        self._answers: list[Any] = [None]  # to the last command: none as long as it is under way
        self._error: BaseException | None = None
        self.token = 0
        self.value: R

    def next(self) -> Command | None:
        """The next command, or ``None`` at the end. Raises what the flow raises."""
        try:
            if self._answers:
                command = self._flow.send(self._answers.pop())
                if self._error is None:
                    return self._count(command)
            error, self._error = self._error, None
            return self._count(self._flow.throw(cast("BaseException", error)))
        except StopIteration as end:
            self.value = end.value
            return None

    def _count(self, command: Command) -> Command:
        if isinstance(command, Start):
            self.token += 1
            self._answers = [self.token]
        return command

    def answer(self, value: Any) -> None:
        """What came of the last command, if it was no ``Start``: the answer to that is :attr:`token`."""
        self._answers = [value]

    def interrupt(self, error: BaseException) -> None:
        """Have it thrown into the flow; raised at once if that is what ended the flow."""
        if cast("GeneratorType[Any, Any, Any]", self._flow).gi_frame is None:
            raise error
        self._error = error
