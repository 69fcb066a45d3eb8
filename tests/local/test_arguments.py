"""Arguments that cannot be are refused with an error of ours that names them."""

from __future__ import annotations

from typing import Any

import pytest

from aciflow import Ready
from aciflow.errors import ConfigurationError, ValidationError
from aciflow.local import LocalAzure


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"runtime": "engin"}, "runtime='engin'"),
        ({"addresses": "public"}, "addresses='public'"),
        ({"runtime": "simulated", "traces": [{"pulled": 1}]}, "traces=.*'pulling'"),
        ({"runtime": "simulated", "traces": "starts.json"}, "traces="),
        ({"runtime": "simulated", "speed": 0}, "speed=0"),
    ],
)
def test_an_endpoint_s_argument_that_cannot_be(options: dict[str, Any], named: str) -> None:
    """The error names the argument, and nothing is left open."""
    with pytest.raises(ConfigurationError, match=named):
        LocalAzure(**options)


@pytest.mark.parametrize("port", [-1, 65536, "web"])
def test_a_port_that_is_none(port: Any) -> None:
    """It is refused, and not taken modulo 65536 as the resolver would."""
    with LocalAzure("simulated") as local, pytest.raises(ConfigurationError, match="port="):
        local.serve(port=port)


@pytest.mark.parametrize("argv", [[], "ls", [1], ["a\0"]])
def test_a_condition_s_command_that_is_none(argv: Any) -> None:
    """What is no sequence of words is a problem of ``ready.argv``."""
    with pytest.raises(ValidationError, match=r"ready\.argv"):
        Ready.exec(argv)
