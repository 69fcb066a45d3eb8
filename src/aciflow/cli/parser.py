"""What may be typed. Imports nothing that a help text does not need."""

from __future__ import annotations

import argparse

from collections.abc import Callable, Sequence
from typing import Any

from aciflow.cli.local_words import add_local, seconds


__all__ = ["parse"]

_FORMAT = argparse.RawDescriptionHelpFormatter


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """
    Arguments as a namespace whose ``command`` is the function to call.

    What follows ``--`` is the command to run, whatever it looks like.

    Raises:
        SystemExit: Wrong usage (2), or help was asked for (0).
    """
    words, container = list(argv), []
    if "--" in words:
        cut = words.index("--")
        words, container = words[:cut], words[cut + 1 :]
    parser = _parser()
    args, unknown = parser.parse_known_args(words)
    if unknown:
        forgot = args.name_of_command == "local" and not unknown[0].startswith("-")
        way_out = "; a command goes after --" if forgot else ""
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{way_out}")
    if hasattr(args, "argv"):
        args.argv = [*args.argv, *container]
    elif container:
        parser.error(f"{args.name_of_command} takes no command after --")
    return args


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aciflow",
        description="From a container image to a serving container on Azure Container Instances.",
        epilog="Without an Azure subscription, containers run on this machine's engine.",
        formatter_class=_FORMAT,
    )
    parser.add_argument("--version", action=_Version, help="print the version")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    common = _common()
    where = argparse.ArgumentParser(add_help=False, parents=[common, _where()])
    _launch(commands, where)
    _run(commands, where)
    _ps(commands, where)
    _logs(commands, where)
    _exec(commands, where)
    _attach(commands, where)
    _delete(commands, where)
    add_local(_add, commands, function=_later("local", "local"), parents=[common])
    _doctor(commands, where)
    _bench(commands, common)
    _verify(commands, common)
    return parser


