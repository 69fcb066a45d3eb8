"""The examples, run as a user runs them."""

from __future__ import annotations

import re
import subprocess
import sys

from pathlib import Path

import nbclient
import nbformat
import pytest

from tests.registry import Registry


ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def _run(example: str, image: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLES / example, image],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_quickstart(web_image: str, tmp_path: Path) -> None:
    """It prints the address, what was served there, and a waterfall that says it was not Azure."""
    done = _run("quickstart.py", web_image, tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^serving at http://[\d.]+(:\d+)?/?$", done.stdout, re.MULTILINE)
    assert "first line: hello from a container" in done.stdout
    assert "local engine, not Azure" in done.stdout
    assert "LocalTargetWarning" in done.stderr


def test_quickstart_is_short() -> None:
    """The README promises that it takes few lines."""
    assert len((EXAMPLES / "quickstart.py").read_text().splitlines()) < 15


def test_quickstart_async(web_image: str, tmp_path: Path) -> None:
    """Two groups at once, at two addresses."""
    done = _run("quickstart_async.py", web_image, tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(set(re.findall(r"^(http://\S+) served after", done.stdout, re.MULTILINE))) == 2


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Jupyter finds this very Python as its kernel, whatever else the user has installed."""
    folder: Path = tmp_path_factory.mktemp("jupyter")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "ipykernel",
            "install",
            "--prefix",
            folder,
            "--name",
            "aciflow-tests",
        ],
        check=True,
        capture_output=True,
    )
    return folder


def test_notebook(
    web_image: str, kernels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each cell runs: a launch in a running event loop, a timeline as a picture, an awaited launch."""
    monkeypatch.setenv("JUPYTER_PATH", str(kernels / "share" / "jupyter"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("ACIFLOW_EXAMPLE_IMAGE", web_image)
    notebook = nbformat.read(EXAMPLES / "quickstart.ipynb", as_version=4)
    loop_runs = nbformat.v4.new_code_cell("import asyncio\nasyncio.get_running_loop().is_running()")
    notebook.cells.insert(0, loop_runs)
    nbclient.NotebookClient(
        notebook,
        timeout=60,
        kernel_name="aciflow-tests",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    shown = [
        output.data
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "data" in output
    ]
    assert shown[0]["text/plain"] == "True"
    assert any("hello from a container" in data.get("text/plain", "") for data in shown)
    assert any("<svg" in data.get("text/html", "") for data in shown)
    printed = "".join(
        output.text
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stdout"
    )
    assert re.search(r"http://\S+ Running", printed)


def test_notebook_is_kept_without_output() -> None:
    """What it prints is never in the repository, so it cannot be out of date."""
    notebook = nbformat.read(EXAMPLES / "quickstart.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert [c for c in notebook.cells if c.cell_type == "code" and c.outputs] == []


def test_quickstart_with_an_image_that_must_be_pulled(
    web_image: str, registry: Registry, tmp_path: Path
) -> None:
    """On a machine whose registry answers, the image is pulled, and the waterfall shows how long."""
    image = registry.push(web_image, "examples/web")
    done = _run("quickstart.py", image, tmp_path)
    registry.forget(image)
    assert done.returncode == 0, done.stderr
    assert "first line: hello from a container" in done.stdout
    assert re.search(r"^pull +[\d.]+ s +[\d.]+ s", done.stdout, re.MULTILINE)
