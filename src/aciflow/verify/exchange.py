"""
One request and its reply, as they are remembered: without whatever is secret or personal.

The form is that of recorded ARM traffic elsewhere: method, path, query, request, status, headers,
response.
"""

from __future__ import annotations

import json
import re

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import field, frozen


__all__ = ["HEADERS", "Exchange", "Veil"]


HEADERS = (
    "azure-asyncoperation",
    "content-type",
    "date",
    "location",
    "retry-after",
    "www-authenticate",
    "x-ms-failure-cause",
    "x-ms-ratelimit-remaining-subscription-deletes",
    "x-ms-ratelimit-remaining-subscription-global-deletes",
    "x-ms-ratelimit-remaining-subscription-global-reads",
    "x-ms-ratelimit-remaining-subscription-global-writes",
    "x-ms-ratelimit-remaining-subscription-reads",
    "x-ms-ratelimit-remaining-subscription-resource-requests-pt1h",
    "x-ms-ratelimit-remaining-subscription-resource-requests-pt5m",
    "x-ms-ratelimit-remaining-subscription-writes",
)
"""Headers of replies that say something about the service; no others are kept."""

_UUID = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE
)
_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+\w|live\.com#\S+")
_IP = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")
# Azure signs the URLs of operations since 2025: ?t=..&c=..&s=..&h=..
_SIGNED = re.compile(r"(?<=[?&])(t|c|s|h|sig|sv|se|token)=[^&\"\s]{8,}")

_SECRET_KEYS = {
    "accesstoken",
    "password",
    "securevalue",
    "storageaccountkey",
    "token",
    "workspacekey",
}
MASKED = "[masked]"


@frozen(kw_only=True)
class Exchange:
    """
    A request and its reply.

    Attributes:
        scenario: Which scenario sent it.
        step: What it was for; the same for both targets, so that replies can be compared.
        method: Upper case.
        path: Without the query.
        query: As sent.
        request: The JSON body, or ``None``.
        status: HTTP status.
        headers: Those of :data:`HEADERS` that were there; names in lower case.
        response: The JSON body, the text where it was none, or ``None``.
        sent: Seconds since the epoch, by this machine's clock.
        seconds: Until the reply was there.
    """

    scenario: str
    step: str
    method: str
    path: str
    query: str = ""
    request: Any = field(default=None, repr=False)
    status: int
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    response: Any = field(default=None, repr=False)
    sent: float = 0.0
    seconds: float = 0.0

    @property
    def code(self) -> str | None:
        """ARM's error code, where the reply is an error."""
        error = self.response.get("error") if isinstance(self.response, dict) else None
        return error.get("code") if isinstance(error, dict) and self.status >= 400 else None

    @property
    def message(self) -> str:
        """ARM's error message, or nothing."""
        error = self.response.get("error") if isinstance(self.response, dict) else None
        return str(error.get("message", "")) if isinstance(error, dict) else ""

    def to_json(self) -> dict[str, Any]:
        """For the archive; :class:`Veil` comes first."""
        return {
            "scenario": self.scenario,
            "step": self.step,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "request": self.request,
            "status": self.status,
            "headers": dict(self.headers),
            "response": self.response,
            "sent": round(self.sent, 3),
            "seconds": round(self.seconds, 3),
        }


class Veil:
    """
    Takes out of anything that is written down what nobody else should know.

    Identifiers become others, the same one for the same one, so that what belongs together still does:
    UUIDs (subscription, tenant, principals, operations), addresses (those of RFC 5737). Mail addresses,
    signatures in URLs, values under the names of secrets, and the given secrets are masked.

    Args:
        secrets: Strings that must not appear anywhere.
        words: Other replacements, as of a resource group's name that is not ours.
    """

    def __init__(self, secrets: Iterable[str] = (), words: Mapping[str, str] | None = None) -> None:
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._words = dict(words or {})
        self._ids: dict[str, str] = {}
        self._addresses: dict[str, str] = {}

    def text(self, text: str) -> str:
        """A text without any of it."""
        for secret in self._secrets:
            text = text.replace(secret, MASKED)
        for word, other in self._words.items():
            text = text.replace(word, other)
        text = _SIGNED.sub(lambda found: f"{found[1]}={MASKED}", text)
        text = _MAIL.sub(MASKED, text)
        text = _UUID.sub(lambda found: self._id(found[0]), text)
        return _IP.sub(lambda found: self._address(found[0]), text)

    def value(self, value: Any) -> Any:
        """JSON without any of it."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self.value(each) for each in value]
        if isinstance(value, dict):
            return {self.text(str(key)): self._under(str(key), each) for key, each in value.items()}
        return value

    def exchange(self, seen: Exchange) -> dict[str, Any]:
        """An exchange as it is written down."""
        shown: dict[str, Any] = self.value(seen.to_json())
        return shown

    def _under(self, key: str, value: Any) -> Any:
        if key.lower() in _SECRET_KEYS and isinstance(value, str):
            return MASKED
        if key == "secret" and isinstance(value, dict):  # a secret volume's files
            return dict.fromkeys(value, MASKED)
        return self.value(value)

    def _id(self, found: str) -> str:
        key = found.lower()
        return self._ids.setdefault(key, f"00000000-0000-0000-0000-{len(self._ids):012d}")

    def _address(self, found: str) -> str:
        parts = [int(part) for part in found.split(".")]
        if any(part > 255 for part in parts) or parts[0] in (0, 127):
            return found  # a version number, or loopback
        place = len(self._addresses)
        return self._addresses.setdefault(found, f"203.0.113.{place % 254 + 1}")


def dumps(value: Any) -> str:
    """JSON for people and for diffs."""
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=False)
