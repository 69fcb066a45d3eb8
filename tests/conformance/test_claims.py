"""The documentation's claims have witnesses, and a run in which one did not pass is a failed run."""

from __future__ import annotations

import ast

from pathlib import Path
from typing import Literal

import pytest

from tests.witnesses import PAGE, Claim, Outcomes, claims


ROOT = Path(__file__).parent.parent.parent


def _tests(file: Path) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_each_claim_names_tests_that_exist() -> None:
    """Every witness is a test of this repository."""
    listed = claims(PAGE.read_text(encoding="utf-8"))
    missing = []
    for claim in listed:
        for witness in claim.witnesses:
            file, _, test = witness.partition("::")
            if not (ROOT / file).is_file() or test not in _tests(ROOT / file):
                missing.append(f"{witness}: {claim.text}")

    assert not missing, "\n".join(missing)
    assert len(listed) > 30
    assert {claim.kind for claim in listed} == {"real", "emulated", "not here"}


def test_no_witness_is_to_be_skipped_whatever_happens() -> None:
    """A test that is switched off is no witness."""
    for claim in claims(PAGE.read_text(encoding="utf-8")):
        for witness in claim.witnesses:
            file, _, test = witness.partition("::")
            marks = [ast.unparse(each) for each in _tests(ROOT / file)[test].decorator_list]
            assert not [mark for mark in marks if "skip" in mark or "xfail" in mark], witness


@pytest.mark.parametrize(
    "row",
    [
        "| 🟢 | It flies | |",
        "| 🟢 | It flies | see the code |",
        "| ✅ | It flies | `a.py::test_b` |",
    ],
)
def test_a_claim_without_a_witness_cannot_be_made(row: str) -> None:
    """A row that names no test, or is of another kind, is refused."""
    with pytest.raises(ValueError, match="It flies"):
        claims(f"| | claim | witnesses |\n|---|---|---|\n{row}\n")


def _report(
    name: str,
    outcome: Literal["passed", "failed", "skipped"],
    when: Literal["setup", "call", "teardown"] = "call",
) -> pytest.TestReport:
    return pytest.TestReport(
        nodeid=name, location=("", 0, ""), keywords={}, outcome=outcome, longrepr=None, when=when
    )


def test_only_what_passed_in_this_run_counts() -> None:
    """A witness that passed is one; skipped, failed with any parameter, or absent it is none."""
    outcomes = Outcomes()
    outcomes.add(_report("tests/a.py::test_good[1]", "passed"))
    outcomes.add(_report("tests/a.py::test_good[2]", "passed"))
    outcomes.add(_report("tests/a.py::test_skipped", "passed", "teardown"))
    outcomes.add(_report("tests/a.py::test_skipped", "skipped", "setup"))
    outcomes.add(_report("tests/a.py::test_half[1]", "passed"))
    outcomes.add(_report("tests/a.py::test_half[2]", "failed"))

    def missing(test: str) -> list[str]:
        claim = Claim(kind="real", text="It flies", witnesses=(f"tests/a.py::{test}",))
        return outcomes.missing([claim])

    assert missing("test_good") == []
    assert missing("test_skipped") == ["tests/a.py::test_skipped was skipped: It flies"]
    assert missing("test_half") == ["tests/a.py::test_half was failed: It flies"]
    assert missing("test_absent") == ["tests/a.py::test_absent did not run: It flies"]
