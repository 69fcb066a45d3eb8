"""
When is a container group ready?

A :class:`Ready` is a set of conditions that must all hold. Conditions are values: what they need is
done by a flow, over ARM or by probing the container from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from attrs import field, frozen

from aciflow.errors import Problem, ValidationError


if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = ["Ready"]


Via: TypeAlias = Literal["client", "container", "auto"]


@frozen(kw_only=True)
class TcpCheck:
    """A TCP connection to ``port`` stays open 50 ms, or brings data."""

    port: int | None = None
    timeout: float = 2.0
    via: Via = "auto"

    def __str__(self) -> str:
        return "tcp" if self.port is None else f"tcp port {self.port}"


@frozen(kw_only=True)
class HttpCheck:
    """A GET of ``path`` answers with one of ``status``."""

    path: str = "/"
    port: int | None = None
    status: range | tuple[int, ...] = range(200, 400)
    timeout: float = 2.0
    via: Via = "auto"

    def __str__(self) -> str:
        port = "" if self.port is None else f" port {self.port}"
        return f"http{port} {self.path}"


@frozen(kw_only=True)
class LogCheck:
    """A line of the container's log matches ``pattern``."""

    pattern: str
    container: str | None = None

    def __str__(self) -> str:
        return f"log /{self.pattern}/"


@frozen(kw_only=True)
class ExecCheck:
    """A command in the container ends with exit code 0."""

    argv: tuple[str, ...]
    container: str | None = None
    timeout: float = 10.0

    def __str__(self) -> str:
        return f"exec {' '.join(self.argv)}"


@frozen
class RunningCheck:
    """Every container has started and runs."""

    def __str__(self) -> str:
        return "running"


@frozen
class CompletedCheck:
    """Every container has ended with exit code 0."""

    def __str__(self) -> str:
        return "completed"


ProbeCheck: TypeAlias = TcpCheck | HttpCheck
InsideCheck: TypeAlias = TcpCheck | HttpCheck | ExecCheck
Check: TypeAlias = TcpCheck | HttpCheck | LogCheck | ExecCheck | RunningCheck | CompletedCheck


def _check_port(port: object) -> None:
    if port is not None and not (isinstance(port, int) and 1 <= port <= 65535):
        raise ValidationError([Problem(field="ready.port", message=f"{port!r} is not in 1..65535")])


def _check_via(via: Via) -> None:
    if via not in ("client", "container", "auto"):
        raise ValidationError(
            [Problem(field="ready.via", message=f"{via!r} is not 'client', 'container' or 'auto'")]
        )


def _check_timeout(timeout: float) -> None:
    if not timeout > 0:
        raise ValidationError(
            [Problem(field="ready.timeout", message=f"{timeout} s; one attempt needs some time")]
        )


@frozen
class Ready:
    """
    Conditions that must all hold; combine them with ``&``.

    ``Ready.http("/healthz") & Ready.log("listening")``
    """

    checks: tuple[Check, ...] = field()

    @classmethod
    def tcp(cls, port: int | None = None, *, via: Via = "auto", timeout: float = 2.0) -> Ready:
        """
        A connection to ``port`` stays open 50 ms or brings data.

        Accepting is not enough: a port published by an engine's proxy accepts before anything listens.

        Args:
            port: Default: the group's first TCP port.
            via: From where: ``client`` is this process, ``container`` a shell in the container, ``auto``
                this process, and the container once it runs and its port is silent from here.
            timeout: Seconds for one attempt; attempts overlap.
        """
        _check_port(port)
        _check_timeout(timeout)
        _check_via(via)
        return cls((TcpCheck(port=port, timeout=timeout, via=via),))

    @classmethod
    def http(
        cls,
        path: str = "/",
        port: int | None = None,
        status: range | tuple[int, ...] | int = range(200, 400),
        *,
        via: Via = "auto",
        timeout: float = 2.0,
    ) -> Ready:
        """
        ``GET path`` answers with one of ``status``; redirects are not followed.

        Args:
            path: Begins with a slash.
            port: Default: the group's first TCP port.
            status: The statuses that count as ready.
            via: From where: ``client`` is this process, ``container`` a shell in the container, ``auto``
                this process, and the container once it runs and its port is silent from here.
            timeout: Seconds for one attempt; attempts overlap.
        """
        _check_port(port)
        _check_timeout(timeout)
        _check_via(via)
        if not path.startswith("/"):
            raise ValidationError(
                [Problem(field="ready.path", message=f"{path!r} must begin with a slash")]
            )
        accepted = (status,) if isinstance(status, int) else status
        return cls((HttpCheck(path=path, port=port, status=accepted, timeout=timeout, via=via),))

    @classmethod
    def log(cls, pattern: str, *, container: str | None = None) -> Ready:
        """
        A log line matches the regular expression ``pattern`` (``re.search``).

        Args:
            pattern: As Python's ``re`` has them.
            container: Default: the group's first.
        """
        import re  # not needed to import aciflow

        try:
            re.compile(pattern)
        except re.error as error:
            raise ValidationError(
                [Problem(field="ready.pattern", message=f"not a regular expression: {error}")]
            ) from error
        return cls((LogCheck(pattern=pattern, container=container),))

    @classmethod
    def exec(
        cls, argv: Sequence[str], *, container: str | None = None, timeout: float = 10.0
    ) -> Ready:
        """
        A command in the container ends with exit code 0.

        It needs a shell in the image, which alone tells an exit code; and everywhere but on the local
        endpoint ``pip install 'aciflow[exec]'``.

        Args:
            argv: The command and its arguments.
            container: Default: the group's first.
            timeout: Seconds for one attempt.
        """
        _check_timeout(timeout)
        words: tuple[Any, ...] = () if isinstance(argv, str) else tuple(argv)
        good = all(isinstance(word, str) and "\0" not in word for word in words)
        if not words or not words[0] or not good:
            raise ValidationError(
                [Problem(field="ready.argv", message=f"{argv!r} is no sequence of words")]
            )
        return cls((ExecCheck(argv=words, container=container, timeout=timeout),))

    @classmethod
    def running(cls) -> Ready:
        """Every container runs, as ARM tells it."""
        return cls((RunningCheck(),))

    @classmethod
    def completed(cls) -> Ready:
        """Every container has ended with exit code 0."""
        return cls((CompletedCheck(),))

    def __and__(self, other: Ready) -> Ready:
        """All conditions of both."""
        return Ready(self.checks + tuple(c for c in other.checks if c not in self.checks))

    def __str__(self) -> str:
        return " and ".join(str(check) for check in self.checks)
