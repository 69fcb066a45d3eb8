"""``aciflow verify`` against the served endpoint, and by way of Azure's own names."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile

from pathlib import Path

import pytest

from tests.images import Engine

from aciflow.cli import main


pytestmark = pytest.mark.engine

SOME = ("region", "web", "exec", "inside", "refusals", "resource-group")


def _archive(folder: Path, target: str) -> tuple[str, zipfile.ZipFile]:
    (page,) = folder.glob(f"aciflow-verify-{target}-*.md")
    (packed,) = folder.glob(f"aciflow-verify-{target}-*.zip")
    return page.read_text(), zipfile.ZipFile(io.BytesIO(packed.read_bytes()))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_scenarios_pass_on_the_served_endpoint(
    web_image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every one, over TLS on real containers; the report has no failure and nothing is left."""
    words = ["verify", "--target", "local", "--image", web_image, "--out", str(tmp_path), "--json"]

    code = main(words)

    shown = json.loads(capsys.readouterr().out)
    failed = [one for one in shown["scenarios"] if not one["passed"]]
    assert not failed
    assert code == 0
    assert shown["left"] == []
    answered = {key for key, answer in shown["answers"].items() if answer["seen"]}
    assert {"put-existing", "start-status", "refusals", "fqdn-hash", "events"} <= answered
    page, packed = _archive(tmp_path, "local")
    assert "Nothing is left." in page
    starts = json.loads(packed.read("aci-starts.json"))["starts"]
    assert len(starts) > 5


@pytest.mark.timeout(300)
def test_a_run_on_azure_asks_records_and_compares(web_image: str, tmp_path: Path) -> None:
    """
    The whole way to management.azure.com: estimate, agreement, traffic, comparison, clean-up.

    ``aciflow local --intercept`` answers there, so what differs from the local endpoint is nothing.
    """
    verify = ["-m", "aciflow", "verify", "--target", "azure", "--image", web_image]
    words = [*verify, "--out", str(tmp_path), *SOME]
    around = [sys.executable, "-m", "aciflow", "local", "--intercept", "--", sys.executable]

    refused = subprocess.run(
        [*around, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    dear = subprocess.run(
        [*around, *words, "--yes", "--budget", "0.0001"],
        capture_output=True,
        text=True,
        check=False,
    )
    done = subprocess.run([*around, *words, "--yes"], capture_output=True, text=True, check=False)

    assert refused.returncode == 2
    assert "--yes agrees to the cost" in refused.stderr
    assert dear.returncode == 2
    assert "above --budget" in dear.stderr
    assert done.returncode == 0, done.stderr
    assert "Estimated cost $" in done.stderr
    assert "az group delete --yes --name aciflow-verify-" in done.stderr
    page, packed = _archive(tmp_path, "azure")
    assert "No difference in any status, header or body." in page
    traffic = packed.read("traffic.json").decode()
    assert "aciflow-verify-" in traffic
    assert "Bearer" not in traffic
    assert "opaque-42" not in traffic


def test_two_runs_are_compared(
    web_image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--against takes an archive, and a difference that is in it shows."""
    words = ["verify", "refusals", "--image", web_image, "--out", str(tmp_path), "--json"]
    assert main(words) == 0
    capsys.readouterr()
    (first,) = tmp_path.glob("*.zip")
    with zipfile.ZipFile(first) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    parts["traffic.json"] = parts["traffic.json"].replace(b'"InvalidOsType"', b'"Otherwise"')
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as packed:
        for name, content in parts.items():
            packed.writestr(name, content)

    assert main([*words, "--against", str(other)]) == 0

    compared = json.loads(capsys.readouterr().out)["comparison"]
    found = [(one["step"], one["what"]) for one in compared["differences"]]
    # What a deletion shows of a group that has just begun is a matter of when.
    assert [one for one in found if one[0] != "delete"] == [("no osType", "error.code")]
    assert compared["with"] == "other.zip"


def test_an_image_that_cannot_be_had_ends_it_at_once(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first scenario that needs it says why, and which option helps; nothing is left."""
    words = ["verify", "--image", "localhost:1/nothing:here", "--out", str(tmp_path), "--json"]

    assert main(words) == 1

    shown = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in shown["scenarios"]] == ["region", "web"]
    assert "--image names another one" in shown["scenarios"][-1]["error"]
    assert shown["left"] == []


def test_what_is_no_archive_or_scenario_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong words end with 2 before anything is made."""
    (tmp_path / "no.zip").write_text("nothing")

    assert main(["verify", "--against", str(tmp_path / "no.zip")]) == 2
    assert "no archive of aciflow verify" in capsys.readouterr().err
    assert main(["verify", "nonsense"]) == 2
    assert "no scenario 'nonsense'" in capsys.readouterr().err
    assert main(["verify", "--out", str(tmp_path / "nowhere")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["no.zip"]
