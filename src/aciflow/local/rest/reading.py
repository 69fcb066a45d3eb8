"""
A request's JSON, read as the service reads it.

A body is read against a shape: names without regard to case, numbers also from text (templates send
``"80"``), ``null`` as absent. What cannot be read is refused in the words of Json.NET, which is what
ARM and ACI answer with: the place in the document, its line and its position. A member that no shape
has is refused too: the service ignores it, and here nothing is dropped in silence.
"""

from __future__ import annotations

import json
import math
import re

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

from attrs import field, frozen

from aciflow.local.rest import errors
from aciflow.local.rest.errors import Refusal


__all__ = ["Array", "MapOf", "Object", "Shape", "parse", "read"]


MAX_DEPTH = 64
"""Of a document: Json.NET's default."""

Primitive: TypeAlias = Literal["string", "integer", "number", "boolean", "any"]


@frozen
class Object:
    """
    An object with known members.

    Attributes:
        name: Of the service's type, for its messages.
        members: Names as Azure writes them.
        required: Members whose absence cannot be read.
        open: Members that are not known are kept as they are.
    """

    name: str
    members: Mapping[str, Shape]
    required: tuple[str, ...] = ()
    open: bool = False
    _spelling: Mapping[str, str] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_spelling", {name.lower(): name for name in self.members})

    def spelled(self, name: str) -> str | None:
        """A member's name as Azure writes it; ``None`` for one that is not known."""
        return self._spelling.get(name.lower())


@frozen
class Array:
    """An array of one shape."""

    of: Shape


@frozen
class MapOf:
    """An object with any names and values of one shape."""

    of: Shape


Shape: TypeAlias = Primitive | Object | Array | MapOf
Steps: TypeAlias = tuple[str | int, ...]


def parse(body: bytes) -> Any:
    """
    A request's JSON.

    Raises:
        Refusal: ``InvalidRequestContent``: it is none, or has what JSON has not (``NaN``, numbers beyond
            a double, half a surrogate pair), or is nested deeper than 64.
    """
    try:
        found = json.loads(
            body or b"null", parse_constant=_no_constant, parse_int=_integer, parse_float=_double
        )
        _check_depth(found)
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as problem:  # UnicodeError is a ValueError
        raise errors.invalid_content(_first_line(problem)) from None
    return found


def _first_line(problem: Exception) -> str:
    if isinstance(problem, RecursionError):
        return f"The reader's MaxDepth of {MAX_DEPTH} has been exceeded."
    if isinstance(problem, UnicodeEncodeError | UnicodeDecodeError):
        return "The text is not valid Unicode."
    return str(problem).partition("\n")[0][:300]


def _no_constant(word: str) -> Any:
    raise ValueError(f"Unexpected character encountered while parsing value: {word[0]}.")


def _integer(text: str) -> int:
    if len(text) > 19 or not -(2**63) <= int(text) < 2**63:
        raise ValueError(f"JSON integer {text[:40]} is too large or small for an Int64.")
    return int(text)


def _double(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"Input string '{text[:40]}' is not a valid number.")
    return value


def _check_depth(found: Any) -> None:
    level = [found]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return
    raise RecursionError


def read(body: bytes, shape: Object) -> dict[str, Any]:
    """
    A body in Azure's spelling, with its numbers as numbers and without nulls.

    Raises:
        Refusal: ``InvalidRequestContent``.
    """
    found = parse(body)
    if found is None:
        raise Refusal(
            400, "InvalidRequestContent", "The request content was invalid: it has no JSON in it."
        )
    try:
        value: dict[str, Any] = _read(found, shape, ())
    except _Unreadable as problem:
        raise errors.invalid_content(
            f"{problem.message} Path '{_path(problem.steps)}'"
            f"{_position(body, problem.steps, start=problem.start)}."
        ) from None
    return value


