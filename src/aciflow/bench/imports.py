"""
What importing costs, by the wall clock of whole processes.

Processes, because a user waits for processes: ``-X importtime`` leaves out reading files that are not
modules, and adds its own cost to each. All are run in turn, in an order drawn anew each round, so that a
machine that becomes slow becomes slow for all.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import random
import subprocess
import sys
import time

from typing import Any

from aciflow.bench.stats import bootstrap, median


__all__ = ["BARE", "HEAVY", "SUBJECTS", "measure", "report"]

BARE = "bare python"
IMPORT = "import aciflow"
NAMES = "every name of aciflow.__all__"
ATTRS = "import attrs"

SUBJECTS: dict[str, tuple[str | None, str]] = {
    BARE: (None, "pass"),
    IMPORT: (None, "import aciflow"),
    NAMES: (None, "import aciflow\nfor name in aciflow.__all__: getattr(aciflow, name)"),
    ATTRS: ("attrs", "import attrs"),
    "import httpx": ("httpx", "import httpx"),
    "import docker": ("docker", "import docker"),
    "import azure.mgmt.containerinstance": (
        "azure.mgmt.containerinstance",
        "import azure.mgmt.containerinstance",
    ),
}
"""What is compared: the module that has to be installed (if any), and the program."""

HEAVY = ("azure", "msal", "httpx", "requests", "yaml", "http.server", "kubernetes")
"""Modules that neither importing aciflow nor resolving its names may load."""

MOST_OVER_BARE_MS = 10.0
MOST_TIMES_ATTRS = 3.0


def measure(rounds: int, *, seed: int = 0) -> dict[str, Any]:
    """
    Run every subject ``rounds`` times.

    Returns:
        JSON: ``results``, one for each subject, with its ``samples_s``, its ``median_s`` and what it
        costs above the bare interpreter (``net_s``), and ``bars``, what is promised of it.
    """
    present = {name: code for name, (module, code) in SUBJECTS.items() if _installed(module)}
    for code in present.values():
        _run(code)  # writes the byte code and fills the file cache
    samples: dict[str, list[float]] = {name: [] for name in present}
    generator = random.Random(seed)
    order = list(present)
    for _ in range(rounds):
        generator.shuffle(order)
        for name in order:
            samples[name].append(_run(present[name]))
    bare = median(samples[BARE])
    results = [
        {
            "name": name,
            "median_s": median(found),
            "net_s": median(found) - bare,
            "interval_s": bootstrap(found, rounds=1000, seed=seed).to_dict(),
            "samples_s": found,
        }
        for name, found in samples.items()
    ]
    return {
        "benchmark": "imports",
        "python": platform.python_version(),
        "machine": platform.platform(),
        "rounds": rounds,
        "results": results,
        "missing": [name for name in SUBJECTS if name not in present],
        "loaded": _heavy_modules(),
        "bars": _bars({str(result["name"]): result for result in results}),
    }


def _bars(by_name: dict[str, dict[str, Any]]) -> dict[str, Any]:
    over_bare = by_name[IMPORT]["net_s"] * 1000
    wall = by_name[NAMES]["median_s"] / by_name[ATTRS]["median_s"]
    net = by_name[NAMES]["net_s"] / by_name[ATTRS]["net_s"]
    return {
        "import_over_bare_ms": {
            "value": over_bare,
            "most": MOST_OVER_BARE_MS,
            "met": over_bare <= MOST_OVER_BARE_MS,
        },
        "names_over_attrs_wall": {
            "value": wall,
            "most": MOST_TIMES_ATTRS,
            "met": wall <= MOST_TIMES_ATTRS,
        },
        "names_over_attrs_net": {
            "value": net,
            "most": MOST_TIMES_ATTRS,
            "met": net <= MOST_TIMES_ATTRS,
        },
    }


def _installed(module: str | None) -> bool:
    """Whether a module can be imported; its parents are, in this process."""
    if module is None:
        return True
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _run(code: str) -> float:
    """Seconds of one process, from before it is started until it has ended."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdin=subprocess.DEVNULL)
    return time.perf_counter() - began


def _heavy_modules() -> list[str]:
    """What of :data:`HEAVY` resolving every name loads: nothing, if all is well."""
    code = f"{SUBJECTS[NAMES][1]}\nimport sys\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
    )
    return done.stdout.split()


def report(measured: dict[str, Any]) -> str:
    """The figures for people."""
    width = max(len(result["name"]) for result in measured["results"])
    by_name = {result["name"]: result for result in measured["results"]}
    attrs = by_name[ATTRS]
    lines = [
        f"Python {measured['python']}, {measured['rounds']} rounds, whole processes, medians",
        "",
        f"{'':{width}}     wall   over bare   x attrs, wall   x attrs, net",
    ]
    for name, result in by_name.items():
        wall, net = result["median_s"], result["net_s"]
        lines.append(
            f"{name:{width}}  {wall * 1000:4.0f} ms  {net * 1000:7.1f} ms"
            f"  {wall / attrs['median_s']:14.2f}  {net / attrs['net_s']:13.2f}"
        )
    lines += [f"{name:{width}}  not installed" for name in measured["missing"]]
    lines.append("")
    bars = measured["bars"]
    for text, bar in (
        ("import aciflow, over bare", bars["import_over_bare_ms"]),
        ("every name / attrs, wall", bars["names_over_attrs_wall"]),
        ("every name / attrs, net", bars["names_over_attrs_net"]),
    ):
        unit = " ms" if bar is bars["import_over_bare_ms"] else ""
        met = "met" if bar["met"] else "MISSED"
        lines.append(f"{text:26} {bar['value']:6.2f}{unit:3}  at most {bar['most']:g}{unit}: {met}")
    lines.append(f"heavy modules loaded: {', '.join(measured['loaded']) or 'none'}")
    return "\n".join(lines)
