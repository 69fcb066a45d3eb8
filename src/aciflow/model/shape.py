"""
Tables that say how a value and its ARM JSON belong together, and the one interpreter for them.

A :class:`Shape` lists the members of a class. Each :class:`Member` knows where its JSON is, how it is
made from the value, and which arguments of the class it gives. What a body has beyond its shape ends up
in ``extra``, except for what only the service writes.

cattrs was tried: ARM's nesting (``properties.resources.requests.cpu``), its lists that are mappings
here, and the kept unknown members made every second class a hook, and it would have to be imported.
"""

from __future__ import annotations

import copy

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from aciflow.errors import Problem


Problems: TypeAlias = list[Problem]
Decoder: TypeAlias = Callable[[Any, str, Problems], Any]
Found: TypeAlias = tuple[dict[str, Any], Any]


class Member(NamedTuple):
    """
    One member of a JSON object.

    Attributes:
        path: Where it is, from the object on.
        join: Value to JSON; ``None`` leaves it out.
        split: JSON to arguments of the class, and what is left of it for ``extra`` (or ``None``).
        required: Whether a body must have it.
    """

    path: tuple[str, ...]
    join: Callable[[Any], Any]
    split: Callable[[Any, str, Problems], Found]
    required: bool = False


class Shape:
    """
    How one class and its JSON belong together.

    Args:
        make: The class, or a function with its arguments.
        members: In the order in which they are sent.
        read_only: Paths that only the service writes; dropped on the way in.
        inside: Where ``extra`` belongs, from the object on.
    """

    def __init__(
        self,
        make: Callable[..., Any],
        *members: Member,
        read_only: tuple[str, ...] = (),
        inside: str | None = None,
    ) -> None:
        self.make = make
        self.members = members
        self.inside = inside
        self._known = {member.path for member in members}
        self._known.update(tuple(path.split(".")) for path in read_only)
        self._parents = {path[:end] for path in self._known for end in range(1, len(path))}

    def encode(self, value: Any) -> dict[str, Any]:
        """The JSON of a value, ``extra`` merged in last."""
        body = self.plain(value)
        extra = {self.inside: value.extra} if self.inside and value.extra else value.extra
        return merge(body, extra)

    def plain(self, value: Any) -> dict[str, Any]:
        """The JSON of a value without its ``extra``."""
        body: dict[str, Any] = {}
        for member in self.members:
            item = member.join(value)
            if item is not None:
                place(body, member.path, item)
        return body

    def decode(self, body: Any, where: str, problems: Problems) -> Any:
        """
        The value of a JSON object; every problem found is added to ``problems``.

        Returns:
            ``None`` where there was any.
        """
        if not isinstance(body, Mapping):
            problems.append(Problem(field=where or "body", message="is not a JSON object"))
            return None
        before = len(problems)
        found: dict[str, Any] = {}
        rest = self._strip(body, (), where, problems)
        for member in self.members:
            item = dig(body, member.path)
            at = ".".join((where, *member.path)) if where else ".".join(member.path)
            if item is None:
                if member.required:
                    problems.append(Problem(field=at, message="is missing"))
                continue
            arguments, left = member.split(item, at, problems)
            if twice := found.keys() & arguments.keys():
                message = f"says {' and '.join(sorted(twice))} a second time"
                problems.append(Problem(field=at, message=message))
            found.update(arguments)
            if left is not None:
                place(rest, member.path, left)
        if self.inside:
            rest, beside = rest.pop(self.inside, {}), rest
            for key in beside:
                at = f"{where}.{key}" if where else key
                problems.append(Problem(field=at, message=f"is not known outside {self.inside}"))
        return None if len(problems) > before else self.make(**found, extra=rest)

    def _strip(
        self, node: Mapping[str, Any], prefix: tuple[str, ...], where: str, problems: Problems
    ) -> dict[str, Any]:
        """A deep copy of what the shape does not know."""
        rest: dict[str, Any] = {}
        for key, value in node.items():
            path = (*prefix, key)
            if path in self._known:
                continue
            if path in self._parents:
                if value is None:
                    continue
                if not isinstance(value, Mapping):
                    at = ".".join((where, *path)) if where else ".".join(path)
                    problems.append(Problem(field=at, message="is not a JSON object"))
                    continue
                inner = self._strip(value, path, where, problems)
                # An object that was sent empty may mean something; one that we emptied does not.
                if inner or not value:
                    rest[key] = inner
                continue
            rest[key] = copy.deepcopy(value)
        return rest


