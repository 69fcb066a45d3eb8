"""``aciflow doctor``: what is there, and what to do about what is not."""

from __future__ import annotations

import os
import platform
import sys
import threading
import warnings

from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from attrs import frozen

from aciflow.errors import AciflowError


if TYPE_CHECKING:
    from argparse import Namespace

    from aciflow.cli.output import Output
    from aciflow.target import Target


__all__ = ["Finding", "doctor"]

# DefaultAzureCredential may try a managed identity that does not answer, and start az.
_TOKEN_WITHIN = 30.0

_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")
_BUNDLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROVIDER = "Microsoft.ContainerInstance"
_EXTRAS = {"exec": ("websockets",), "local": ("cryptography", "httptools", "uvicorn", "websockets")}
_MARKS = {"ok": "ok  ", "info": "    ", "warning": "warn", "missing": "no  "}


@frozen(kw_only=True)
class Finding:
    """
    One thing that was looked at.

    Attributes:
        name: What.
        status: ``missing`` is in the way of something, ``warning`` may be, ``info`` is worth knowing.
        detail: What is there.
        remedy: What to do about it; empty where there is nothing to do.
    """

    name: str
    status: Literal["ok", "info", "warning", "missing"]
    detail: str
    remedy: str = ""


def doctor(args: Namespace, output: Output) -> int:
    """Look at everything; 0 where containers can be launched on at least one target."""
    findings: list[Finding] = []
    for name, check in (
        ("aciflow", _python),
        ("packages", _sdks),
        ("extras", _extras),
        ("state directory", _state),
        ("network", _network),
    ):
        findings += _guarded(name, check)
    engine = _guarded("engine", _engine)
    arm = _guarded("azure", lambda: _arm(args))
    findings += [*engine, *arm]
    local_works = _worst(engine) not in ("missing", None)
    arm_works = _worst(arm) not in ("missing", None)
    elsewhere = "://" in _named(args)[0]
    azure_works, url_works = arm_works and not elsewhere, arm_works and elsewhere
    findings += _guarded("launches go to", lambda: _chosen(args, local=local_works))
    works = local_works or arm_works
    document = {
        "ok": works,
        "local": local_works,
        "azure": azure_works,
        "url": url_works,
        "findings": [
            {
                "name": finding.name,
                "status": finding.status,
                "detail": finding.detail,
                "remedy": finding.remedy,
            }
            for finding in findings
        ],
    }
    places = {"this machine": local_works, "Azure": azure_works, _named(args)[0]: url_works}
    output.result(document, _text(findings, [name for name, ok in places.items() if ok]))
    return 0 if works else 1


