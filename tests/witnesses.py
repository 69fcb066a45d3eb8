"""
The claims of docs/reference/conformance.md, and whether their witnesses ran.

Each claim names the tests that prove it. In a run of all tests in CI each of those must have passed: one
that was skipped, left out or renamed proves nothing, and fails the run.
"""

from __future__ import annotations

import re

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from attrs import field, frozen


PAGE = Path(__file__).parent.parent / "docs/reference/conformance.md"

KINDS = {"🟢": "real", "🟡": "emulated", "🔴": "not here"}

_ROW = re.compile(r"\|\s*(?P<kind>\S+)\s*\|(?P<claim>[^|]+)\|(?P<witnesses>[^|]+)\|")
_WITNESS = re.compile(r"`(?P<file>[\w/.-]+\.py)::(?P<test>\w+)`")


@frozen(kw_only=True)
class Claim:
    """
    A row of the table.

    Attributes:
        kind: ``real``, ``emulated`` or ``not here``.
        witnesses: ``tests/FILE.py::TEST``, one or more.
    """

    kind: str
    text: str
    witnesses: tuple[str, ...]


def claims(page: str) -> list[Claim]:
    """
    All rows of all tables.

    Raises:
        ValueError: A row has no witness, or is of no known kind.
    """
    found = []
    for line in page.splitlines():
        row = _ROW.fullmatch(line.strip())
        if row is None or set(row["kind"]) <= {"-", ":"} or row["claim"].strip() == "claim":
            continue
        witnesses = tuple(
            f"tests/{each['file']}::{each['test']}" for each in _WITNESS.finditer(row["witnesses"])
        )
        text = row["claim"].strip()
        if row["kind"] not in KINDS:
            raise ValueError(f"{text!r}: {row['kind']} is none of {', '.join(KINDS)}")
        if not witnesses:
            raise ValueError(f"{text!r} names no test")
        found.append(Claim(kind=KINDS[row["kind"]], text=text, witnesses=witnesses))
    return found


@frozen
class Outcomes:
    """What became of the tests of a run, by their ids without parameters."""

    _passed: dict[str, int] = field(factory=lambda: defaultdict(int), init=False)
    _failed: dict[str, str] = field(factory=dict, init=False)

    def add(self, report: pytest.TestReport) -> None:
        """One phase of one test."""
        name = report.nodeid.partition("[")[0]
        if report.outcome == "passed":
            self._passed[name] += report.when == "call"
        else:
            self._failed[name] = report.outcome

    def missing(self, listed: list[Claim]) -> list[str]:
        """A line for each witness that did not pass, all its parameters included."""
        lines = []
        for claim in listed:
            for witness in claim.witnesses:
                if witness in self._failed:
                    lines.append(f"{witness} was {self._failed[witness]}: {claim.text}")
                elif not self._passed.get(witness):
                    lines.append(f"{witness} did not run: {claim.text}")
        return lines


class Witnesses:
    """
    A plugin of pytest: at the end of a run of all tests, every claim's witnesses have passed.

    Args:
        demanded: Fail the run where one has not.
    """

    def __init__(self, *, demanded: bool) -> None:
        self._demanded = demanded
        self._outcomes = Outcomes()
        self._missing: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note it."""
        self._outcomes.add(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Judge, where all tests were asked for."""
        if not self._demanded or not _whole(session.config):
            return
        self._missing = self._outcomes.missing(claims(PAGE.read_text(encoding="utf-8")))
        if self._missing and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say which."""
        if self._missing:
            terminalreporter.section("claims without a witness")
            for line in self._missing:
                terminalreporter.line(line)


def _whole(config: pytest.Config) -> bool:
    """No test was left out by whoever started this run."""
    option = config.option
    everything = config.args_source == pytest.Config.ArgsSource.TESTPATHS
    chosen = option.keyword or option.markexpr or getattr(option, "lf", False)
    return everything and not chosen and not option.collectonly and not option.deselect
