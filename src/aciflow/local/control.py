"""
The endpoint's own pages: its faults and its clock, for other programs.

Below ``/_aciflow``, with the bearer token that everything needs and without an ``api-version``:

* ``GET /_aciflow/faults``: ``{"seed", "rules": [...], "fired": [...]}``.
* ``POST /_aciflow/faults``: a rule, as :func:`aciflow.local.faults.wire.rule_from_json` reads it; 201.
* ``DELETE /_aciflow/faults``: 204; all rules and the log, or with ``?id=N`` one rule; ``?seed=N`` sets the
  seed.
* ``GET /_aciflow/clock``: ``{"now", "frozen", "ahead"}``, seconds.
* ``POST /_aciflow/clock``: ``{"action": "freeze" | "resume" | "advance", "seconds": 60}``; 200 with the same.
"""

from __future__ import annotations

import json

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aciflow.errors import ConfigurationError
from aciflow.local.clock import LocalClock, SharedClock
from aciflow.local.protocol import Reply, Request
from aciflow.local.rest import errors


if TYPE_CHECKING:
    from aciflow.local.faults import Faults


__all__ = ["ROOT", "answer"]

ROOT = "/_aciflow/"


def answer(request: Request, clock: LocalClock, faults: Faults | None) -> Reply:
    """
    Answer a request for one of these pages; whoever calls has checked its token.

    Args:
        request: Its path begins with :data:`ROOT`.
        clock: The endpoint's.
        faults: Those of the endpoint; ``None`` where it is shared and has none.
    """
    page = request.path.removeprefix(ROOT).strip("/")
    try:
        if page not in ("faults", "clock"):
            raise errors.no_such_path(request.path)
        if faults is None or isinstance(clock, SharedClock):
            raise errors.Refusal(
                409,
                "SharedEndpoint",
                "The shared local endpoint has no faults and no clock to set, since other programs use "
                "it too; make one of your own: aciflow.local.LocalAzure(), or aciflow local.",
            )
        return _faults(request, faults) if page == "faults" else _clock(request, clock)
    except errors.Refusal as refusal:
        return refusal.reply()


def _faults(request: Request, faults: Faults) -> Reply:
    from aciflow.local.faults.kinds import FieldError
    from aciflow.local.faults.wire import fired_to_json, rule_from_json, rule_to_json

    try:
        match request.method:
            case "GET":
                body = {
                    "seed": faults.seed,
                    "rules": [rule_to_json(rule) for rule in faults.rules],
                    "fired": [fired_to_json(one) for one in faults.fired],
                }
                return Reply(status=200, body=body)
            case "POST":
                rule = faults.put(rule_from_json(_object(request)))
                return Reply(status=201, body=rule_to_json(rule))
            case "DELETE":
                number = _whole(request.query, "id")
                seed = _whole(request.query, "seed")
                if number is None:
                    faults.clear(seed=seed)
                elif not faults.remove(number):
                    return Reply(status=404, body=_error("NotFound", f"there is no rule {number}"))
                return Reply(status=204)
            case _:
                raise errors.method_not_allowed(request.method)
    except FieldError as problem:
        return _bad(problem.field, problem.problem)


def _clock(request: Request, clock: LocalClock) -> Reply:
    if request.method == "POST":
        given = _object(request)
        action = given.get("action")
        strange = sorted(set(given) - {"action", "seconds"})
        if strange:
            return _bad(strange[0], "a clock has action and seconds")
        if action not in ("freeze", "resume", "advance"):
            return _bad("action", f"{action!r} is none of freeze, resume, advance")
        if action != "advance" and "seconds" in given:
            return _bad("seconds", f"{action} takes none")
        if action == "advance":
            seconds = given.get("seconds")
            if not isinstance(seconds, int | float) or isinstance(seconds, bool):
                return _bad("seconds", f"{seconds!r} is not a number")
            try:
                clock.advance(seconds)
            except ConfigurationError as problem:
                return _bad("seconds", str(problem))
        elif action == "freeze":
            clock.freeze()
        else:
            clock.resume()
    elif request.method != "GET":
        raise errors.method_not_allowed(request.method)
    return Reply(
        status=200, body={"now": clock(), "frozen": clock.frozen, "ahead": round(clock.ahead, 6)}
    )


def _object(request: Request) -> Mapping[str, Any]:
    try:
        found = json.loads(request.body)
    except (ValueError, RecursionError) as problem:
        raise errors.invalid_content(str(problem)) from None
    if not isinstance(found, dict):
        raise errors.invalid_content("The request body must be a JSON object.")
    return found


def _whole(query: Mapping[str, str], name: str) -> int | None:
    given = query.get(name)
    if given is None:
        return None
    from aciflow.local.faults.kinds import FieldError

    if not given.isascii() or not given.isdigit() or len(given) > 18:
        raise FieldError(name, f"{given!r} is not a whole number")
    return int(given)


def _bad(field: str, problem: str) -> Reply:
    return Reply(status=400, body=_error("InvalidParameter", f"{field}: {problem}", field))


def _error(code: str, message: str, field: str | None = None) -> dict[str, Any]:
    target = {} if field is None else {"target": field}
    return {"error": {"code": code, **target, "message": message}}
