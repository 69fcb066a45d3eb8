"""What the project's files promise each other."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import time
import tomllib
import zipfile

from pathlib import Path

import pytest

from tests.docs.run_page import snippets
from tests.images import Engine, left_by

from aciflow.local import LocalAzure


ROOT = Path(__file__).parent.parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def _files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def test_no_package_registry_is_named() -> None:
    """Where packages come from is the machine's affair: a mirror works as well as the original."""
    hosts = [
        "pypi." + "org",
        "files.pythonhosted." + "org",
        "deb.debian." + "org",
        "npmjs." + "org",
    ]
    pattern = re.compile("|".join(map(re.escape, hosts)))
    named = [str(f) for f in _files() if pattern.search(f.read_text(errors="ignore"))]
    assert named == []


def test_links_between_pages_lead_somewhere() -> None:
    """A relative link of a page names a file that is there."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in _files()
        if page.suffix == ".md"
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_map_of_the_code_names_what_is_there() -> None:
    """CONTRIBUTING's map has each module and package of the top level, and nothing else."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    table = text[text.index("## A map of the code") : text.index("## Tests")]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([\w./]+)`", row)}
    package = ROOT / "src" / "aciflow"
    assert [name for name in named if not (package / name).exists()] == []
    there = {
        path.name
        for path in package.iterdir()
        if not path.name.startswith(("_", ".")) and path.name != "py.typed"
    }
    assert there - {name.split("/")[0] for name in named} == set()


def test_command_line_is_installed() -> None:
    """The distribution brings the command `aciflow`."""
    (found,) = importlib.metadata.entry_points(group="console_scripts", name="aciflow")
    assert found.value == PYPROJECT["project"]["scripts"]["aciflow"]
    assert callable(found.load())


def test_readme_commands_are_sessions() -> None:
    """The README's two commands are sessions of the noxfile."""
    commands = [
        snippet.source.strip()
        for snippet in snippets(ROOT / "README.md")
        if "noxfile.py" in snippet.source
    ]
    assert commands == ["python3 noxfile.py demo", "python3 noxfile.py tests"]
    text = (ROOT / "noxfile.py").read_text()
    assert all(f"def {command.split()[-1]}(session" in text for command in commands)


def _kinds(engine: Engine) -> set[str]:
    found = left_by(engine, Path(os.environ["ACIFLOW_STATE_DIR"]))
    return {name.split()[0] for name in found}


@pytest.mark.engine
def test_the_check_for_leftovers_sees_an_isolated_endpoint(web_image: str, engine: Engine) -> None:
    """What every test relies on finds a group of a ``LocalAzure`` that is there, and then none."""
    with LocalAzure() as azure, azure.client() as client:
        client.launch(web_image, public_ip=True)
        assert "container" in _kinds(engine)
    assert _kinds(engine) == set()


@pytest.mark.engine
def test_the_check_for_leftovers_sees_the_shared_endpoint(web_image: str, engine: Engine) -> None:
    """What the demonstration relies on finds a group that another process left, and then none."""
    command = [sys.executable, "-m", "aciflow"]
    subprocess.run([*command, "launch", web_image, "--name", "left"], check=True)
    assert "container" in _kinds(engine)
    subprocess.run([*command, "delete", "--all"], check=True)
    until = time.monotonic() + 5.0
    while _kinds(engine) and time.monotonic() < until:  # its network goes with its keeper
        time.sleep(0.1)
    assert _kinds(engine) == set()


@pytest.mark.slow
def test_wheel_is_typed_and_holds_only_the_package(tmp_path: Path) -> None:
    """A wheel has py.typed and the licence, and neither tests nor examples."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, ROOT], check=True
    )
    (wheel,) = tmp_path.glob("aciflow-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "aciflow/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"aciflow"}
    expected = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*.py")}
    assert expected == {name for name in names if name.endswith(".py")}
