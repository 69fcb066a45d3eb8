"""What may be typed after ``aciflow local``. Imports nothing that a help text does not need."""

from __future__ import annotations

import argparse

from collections.abc import Callable
from typing import Any


__all__ = ["add_local", "seconds"]

_EPILOG = """\
examples:
  aciflow local -- az container list      one command, with an Azure of its own
  aciflow local -- bash                   a shell in which az and the SDKs find it
  aciflow local --port 8443 > env.sh &    until it is ended; then, in other shells: . ./env.sh
"""


def add_local(add: Callable[..., argparse.ArgumentParser], commands: Any, **given: Any) -> None:
    """Add the command; ``add``, its function and its parents are the other commands' own."""
    parser = add(
        commands,
        "local",
        given["function"],
        given["parents"],
        help="serve the local endpoint over TLS, to a command or to any program",
        description=(
            "Serve an isolated local endpoint over TLS, so that az, the Azure SDKs, curl and others use\n"
            "it. With a command: run that with an environment in which they find it, and end with its\n"
            "exit code. Without one: print that environment and serve until Ctrl-C. Either way, all\n"
            "that was made there is removed at the end."
        ),
        epilog=_EPILOG,
    )
    parser.set_defaults(argv=[])
    parser.usage = "aciflow local [OPTIONS] [-- COMMAND...]"
    parser.add_argument(
        "--json", action="store_true", help="print where it is, and the environment, as JSON"
    )
    where = parser.add_argument_group("where it listens")
    where.add_argument(
        "--port", "-p", type=_port, default=0, metavar="P", help="a free one unless given"
    )
    where.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="H",
        help="(default: 127.0.0.1); another one needs --secret-file",
    )
    where.add_argument(
        "--secret-file",
        metavar="F",
        help="holds the client secret that a token costs; a random one unless given",
    )
    where.add_argument(
        "--intercept",
        action="store_true",
        help="also answer for management.azure.com and login.microsoftonline.com, through HTTPS_PROXY",
    )
    what = parser.add_argument_group("what it is")
    what.add_argument(
        "--runtime",
        choices=["engine", "simulated"],
        default="engine",
        help="run containers (the default), or only take ACI's time",
    )
    what.add_argument(
        "--addresses",
        choices=["auto", "loopback", "bridge", "mapped"],
        default="auto",
        help="how groups get addresses on the engine (default: auto)",
    )
    what.add_argument(
        "--azure-file",
        action="append",
        metavar="ACCOUNT/SHARE=FOLDER",
        default=[],
        dest="azure_files",
        help="a folder of this machine that stands for an Azure file share",
    )
    what.add_argument("--traces", metavar="F", help="simulated: recorded starts to replay, JSON")
    what.add_argument(
        "--speed", type=_speed, default=1.0, metavar="N", help="simulated: seconds in a real one"
    )
    what.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of what is drawn (default: 0)"
    )
    life = parser.add_argument_group("how long it lives")
    life.add_argument(
        "--state",
        metavar="DIR",
        help="keep its state there, so that it finds its groups again when it was killed",
    )
    life.add_argument(
        "--keep", action="store_true", help="with --state: leave the groups at the end"
    )
    life.add_argument(
        "--idle-exit",
        type=seconds,
        metavar="SECONDS",
        help="end when it has had no group and no request for so long",
    )


def seconds(text: str) -> float:
    """
    A time above zero.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    return _above_zero(text, "a number of seconds above 0")


def _speed(text: str) -> float:
    return _above_zero(text, "a number above 0")


def _above_zero(text: str, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return number


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port (0 to 65535)")
    return int(text)
