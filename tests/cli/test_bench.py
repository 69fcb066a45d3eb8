"""The benchmarks that need no engine."""

from __future__ import annotations

import json
import sys

from pathlib import Path

import pytest

from aciflow.bench.image import is_static
from aciflow.cli import main


def test_imports(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Every subject is measured, next to each other, and nothing heavy is loaded."""
    out = tmp_path / "imports.json"

    assert main(["bench", "imports", "--rounds", "2", "--json", str(out)]) == 0

    measured = json.loads(out.read_text())
    names = [result["name"] for result in measured["results"]]
    assert {"bare python", "import aciflow", "import attrs", "import httpx"} <= set(names)
    assert all(len(result["samples_s"]) == 2 for result in measured["results"])
    assert measured["loaded"] == []
    assert set(measured["bars"]) == {
        "import_over_bare_ms",
        "names_over_attrs_wall",
        "names_over_attrs_net",
    }
    text = capsys.readouterr().out
    assert all(name in text for name in names)


@pytest.mark.corpus
@pytest.mark.slow
def test_detection(capsys: pytest.CaptureFixture[str], tmp_path: Path, corpus: Path) -> None:
    """Recorded starts are replayed for every client in both cases, the same from the same seed."""
    starts = json.loads((corpus / "traces/aci-starts.json").read_text())["starts"][:3]
    (tmp_path / "few.json").write_text(json.dumps(starts))
    words = ["bench", "detection", "--traces", str(tmp_path / "few.json"), "--json"]

    assert main([*words, "--seed", "7"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert main([*words, "--seed", "7"]) == 0
    again = json.loads(capsys.readouterr().out)

    assert first == again
    assert [case["case"] for case in first["cases"]] == ["ip-early", "ip-late"]
    for case in first["cases"]:
        assert [row["client"] for row in case["clients"]] == [
            "aciflow",
            "sdk-default",
            "sdk-5s",
            "sdk-1s",
        ]


def test_static_programs() -> None:
    """A dynamically linked program, and what is no program, are no use in an empty image."""
    assert not is_static(Path(sys.executable).resolve().read_bytes())
    assert not is_static(b"#!/bin/sh\n")


def test_static_program_is_recognised() -> None:
    """An ELF whose program headers name no interpreter is static."""
    header = bytearray(64 + 56)
    header[:6] = b"\x7fELF\x02\x01"
    header[32] = 64  # e_phoff
    header[54] = 56  # e_phentsize
    header[56] = 1  # e_phnum
    header[64] = 1  # PT_LOAD
    assert is_static(bytes(header))
    header[64] = 3  # PT_INTERP
    assert not is_static(bytes(header))
