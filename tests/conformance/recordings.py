"""The recordings of ``ACIFLOW_CORPUS``: what was asked of the real service, and what it said."""

from __future__ import annotations

import ast
import calendar
import email.utils
import json
import re

from pathlib import Path
from typing import Any

from attrs import field, frozen


FULL_SINCE = "2021-07-01"
"""From this api-version on the whole body is compared; the service of before was another one."""

_GROUP = "/providers/Microsoft.ContainerInstance/containerGroups"
_KINDS = (
    ("operation", r".*/operations/[^/]+"),
    ("exec", rf".*{_GROUP}/[^/]+/containers/[^/]+/exec"),
    ("attach", rf".*{_GROUP}/[^/]+/containers/[^/]+/attach"),
    ("logs", rf".*{_GROUP}/[^/]+/containers/[^/]+/logs"),
    ("start", rf".*{_GROUP}/[^/]+/start"),
    ("stop", rf".*{_GROUP}/[^/]+/stop"),
    ("restart", rf".*{_GROUP}/[^/]+/restart"),
    ("group", rf".*{_GROUP}/[^/]+"),
    ("groups", rf".*{_GROUP}"),
    ("resource group", r"/subscriptions/[^/]+/resourcegroups/[^/]+"),
)


@frozen(kw_only=True)
class Interaction:
    """
    One request and its reply.

    Attributes:
        at: When the reply was sent, by its ``Date``, in seconds since the epoch; whole seconds.
        response: The reply's JSON, or ``None``.
    """

    recording: str
    number: int
    method: str
    path: str
    query: dict[str, str]
    request: Any = field(repr=False)
    status: int
    headers: dict[str, str]
    response: Any = field(repr=False)
    at: float

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.recording}#{self.number}"

    @property
    def version(self) -> str:
        """The api-version."""
        return self.query.get("api-version", "")

    @property
    def kind(self) -> str:
        """``PUT group``, ``GET operation`` and so on."""
        for name, pattern in _KINDS:
            if re.fullmatch(pattern, self.path, re.IGNORECASE):
                return f"{self.method} {name}"
        return f"{self.method} other"

    @property
    def full(self) -> bool:
        """The whole body is compared."""
        return "operation" in self.kind or self.version >= FULL_SINCE

    @property
    def providers(self) -> list[str]:
        """The resource providers that the path names."""
        return re.findall(r"/providers/([^/]+)", self.path)

    @property
    def foreign(self) -> str | None:
        """The provider that is not ours, where there is one."""
        for provider in self.providers:
            if provider.lower() not in ("microsoft.containerinstance", "microsoft.resources"):
                return provider
        return None

    @property
    def resource_group(self) -> str | None:
        """As the path writes it."""
        found = re.search(r"/resourcegroups/([^/]+)", self.path, re.IGNORECASE)
        return found[1] if found else None

    @property
    def group(self) -> str | None:
        """The container group's path in lower case, where the path names one or is one's."""
        found = re.match(rf"/+(subscriptions/.*{_GROUP}/[^/]+)", self.path, re.IGNORECASE)
        return f"/{found[1]}".lower() if found else None


@frozen(kw_only=True)
class Recording:
    """One scenario, in the order in which it was recorded."""

    name: str
    interactions: tuple[Interaction, ...] = field(repr=False)


def recordings(corpus: Path) -> list[Recording]:
    """All of them; the excerpts that were copied by hand are another thing."""
    found = []
    for file in sorted((corpus / "wire").glob("*.json")):
        document = json.loads(file.read_text())
        if "interactions" in document:
            name = file.name.removesuffix(".json")
            items = enumerate(document["interactions"])
            found.append(
                Recording(name=name, interactions=tuple(_read(name, n, item) for n, item in items))
            )
    return found


def excerpts(corpus: Path) -> dict[str, Any]:
    """Payloads and the error catalogue, copied by hand."""
    document: dict[str, Any] = json.loads((corpus / "wire/transcribed-excerpts.json").read_text())
    return document


def seconds(stamp: str) -> float:
    """A time of a body (``2023-05-05T00:15:56.437Z``) in seconds since the epoch."""
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    fields = [int(part) for part in re.split("[-T:]", whole)]
    return calendar.timegm((*fields, 0, 0, 0)) + (float(f"0.{fraction}") if fraction else 0.0)


def _unwrapped(request: Any) -> Any:
    """A body that was recorded as the text of a Python literal, once or more."""
    while isinstance(request, str | bytes) and request[:2] in ("b'", b"b'"):
        request = ast.literal_eval(request if isinstance(request, str) else request.decode())
        if isinstance(request, bytes):
            request = request.decode()
    return json.loads(request) if isinstance(request, str) else request


def _read(recording: str, number: int, item: dict[str, Any]) -> Interaction:
    pairs = (part.partition("=") for part in (item["query"] or "").split("&") if part)
    return Interaction(
        recording=recording,
        number=number,
        method=item["method"],
        path=item["path"],
        query={name.lower(): value for name, _, value in pairs},
        request=_unwrapped(item["request"]),
        status=item["status"],
        headers=item["headers"],
        response=item["response"],
        at=email.utils.parsedate_to_datetime(item["headers"]["date"]).timestamp(),
    )
