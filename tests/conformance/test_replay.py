"""What real clients asked of the real service, asked of the endpoint; every reply is compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.differences import MOST, explain, load
from tests.conformance.report import lines, replayed


pytestmark = pytest.mark.corpus


def test_every_recording_is_replayed(corpus: Path) -> None:
    """All interactions of all recordings are replayed, but for those that say why not."""
    recordings, result = replayed(corpus)

    assert (recordings, result.replayed + result.skipped.total()) == (61, 545)
    assert {"504, a failure of Azure's own": 1} == dict(result.skipped)
    assert result.full > 350
    assert result.fields > 18_000


def test_no_difference_is_unexplained(corpus: Path) -> None:
    """Every reply is as recorded, or differs in a way that differences.toml explains."""
    _, result = replayed(corpus)

    unexplained = explain(result.differences, load()).unexplained

    assert not unexplained, "\n".join(map(str, unexplained))


def test_every_class_explains_something(corpus: Path) -> None:
    """A class of differences that are gone is gone too."""
    _, result = replayed(corpus)
    classes = load()

    assert explain(result.differences, classes).unused == []
    assert len(classes) <= MOST


def test_no_class_explains_most_of_a_kind_of_body(corpus: Path) -> None:
    """Classes explain fields here and there: of what was compared they take a small part."""
    _, result = replayed(corpus)

    assert len(result.differences) < result.fields / 25


def test_the_report_counts_what_was_done(corpus: Path) -> None:
    """The report names each class with its count, and what was skipped with its reason."""
    _, result = replayed(corpus)
    printed = "\n".join(lines(corpus))

    for name, number in explain(result.differences, load()).counts.items():
        assert f"{name:30} {number:6}" in printed
    for why in result.skipped:
        assert why in printed
    assert str(result.fields) in printed
