"""Type checkers read the lazy package as its users need it."""

from __future__ import annotations

import os
import subprocess
import sys

from pathlib import Path

import pytest


HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@pytest.mark.slow
def test_mypy(tmp_path: Path) -> None:
    """Mypy in strict mode agrees with every line of api.py, and needs every ignore in it."""
    pytest.importorskip("mypy")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--warn-unused-ignores"),
            *("--config-file", "", "--cache-dir", str(tmp_path), str(HERE / "api.py")),
        ],
        cwd=ROOT,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=110,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_pyright(tmp_path: Path) -> None:
    """Pyright in strict mode agrees too."""
    pytest.importorskip("pyright")
    config = tmp_path / "pyrightconfig.json"
    config.write_text(
        f'{{"include": ["{HERE / "api.py"}"], "extraPaths": ["{ROOT / "src"}"],'
        ' "typeCheckingMode": "strict", "reportUnnecessaryTypeIgnoreComment": "error",'
        ' "enableTypeIgnoreComments": false}'
    )
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "-p", str(config)],
        cwd=ROOT,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=110,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def _environment() -> dict[str, str]:

    return os.environ | {"MYPYPATH": str(ROOT / "src"), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
