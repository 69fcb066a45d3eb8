"""The folder of what is served, and what is left of a killed server's."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile

from pathlib import Path

import pytest

from aciflow.local.served.folder import Folder


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary directory of the test's own, for its processes too."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_killed_servers_folder_is_removed_by_the_next(temporary: Path) -> None:
    """What holds a secret does not outlive its process for longer than until the next server."""
    code = (
        "from aciflow.local.served.folder import Folder; import time\n"
        "folder = Folder(); (folder.path / 'secret').write_text('x')\n"
        "print(folder.path, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        left = Path(other.stdout.readline().strip())
        living = Folder()
        assert left.is_dir()  # its process lives
        other.send_signal(signal.SIGKILL)
        other.wait()
    mine = Folder()

    assert not left.exists()
    assert sorted(temporary.glob("aciflow-*")) == sorted([living.path, mine.path])
    assert mine.path.stat().st_mode & 0o777 == 0o700
    mine.remove()
    living.remove()
    assert list(temporary.glob("aciflow-*")) == []


def test_what_is_not_a_servers_is_left_alone(temporary: Path) -> None:
    """A folder of that name without a lock, or one that is locked, stays."""
    strange = temporary / "aciflow-served-strange"
    strange.mkdir()
    living = Folder()
    Folder().remove()

    assert strange.is_dir()
    assert living.path.is_dir()
    living.remove()
    strange.rmdir()