def merge(base: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """
    ``extra`` into ``base``: objects by member, a list after ours, anything else in its place.

    Neither is changed, and the result shares nothing with ``extra``.
    """
    merged = dict(base)
    for key, value in extra.items():
        ours = merged.get(key)
        if isinstance(ours, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(ours, value)
        elif isinstance(ours, list) and isinstance(value, (list, tuple)):
            merged[key] = [*ours, *copy.deepcopy(value)]
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def place(body: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Put a value at a path, making the objects on the way."""
    for key in path[:-1]:
        body = body.setdefault(key, {})
    body[path[-1]] = value


def dig(body: Any, path: tuple[str, ...]) -> Any:
    """What is at a path, or ``None``."""
    for key in path:
        if not isinstance(body, Mapping):
            return None
        body = body.get(key)
    return body


# --- members ----------------------------------------------------------------------------------


def member(
    attr: str,
    path: str,
    decode: Decoder,
    encode: Callable[[Any], Any] | None = None,
    *,
    required: bool = False,
) -> Member:
    """A member that is one attribute; without a value (``None``, empty) it is left out."""

    def join(value: Any) -> Any:
        item = getattr(value, attr)
        if item is None or item in ((), {}):
            return None
        return item if encode is None else encode(item)

    def split(item: Any, where: str, problems: Problems) -> Found:
        return {attr: decode(item, where, problems)}, None

    return Member(tuple(path.split(".")), join, split, required)


def one(attr: str, path: str, shape: Shape) -> Member:
    """A member that is a value with a shape of its own."""
    return member(attr, path, shape.decode, shape.encode)


def many(attr: str, path: str, shape: Shape, *, required: bool = False) -> Member:
    """A member that is a list of values with a shape of their own."""

    def decode(item: Any, where: str, problems: Problems) -> tuple[Any, ...]:
        return tuple(
            shape.decode(entry, f"{where}[{index}]", problems)
            for index, entry in enumerate(entries(item, where, problems))
        )

    def encode(values: tuple[Any, ...]) -> list[Any]:
        return [shape.encode(value) for value in values]

    return member(attr, path, decode, encode, required=required)


# --- decoders ---------------------------------------------------------------------------------


def entries(item: Any, where: str, problems: Problems) -> list[Any]:
    """A list."""
    if isinstance(item, list):
        return item
    problems.append(Problem(field=where, message="is not a list"))
    return []


def text(item: Any, where: str, problems: Problems) -> str:
    """A string."""
    if isinstance(item, str):
        return item
    problems.append(Problem(field=where, message="is not a string"))
    return ""


def flag(item: Any, where: str, problems: Problems) -> bool:
    """A boolean."""
    if isinstance(item, bool):
        return item
    problems.append(Problem(field=where, message="is not true or false"))
    return False


def number(item: Any, where: str, problems: Problems) -> float:
    """A number."""
    if isinstance(item, (int, float)) and not isinstance(item, bool):
        return float(item)
    problems.append(Problem(field=where, message="is not a number"))
    return 0.0


def whole(item: Any, where: str, problems: Problems) -> int:
    """A whole number."""
    if isinstance(item, int) and not isinstance(item, bool):
        return item
    problems.append(Problem(field=where, message="is not a whole number"))
    return 0


def texts(item: Any, where: str, problems: Problems) -> tuple[str, ...]:
    """A list of strings."""
    return tuple(
        text(entry, f"{where}[{index}]", problems)
        for index, entry in enumerate(entries(item, where, problems))
    )


def mapping(item: Any, where: str, problems: Problems) -> dict[str, Any]:
    """An object with any members."""
    if isinstance(item, Mapping):
        return copy.deepcopy(dict(item))
    problems.append(Problem(field=where, message="is not a JSON object"))
    return {}


def text_map(item: Any, where: str, problems: Problems) -> dict[str, str]:
    """An object whose members are strings."""
    return {
        key: text(value, f"{where}.{key}", problems)
        for key, value in mapping(item, where, problems).items()
    }


def choice(*options: str) -> Decoder:
    """One of some words, in any case; a word that is not known stays as it is."""
    known = {option.lower(): option for option in options}

    def decode(item: Any, where: str, problems: Problems) -> str:
        word = text(item, where, problems)
        return known.get(word.lower(), word)

    return decode