class _Unreadable(Exception):  # noqa: N818 - it never leaves this module
    def __init__(self, message: str, steps: Steps, *, start: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.steps = steps
        self.start = start  # whether Json.NET stops where the value begins, or after it


def _read(value: Any, shape: Shape, steps: Steps) -> Any:
    if isinstance(shape, Object):
        return _object(value, shape, steps)
    if isinstance(shape, MapOf):
        if not isinstance(value, dict):
            raise _wrong_kind(value, "Dictionary", "object", steps)
        return {name: _element(each, shape.of, (*steps, name)) for name, each in value.items()}
    if isinstance(shape, Array):
        if not isinstance(value, list):
            raise _wrong_kind(value, "List", "array", steps)
        return [_element(each, shape.of, (*steps, place)) for place, each in enumerate(value)]
    return _PRIMITIVES[shape](value, steps)


def _element(value: Any, shape: Shape, steps: Steps) -> Any:
    if value is None and shape != "any":
        raise _Unreadable("Error converting value {null}.", steps)
    return _read(value, shape, steps)


def _object(value: Any, shape: Object, steps: Steps) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong_kind(value, shape.name, "object", steps)
    result: dict[str, Any] = {}
    for name, each in value.items():
        known = shape.spelled(name)
        if known is None:
            if not shape.open:
                raise _Unreadable(
                    f"Could not find member '{name}' on object of type '{shape.name}'.",
                    (*steps, name),
                    start=True,
                )
            result[name] = each
        elif each is not None:
            result[known] = _read(each, shape.members[known], (*steps, name))
    for name in shape.required:
        if name not in result:
            raise _Unreadable(f"Required property '{name}' not found in JSON.", steps)
    return result


def _wrong_kind(value: Any, type_name: str, wanted: str, steps: Steps) -> _Unreadable:
    if isinstance(value, dict | list):
        given = "object" if isinstance(value, dict) else "array"
        examples = {"object": '{"name":"value"}', "array": "[1,2,3]"}
        return _Unreadable(
            f"Cannot deserialize the current JSON {given} (e.g. {examples[given]}) into type "
            f"'{type_name}' because the type requires a JSON {wanted} (e.g. {examples[wanted]}) to "
            "deserialize correctly.",
            steps,
            start=True,
        )
    shown = json.dumps(value) if isinstance(value, str) else _as_text(value)
    return _Unreadable(f"Error converting value {shown[:80]} to type '{type_name}'.", steps)


def _as_text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool | int | float) else "{null}"


def _unexpected(value: Any, steps: Steps) -> _Unreadable:
    if isinstance(value, dict | list):
        first = "{" if isinstance(value, dict) else "["
    else:
        first = _as_text(value)[:1]
    return _Unreadable(
        f"Unexpected character encountered while parsing value: {first}.", steps, start=True
    )


def _string(value: Any, steps: Steps) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        raise _unexpected(value, steps)
    return _as_text(value)


_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,18}\s*")


def _int32(value: Any, steps: Steps) -> int:
    if isinstance(value, bool | dict | list):
        raise _unexpected(value, steps)
    if isinstance(value, float):
        raise _Unreadable(f"Input string '{value}' is not a valid integer.", steps)
    if isinstance(value, str):
        if _INTEGER.fullmatch(value) is None:
            raise _Unreadable(f"Could not convert string to integer: {value[:80]}.", steps)
        value = int(value)
    if not -(2**31) <= value < 2**31:
        raise _Unreadable(f"JSON integer {value} is too large or small for an Int32.", steps)
    return int(value)


def _number(value: Any, steps: Steps) -> float:
    if isinstance(value, bool | dict | list):
        raise _unexpected(value, steps)
    try:
        result = float(value)
    except ValueError:
        result = math.nan
    if not math.isfinite(result):
        raise _Unreadable(f"Could not convert string to double: {str(value)[:80]}.", steps)
    return result


def _boolean(value: Any, steps: Steps) -> bool:
    if isinstance(value, dict | list):
        raise _unexpected(value, steps)
    if isinstance(value, str):
        if value.strip().lower() not in ("true", "false"):
            raise _Unreadable(f"Could not convert string to boolean: {value[:80]}.", steps)
        return value.strip().lower() == "true"
    return bool(value)


def _any(value: Any, _steps: Steps) -> Any:
    return value


_PRIMITIVES: Mapping[Primitive, Callable[[Any, Steps], Any]] = {
    "string": _string,
    "integer": _int32,
    "number": _number,
    "boolean": _boolean,
    "any": _any,
}


# --- where --------------------------------------------------------------------------------------


_PLAIN = re.compile(r"[^\s.\[\]'\"()]+")


def _path(steps: Steps) -> str:
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"['{step}']"
    return text


def _position(body: bytes, steps: Steps, *, start: bool) -> str:
    """``, line L, position P`` of a value's end or beginning, counted as Json.NET does."""
    text = body.decode(json.detect_encoding(body))
    try:
        begin, end = _span(text, steps)
    except (ValueError, IndexError):  # a member that is there twice, in two shapes
        return ""
    at = begin + 1 if start else end
    before = text[:at]
    line = before.count("\n") + 1
    return f", line {line}, position {at - (before.rfind(chr(10)) + 1)}"


_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _span(text: str, steps: Steps) -> tuple[int, int]:
    """Where the value at ``steps`` begins and ends in a document that has it."""
    at = _skip(text, 0)
    for step in steps:
        at = _skip(text, at + 1)
        index = 0
        while True:
            if isinstance(step, str):
                name, at = _DECODER.raw_decode(text, at)
                at = _skip(text, _skip(text, at) + 1)
                if name == step:
                    break
            elif index == step:
                break
            at = _skip(text, _DECODER.raw_decode(text, at)[1])
            at = _skip(text, at + 1)  # the comma
            index += 1
    return at, _DECODER.raw_decode(text, at)[1]
