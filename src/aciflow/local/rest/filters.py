"""ARM's ``$filter``: comparisons of a resource's type, name, group, location and tags."""

from __future__ import annotations

import re

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from aciflow.local.rest import errors
from aciflow.local.rest.routing import Call


__all__ = ["filtered", "top"]


Subject: TypeAlias = Mapping[str, Any]
Test: TypeAlias = Callable[[Subject], bool]

MAX_LENGTH = 2000

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<mark>[(),])|(?P<word>[A-Za-z][A-Za-z./_]*))"
)
_NAMES = ("resourcetype", "resourcegroup", "name", "location", "tagname", "tagvalue", "id")


def filtered(
    call: Call, subjects: Sequence[Subject], names: tuple[str, ...] = _NAMES
) -> list[Subject]:
    """
    Those that a request's ``$filter`` and ``$top`` leave.

    Args:
        subjects: Bodies with ``id``, ``name``, ``type``, ``location`` and ``tags``.
        names: What may be compared, in lower case.

    Raises:
        Refusal: ``InvalidFilterInQueryString``; ``InvalidTopInQueryString``.
    """
    text = call.request.query.get("$filter", "")
    if text.strip():
        test = _Parser(text, names).whole()
        subjects = [subject for subject in subjects if test(subject)]
    most = top(call)
    return list(subjects if most is None else subjects[:most])


def top(call: Call) -> int | None:
    """
    How many are asked for.

    Raises:
        Refusal: ``InvalidTopInQueryString``.
    """
    text = call.request.query.get("$top")
    if text is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", text) is None or int(text) == 0:
        raise errors.Refusal(
            400,
            "InvalidTopInQueryString",
            f"Invalid $top '{text}' specified in the query string: a number above 0.",
        )
    return int(text)


class _Parser:
    """
    Recursive descent: ``or`` binds weaker than ``and``.

    A ``tagName`` and a ``tagValue`` that are joined by ``and`` speak of the same tag.
    """

    def __init__(self, text: str, names: tuple[str, ...]) -> None:
        self._text = text
        self._names = names
        self._tokens: list[tuple[str, str]] = []
        if len(text) > MAX_LENGTH or text.count("(") > 20:
            raise errors.invalid_filter(text[:100])
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None or found.lastgroup is None:
                raise errors.invalid_filter(text)
            self._tokens.append((found.lastgroup, found[found.lastgroup]))
            at = found.end()
        self._at = 0

    def whole(self) -> Test:
        test = self._either()
        if self._at != len(self._tokens):
            raise errors.invalid_filter(self._text)
        return test

    def _word(self, *words: str) -> str | None:
        if self._at < len(self._tokens):
            kind, text = self._tokens[self._at]
            if kind != "text" and text.lower() in words:
                self._at += 1
                return text.lower()
        return None

    def _need(self, *words: str) -> str:
        found = self._word(*words)
        if found is None:
            raise errors.invalid_filter(self._text)
        return found

    def _literal(self) -> str:
        if self._at < len(self._tokens) and self._tokens[self._at][0] == "text":
            self._at += 1
            return self._tokens[self._at - 1][1][1:-1].replace("''", "'").lower()
        raise errors.invalid_filter(self._text)

    def _either(self) -> Test:
        tests = [self._both()]
        while self._word("or"):
            tests.append(self._both())
        return lambda subject: any(test(subject) for test in tests)

    def _both(self) -> Test:
        tests: list[Test] = []
        tag: dict[str, Callable[[str], bool]] = {}
        while True:
            one = self._one()
            if isinstance(one, tuple):
                tag[one[0]] = one[1]
            else:
                tests.append(one)
            if not self._word("and"):
                break
        if tag:
            tests.append(lambda subject: _has_tag(subject, tag))
        return lambda subject: all(test(subject) for test in tests)

    def _one(self) -> Test | tuple[str, Callable[[str], bool]]:
        if self._word("("):
            test = self._either()
            self._need(")")
            return test
        function = self._word("startswith", "substringof")
        if function is None:
            name = self._need(*self._names)
            wanted_equal = self._need("eq", "ne") == "eq"
            wanted = self._literal()
            return _compared(name, lambda value: (value == wanted) is wanted_equal)
        self._need("(")
        if function == "startswith":
            name = self._need(*self._names)
            self._need(",")
            wanted = self._literal()
            self._need(")")
            return _compared(name, lambda value: value.startswith(wanted))
        wanted = self._literal()
        self._need(",")
        name = self._need(*self._names)
        self._need(")")
        return _compared(name, lambda value: wanted in value)


def _compared(name: str, test: Callable[[str], bool]) -> Test | tuple[str, Callable[[str], bool]]:
    if name in ("tagname", "tagvalue"):
        return name, test
    return lambda subject: test(_value(subject, name))


def _value(subject: Subject, name: str) -> str:
    if name == "resourcegroup":
        parts = str(subject["id"]).split("/")
        return parts[4].lower() if len(parts) > 4 else ""
    key = "type" if name == "resourcetype" else name
    return str(subject.get(key) or "").lower()


def _has_tag(subject: Subject, tests: Mapping[str, Callable[[str], bool]]) -> bool:
    return any(
        ("tagname" not in tests or tests["tagname"](name.lower()))
        and ("tagvalue" not in tests or tests["tagvalue"](value.lower()))
        for name, value in (subject.get("tags") or {}).items()
    )