class _Version(argparse.Action):
    """The version, looked up when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, **texts: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **texts)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from aciflow._version import __version__

        print(f"aciflow {__version__}")
        parser.exit()


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--quiet", "-q", action="store_true", help="no progress and no notes")
    common.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    return common


def _where() -> argparse.ArgumentParser:
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--json", action="store_true", help="print JSON")
    place = where.add_argument_group("where")
    place.add_argument(
        "--target",
        default="auto",
        help="azure, local, or an endpoint's URL; auto (the default) takes Azure if a subscription is "
        "configured, else this machine's engine",
    )
    place.add_argument("--subscription", metavar="ID", help="the Azure subscription")
    place.add_argument("--cloud", choices=["public", "usgov", "china"], default="public")
    place.add_argument("--resource-group", "-g", metavar="NAME")
    return where


def _add(
    commands: Any, name: str, function: Callable[..., int], parents: list[Any], **texts: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        parents=parents,
        help=texts["help"],
        description=texts.get("description", texts["help"]),
        epilog=texts.get("epilog"),
        formatter_class=_FORMAT,
        allow_abbrev=False,
    )
    parser.set_defaults(command=function, name_of_command=name)
    return parser


def _later(module: str, function: str) -> Callable[..., int]:
    """A command whose module is imported when it is called."""

    def call(*arguments: Any) -> int:
        from importlib import import_module

        result: int = getattr(import_module(f"aciflow.cli.{module}"), function)(*arguments)
        return result

    return call


def _shape(parser: argparse.ArgumentParser) -> None:
    """What to run."""
    parser.add_argument("image", metavar="IMAGE")
    parser.add_argument(
        "argv",
        metavar="COMMAND",
        nargs="*",
        help="instead of the image's own entrypoint and command; after -- if it has options",
    )
    shape = parser.add_argument_group("what to run")
    shape.add_argument(
        "--name", "-n", help="of the container group; made from the image unless given"
    )
    shape.add_argument(
        "--public-ip", action="store_true", help="give it an address, and wait for it"
    )
    shape.add_argument(
        "--port", "-p", type=int, action="append", dest="ports", help="to expose; 80 unless given"
    )
    shape.add_argument("--cpu", type=float, default=1.0, help="vCPU (default: 1)")
    shape.add_argument("--memory", type=float, default=1.5, metavar="GB", help="(default: 1.5)")
    shape.add_argument("--env", "-e", action="append", metavar="NAME=VALUE", default=[])
    shape.add_argument(
        "--secure-env",
        action="append",
        metavar="NAME[=VALUE]",
        default=[],
        help="kept secret by Azure; NAME alone takes its value from this environment",
    )
    shape.add_argument(
        "--file", action="append", metavar="PATH=LOCAL", default=[], help="a local file at PATH"
    )
    shape.add_argument(
        "--empty-dir",
        action="append",
        metavar="PATH",
        default=[],
        help="an empty directory at PATH",
    )
    shape.add_argument("--dns-label", metavar="LABEL")
    shape.add_argument("--os-type", choices=["Linux", "Windows"], default="Linux")
    shape.add_argument("--identity", action="append", metavar="ID", help="a managed identity")
    shape.add_argument("--subnet", metavar="ID", help="for a private address")
    shape.add_argument("--zone", help="availability zone")
    shape.add_argument("--spot", action="store_true", help="cheaper, and may be evicted")
    shape.add_argument("--tag", action="append", metavar="NAME=VALUE", default=[], dest="tags")
    shape.add_argument("--registry", metavar="SERVER", help="a private registry's name")
    shape.add_argument(
        "--registry-user",
        metavar="NAME",
        help="its password is read from the environment: ACIFLOW_REGISTRY_PASSWORD",
    )
    shape.add_argument("--registry-identity", metavar="ID", help="a managed identity that may pull")
    shape.add_argument(
        "--location", "-l", action="append", metavar="REGION", help="several: tried in this order"
    )
    shape.add_argument(
        "--delete-after",
        metavar="TIME",
        help="a tag that allows a later clean-up to delete it: 90s, 30m, 2h, 1d",
    )


def _launch(commands: Any, where: argparse.ArgumentParser) -> None:
    parser = _add(
        commands,
        "launch",
        _later("launch", "launch"),
        [where],
        help="launch a container group and wait until it serves",
        description=(
            "Launch a container group and wait until it serves.\n\n"
            "It outlives this command, which says how to delete it and what it costs a day;\n"
            "with --rm it lives until Ctrl-C."
        ),
        epilog="example: aciflow launch nginx --public-ip",
    )
    _shape(parser)
    parser.add_argument(
        "--restart-policy", choices=["Always", "OnFailure", "Never"], default="Always"
    )
    how = parser.add_argument_group("how to launch it")
    how.add_argument(
        "--ready",
        action="append",
        metavar="CONDITION",
        help="tcp[:PORT], http[:PORT][/PATH], log:PATTERN, exec:COMMAND, running or completed; several "
        "must all hold",
    )
    how.add_argument("--timeout", type=seconds, default=300.0, metavar="S", help="(default: 300)")
    how.add_argument("--no-wait", action="store_true", help="return when Azure has accepted it")
    how.add_argument("--if-exists", choices=["error", "adopt", "replace"], default="error")
    how.add_argument("--on-failure", choices=["delete", "keep"], default="delete")
    life = how.add_mutually_exclusive_group()
    life.add_argument("--rm", action="store_true", help="hold it until Ctrl-C, then delete it")
    life.add_argument(
        "--lifetime",
        choices=["detached", "process"],
        help="detached outlives this command (the default); process is --rm",
    )


def _run(commands: Any, where: argparse.ArgumentParser) -> None:
    parser = _add(
        commands,
        "run",
        _later("launch", "run"),
        [where],
        help="run a command to its end, print its log, delete it",
        description=(
            "Run a container to its end, print its log as it comes, and delete it.\n"
            "Ends with the container's exit code."
        ),
        epilog="example: aciflow run alpine -- sh -c 'echo hello'",
    )
    _shape(parser)
    how = parser.add_argument_group("how to run it")
    how.add_argument(
        "--start-timeout", type=seconds, default=300.0, metavar="S", help="(default: 300)"
    )
    how.add_argument(
        "--timeout", type=seconds, metavar="S", help="for the run itself; none by default"
    )
    how.add_argument("--timeline", action="store_true", help="print where the time went")


def _ps(commands: Any, where: argparse.ArgumentParser) -> None:
    parser = _add(
        commands, "ps", _later("groups", "ps"), [where], help="list what aciflow has launched"
    )
    parser.add_argument("--all", "-a", action="store_true", help="every container group there is")


def _logs(commands: Any, where: argparse.ArgumentParser) -> None:
    parser = _add(
        commands, "logs", _later("groups", "logs"), [where], help="print a container's log"
    )
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--container", "-c", help="the first unless given")
    parser.add_argument("--tail", type=int, metavar="N", help="only the last N lines")
    parser.add_argument(
        "--follow", "-f", action="store_true", help="go on until the container ends"
    )


def _exec(commands: Any, where: argparse.ArgumentParser) -> None:
    parser = _add(
        commands,
        "exec",
        _later("sessions", "execute"),
        [where],
        help="run a command in a container",
        description=(
            "Run a command in a container and print its output.\n"
            "Ends with its exit code, or 0 where the image has no shell to tell it."
        ),
        epilog="example: aciflow exec web -- cat /etc/hostname\n         aciflow exec -it web",
    )
    parser.add_argument("name", metavar="NAME")
    parser.add_argument(
        "argv", metavar="COMMAND", nargs="*", help="after --; with -it /bin/sh unless given"
    )
    parser.add_argument("--container", "-c", help="the first unless given")
    parser.add_argument("--interactive", "-i", action="store_true", help="as -t")
    parser.add_argument(
        "--tty", "-t", action="store_true", help="give the command this terminal, keys and all"
    )
    parser.add_argument("--timeout", type=seconds, metavar="S", help="none by default")


def _attach(commands: Any, where: argparse.ArgumentParser) -> None:
    parser = _add(
        commands,
        "attach",
        _later("sessions", "attach"),
        [where],
        help="print what a container writes from now on",
    )
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--container", "-c", help="the first unless given")


def _delete(commands: Any, where: argparse.ArgumentParser) -> None:
    parser = _add(
        commands,
        "delete",
        _later("groups", "delete"),
        [where],
        help="delete container groups, and know that they are gone",
    )
    parser.add_argument("names", metavar="NAME", nargs="*")
    parser.add_argument("--all", action="store_true", help="everything that aciflow has launched")


def _doctor(commands: Any, where: argparse.ArgumentParser) -> None:
    parser = _add(
        commands,
        "doctor",
        _later("doctor", "doctor"),
        [where],
        help="say what is there, and what to do about what is not",
    )
    parser.add_argument("--location", "-l", metavar="REGION", help="whose quota to look up")


def _bench(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = _add(commands, "bench", _later("bench", "imports"), [], help="measure aciflow itself")
    benchmarks = parser.add_subparsers(title="benchmarks", metavar="BENCHMARK", required=True)
    out = argparse.ArgumentParser(add_help=False, parents=[common])
    out.add_argument(
        "--json",
        metavar="OUT",
        nargs="?",
        const="-",
        help="write all figures to OUT; without OUT print them in place of the table",
    )
    out.add_argument("--seed", type=int, default=0)
    imports = _add(
        benchmarks, "imports", _later("bench", "imports"), [out], help="what importing costs"
    )
    imports.add_argument("--rounds", type=_positive, default=15)
    overhead = _add(
        benchmarks,
        "overhead",
        _later("bench", "overhead"),
        [out],
        help="a launch on the engine against the plain Engine API",
    )
    overhead.add_argument("--rounds", type=_positive, default=20)
    overhead.add_argument("--image", help="one that the engine has and that serves on port 80")
    load = _add(
        benchmarks, "load", _later("bench", "load"), [out], help="the served endpoint under load"
    )
    load.add_argument("--seconds", type=seconds, default=30.0, help="of polling (default: 30)")
    load.add_argument("--rounds", type=_positive, default=10, help="of starting (default: 10)")
    detection = _add(
        benchmarks,
        "detection",
        _later("bench", "detection"),
        [out],
        help="how late a caller knows that a container serves",
    )
    detection.add_argument("--traces", metavar="FILE", required=True, help="recorded starts, JSON")


def _verify(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = _add(
        commands,
        "verify",
        _later("verify", "verify"),
        [common],
        help="check what aciflow relies on against Azure, or against the local endpoint",
        description=(
            "Run about twenty scenarios against Azure or the local endpoint.\n\n"
            "On Azure: says what it will cost and asks first, records the traffic without secrets,\n"
            "compares it with what the local endpoint does, answers what nobody has verified, and\n"
            "removes all that it made. Writes one report and one archive to send."
        ),
        epilog="example: aciflow verify --target azure --budget 1",
    )
    parser.add_argument("scenarios", metavar="SCENARIO", nargs="*", help="all unless given")
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--target", choices=["azure", "local"], default="local")
    parser.add_argument("--budget", type=_dollars, default=1.0, metavar="USD", help="(default: 1)")
    parser.add_argument("--yes", "-y", action="store_true", help="agree to the cost")
    parser.add_argument("--image", help="serves HTTP on port 80 and has /bin/sh")
    parser.add_argument("--local-image", metavar="IMAGE", help="for the comparison, if not --image")
    parser.add_argument("--no-comparison", action="store_true", help="on Azure: do not compare")
    parser.add_argument("--against", metavar="ARCHIVE", help="compare with an earlier run")
    parser.add_argument("--out", metavar="DIR", default=".", help="for the report and the archive")
    parser.add_argument("--location", "-l", metavar="REGION")
    parser.add_argument("--subscription", metavar="ID", help="the Azure subscription")
    parser.add_argument("--cloud", choices=["public", "usgov", "china"], default="public")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _dollars(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no sum of dollars")
    return number
