"""Which az the tests take: none that is only half there."""

from __future__ import annotations

import os

from pathlib import Path

import pytest

from tests.azure_cli import AZ_VERSION, az_directory, find_az


def test_an_az_is_found_where_it_is_named_complete_or_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this order; an install that was interrupted, or is of another version, is not taken."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    installed = az_directory() / f"{AZ_VERSION}-abc"
    (installed / "bin").mkdir(parents=True)
    old = az_directory() / "2.0.0-abc"
    old.mkdir()
    (old / "complete").touch()
    assert find_az() is None

    (tmp_path / "bin").mkdir()
    mine = tmp_path / "bin" / "az"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    assert find_az() == mine

    (installed / "complete").touch()
    assert find_az() == installed / "bin" / "az"
    later = az_directory() / f"{AZ_VERSION}-def"
    later.mkdir()
    (later / "complete").touch()
    os.utime(installed / "complete", (1, 1))
    assert find_az() == later / "bin" / "az"

    monkeypatch.setenv("ACIFLOW_AZ", "/opt/az")
    assert find_az() == Path("/opt/az")
