"""Which handler answers which path: case-insensitive, and empty segments do not count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from attrs import field, frozen

from aciflow.local.protocol import Question, Reply, Request
from aciflow.local.rest import errors
from aciflow.local.rest.reading import parse
from aciflow.local.rest.state import State


__all__ = ["Call", "Handler", "Route", "Router"]


@frozen(kw_only=True)
class Call:
    """
    One request on its way through a handler.

    Attributes:
        params: The path's placeholders, as the client wrote them.
        answer: The runtime's answer to the handler's question, once there is one.
    """

    request: Request
    params: Mapping[str, str]
    now: float
    state: State
    answer: Any = field(default=None, repr=False)

    @property
    def api_version(self) -> str:
        """As given; empty where the path needs none."""
        return self.request.query.get("api-version", "")

    def json(self) -> dict[str, Any]:
        """
        The request's body.

        Raises:
            Refusal: It is not a JSON object.
        """
        body = parse(self.request.body)
        if not isinstance(body, dict):
            raise errors.invalid_content("The request body must be a JSON object.")
        return body


Handler: TypeAlias = Callable[[Call], Reply | Question]


@frozen
class Route:
    """
    A method and a path.

    Attributes:
        path: Segments in lower case; ``{name}`` takes any.
    """

    method: str
    path: str
    handler: Handler
    versioned: bool = True


class Router:
    """All routes, found by the number of segments first."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes: dict[int, list[tuple[list[str], Route]]] = {}
        for route in routes:
            segments = _segments(route.path)
            self._routes.setdefault(len(segments), []).append((segments, route))

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """
        The route and the values of its placeholders.

        Raises:
            Refusal: 404 for an unknown path, 405 for an unknown method.
        """
        given = _segments(path)
        lower = [segment.lower() for segment in given]
        known = False
        for pattern, route in self._routes.get(len(given), ()):
            if all(
                want == have or want[0] == "{" for want, have in zip(pattern, lower, strict=True)
            ):
                if route.method == method:
                    return route, {
                        want[1:-1]: have
                        for want, have in zip(pattern, given, strict=True)
                        if want[0] == "{"
                    }
                known = True
        if known:
            raise errors.method_not_allowed(method)
        if "providers" in lower[:-1]:
            namespace = given[len(lower) - lower[::-1].index("providers")]
            if namespace.lower() not in OURS:
                raise errors.no_such_provider(namespace)
        raise errors.no_such_path(path)


OURS = ("microsoft.containerinstance", "microsoft.resources")
"""The providers that this endpoint has."""


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]
