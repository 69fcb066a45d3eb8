"""Every snippet of the README and the documentation runs, in a process of its own, as it is printed."""

from __future__ import annotations

import os
import subprocess
import sys

from pathlib import Path

import pytest

from tests.docs.run_page import RUN, snippets


ROOT = Path(__file__).parent.parent.parent
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("changelog.d/*.md"))
)
RUNNING = [p for p in PAGES if any(snippet.why is None for snippet in snippets(ROOT / p))]
RUNNER = Path(__file__).parent / "run_page.py"


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNING)
def test_snippets_run_as_printed(page: str, web_image: str, tmp_path: Path) -> None:
    """A reader who types in a page from its top sees what the page says."""
    scripts = Path(sys.executable).parent
    done = subprocess.run(
        [sys.executable, RUNNER, ROOT / page, f"nginx={web_image}"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_snippets_that_are_not_run_are_valid(page: str) -> None:
    """What cannot be run here still compiles, and says why it is not run."""
    for snippet in snippets(ROOT / page):
        if snippet.why is None:
            continue
        assert snippet.why.strip()
        if snippet.language == "python":
            compile(snippet.source, page, "exec")


@pytest.mark.parametrize("page", PAGES)
def test_every_block_has_a_known_language(page: str) -> None:
    """No snippet escapes by an unknown or missing language."""
    opening = True
    for number, line in enumerate((ROOT / page).read_text().splitlines(), 1):
        if not line.startswith("```"):
            continue
        if opening:
            known = line[3:] in RUN | {"text"} or line.startswith("```{")
            assert known, f"{page}:{number}: {line}"
        opening = not opening
    assert opening, f"{page} ends within a block"