def _guarded(name: str, check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """All that a check finds; one that fails is a finding itself, and never ends the others."""
    found: list[Finding] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.extend(check())
    except AciflowError as error:
        found.append(_trouble(error, name))
    except Exception as error:
        detail = f"could not be looked at: {type(error).__name__}: {error}"
        found.append(Finding(name=name, status="warning", detail=detail))
    return found


def _trouble(error: AciflowError, name: str) -> Finding:
    detail, _, remedy = error.message.partition("\n")
    return Finding(name=name, status="missing", detail=detail, remedy=remedy)


def _worst(findings: list[Finding]) -> str | None:
    order = ("missing", "warning", "ok", "info")
    return min((finding.status for finding in findings), key=order.index, default=None)


# --- this machine -----------------------------------------------------------------------------


def _python() -> Iterator[Finding]:
    from aciflow._version import __version__

    version = platform.python_version()
    yield Finding(
        name="aciflow",
        status="ok" if sys.version_info >= (3, 11) else "missing",
        detail=f"{__version__} on Python {version}, {platform.system()} {platform.machine()}",
        remedy="" if sys.version_info >= (3, 11) else "install Python 3.11 or newer",
    )


def _sdks() -> Iterator[Finding]:
    needed = ("azure-mgmt-containerinstance", "azure-mgmt-resource", "azure-identity", "httpx")
    versions, absent = [], []
    for name in needed:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            absent.append(name)
    if absent:
        yield Finding(
            name="packages",
            status="missing",
            detail=f"not installed: {', '.join(absent)}",
            remedy=f"{sys.executable} -m pip install aciflow",
        )
    else:
        yield Finding(name="packages", status="ok", detail=", ".join(versions))


def _extras() -> Iterator[Finding]:
    """What can be installed besides, and what it would be for."""
    uses = {
        "exec": "exec and attach on Azure and other endpoints",
        "local": "the local endpoint for az and other programs",
    }
    for extra, packages in _EXTRAS.items():
        versions, absent = [], []
        for package in packages:
            try:
                versions.append(f"{package} {metadata.version(package)}")
            except metadata.PackageNotFoundError:
                absent.append(package)
        yield Finding(
            name=f"extra {extra}",
            status="info" if absent else "ok",
            detail=f"not installed: {uses[extra]}" if absent else ", ".join(versions),
            remedy=f"pip install 'aciflow[{extra}]'" if absent else "",
        )


def _state() -> Iterator[Finding]:
    from aciflow.ledger import Ledger
    from aciflow.local.state import state_root

    root = state_root()
    origin = " (ACIFLOW_STATE_DIR)" if os.environ.get("ACIFLOW_STATE_DIR") else ""
    nearest = next(path for path in (root, *root.parents) if path.exists())
    if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
        yield Finding(
            name="state directory",
            status="missing",
            detail=f"{root}{origin} cannot be written: nothing is launched without a record on disk",
            remedy="set ACIFLOW_STATE_DIR to a directory of yours",
        )
        return
    detail = f"{root}{origin}" + ("" if root.exists() else ", made when it is needed")
    yield Finding(name="state directory", status="ok", detail=detail)
    records = list(Ledger(root / "ledger").records())
    if records:
        ids = "; ".join(str(record.get("id")) for record in records[:5])
        yield Finding(
            name="ledger",
            status="info",
            detail=f"{len(records)} launched and not known to be deleted: {ids}",
            remedy="'aciflow ps' shows what still exists",
        )


def _network() -> Iterator[Finding]:
    proxies = [f"{name}={_masked(os.environ[name])}" for name in _PROXIES if os.environ.get(name)]
    yield Finding(name="proxies", status="info", detail=", ".join(proxies) or "none")
    bundles = [name for name in _BUNDLES if os.environ.get(name)]
    for name in bundles:
        path = Path(os.environ[name])
        there = path.exists()
        yield Finding(
            name="certificates",
            status="ok" if there else "missing",
            detail=f"{name}={path}" + ("" if there else ", which does not exist"),
            remedy="" if there else f"correct it, or unset {name}",
        )
    if not bundles:
        yield Finding(name="certificates", status="info", detail="certifi's; no variable says else")


def _masked(url: str) -> str:
    """A proxy's URL without its password."""
    parts = urlsplit(url)
    return url.replace(f":{parts.password}@", ":***@") if parts.password else url


# --- the local endpoint -----------------------------------------------------------------------


def _engine() -> Iterator[Finding]:
    from aciflow.local.runtime.engine.address import require_engine
    from aciflow.local.runtime.engine.addresses import Addresses
    from aciflow.local.runtime.engine.api import EngineApi, EngineError

    try:
        api = EngineApi(require_engine(), timeout=10.0)
    except AciflowError as error:
        yield _trouble(error, "engine")
        return
    try:
        try:
            version = api.version
        except EngineError as error:
            detail = f"{api.address.url} does not answer as an engine: {error.message}"
            yield Finding(name="engine", status="missing", detail=detail)
            return
        machine = api.info()
        memory = f"{machine.get('MemTotal', 0) / 1024**3:.1f} GB"
        usable = version.os == "linux"
        yield Finding(
            name="engine",
            status="ok" if usable else "missing",
            detail=f"{version.name}, API {version.api}, {version.os}/{version.arch},"
            f" {machine.get('NCPU', '?')} CPUs, {memory}, at {api.address.url}",
            remedy="" if usable else "let it run Linux containers",
        )
        if usable:
            # As a launch does it, and given back at once: what else could know?
            yield from _address_mode(Addresses(api, "auto"))
    finally:
        api.close()


def _address_mode(addresses: Any) -> Iterator[Finding]:
    from aciflow.local.protocol import PortSpec
    from aciflow.local.runtime.engine.api import EngineError

    means = {
        "bridge": "each group has an address of its own on the engine's default network",
        "loopback": "each group has an address of its own in 127.0.0.0/8",
        "mapped": "groups share an address and have free ports: use url() and endpoint()",
    }
    try:
        place = addresses.open("doctor", [PortSpec(port=80)])
        addresses.release("doctor")
    except (EngineError, OSError) as error:
        detail = f"no group could get one: {error}"
        yield Finding(name="addresses", status="warning", detail=detail)
        return
    yield Finding(name="addresses", status="ok", detail=f"{place.mode}: {means[place.mode]}")


# --- Azure, or the endpoint at a URL ----------------------------------------------------------


def _named(args: Namespace) -> tuple[str, str]:
    """The target that was named, if any, and by what; as :mod:`aciflow.target` decides it."""
    if args.target != "auto" or args.subscription or args.cloud != "public":
        return args.target, "--target"
    return os.environ.get("ACIFLOW_TARGET", "").strip() or "auto", "ACIFLOW_TARGET"


def _arm(args: Namespace) -> Iterator[Finding]:
    from aciflow.arm.gateway import Gateway
    from aciflow.target import resolve

    named, by = _named(args)
    if named not in ("auto", "azure") and "://" not in named:
        detail = f"not looked at, since {by} is {named}"
        yield Finding(name="azure", status="missing", detail=detail)
        return
    try:
        target = resolve(
            named if "://" in named else "azure",
            subscription_id=args.subscription,
            cloud=args.cloud,
            location=args.location,
        )
    except AciflowError as error:
        if "://" in named:
            yield _trouble(error, "endpoint")
            return
        yield Finding(
            name="subscription",
            status="missing",
            detail=error.message.partition(": ")[0],
            remedy="az login, or AZURE_SUBSCRIPTION_ID and credentials, or --subscription",
        )
        return
    gateway = Gateway(target.settings)
    try:
        problem = _within(_TOKEN_WITHIN, gateway.authenticate)
        if problem is not None:
            yield _trouble(problem, "credential")
            return
        yield Finding(name="credential", status="ok", detail=f"a token for {target.base_url}")
        yield from _subscription(gateway, target)
    finally:
        gateway.close()


def _within(seconds: float, work: Callable[[], Any]) -> AciflowError | None:
    """The error that ``work`` ends with, if any, or one that says that it did not end."""
    outcome: list[AciflowError | None] = []

    def run() -> None:
        try:
            work()
        except AciflowError as error:
            outcome.append(error)
        except Exception as error:
            outcome.append(AciflowError(f"{type(error).__name__}: {error}"))
        else:
            outcome.append(None)

    thread = threading.Thread(target=run, name="aciflow-doctor", daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        return AciflowError(f"no token within {seconds:g} s\nsign in with az login")
    return outcome[0]


def _subscription(gateway: Any, target: Target) -> Iterator[Finding]:
    from aciflow.flow.effects import ArmCall

    try:
        provider = gateway.perform(ArmCall(operation="provider.get")).body
    except AciflowError as error:
        yield _trouble(error, "subscription")
        return
    yield Finding(name="subscription", status="ok", detail=target.subscription_id)
    state = str(provider.get("registrationState"))
    registered = state == "Registered"
    yield Finding(
        name="provider",
        status="ok" if registered else "warning",
        detail=f"{_PROVIDER} is {state}",
        remedy=""
        if registered
        else f"az provider register --namespace {_PROVIDER} (launch does it)",
    )
    if target.location is None:
        yield Finding(
            name="location",
            status="warning",
            detail="no default: each launch has to name one",
            remedy="az config set defaults.location=westeurope, or --location",
        )
        return
    yield Finding(name="location", status="ok", detail=target.location)
    call = ArmCall(operation="location.usages", location=target.location)
    try:
        usages = gateway.perform(call).body.get("value") or []
    except AciflowError as error:
        yield _trouble(error, "quota")
        return
    yield from map(_quota, usages)


def _quota(usage: dict[str, Any]) -> Finding:
    name = usage.get("name") or {}
    used, limit = usage.get("currentValue", 0), usage.get("limit", 0)
    full = limit and used >= limit
    return Finding(
        name="quota",
        status="warning" if full else "ok",
        detail=f"{name.get('localizedValue') or name.get('value')}: {used} of {limit}",
        remedy="delete some, ask for more in the portal, or use another region" if full else "",
    )


# --- what that comes to -----------------------------------------------------------------------


def _chosen(args: Namespace, *, local: bool) -> Iterator[Finding]:
    """Which target a launch would take, and why."""
    from aciflow.target import resolve

    target = resolve(args.target, subscription_id=args.subscription, cloud=args.cloud)
    named = args.target != "auto" or os.environ.get("ACIFLOW_TARGET")
    usable = target.kind != "local" or local
    why = " (no Azure is configured)" if target.kind == "local" and not named else ""
    where = target.label or f"Azure, {target.base_url}"
    yield Finding(
        name="launches go to", status="ok" if usable else "missing", detail=f"{where}{why}"
    )


def _text(findings: list[Finding], places: list[str]) -> str:
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{_MARKS[finding.status]}  {finding.name:{width}}  {finding.detail}")
        lines += [f"{'':{width + 8}}{line.strip()}" for line in finding.remedy.splitlines()]
    lines += ["", f"containers can be launched on: {' and '.join(places) or 'nothing'}"]
    return "\n".join(lines)
