"""
Run the snippets of one page in their order, as a reader would: ``run_page.py PAGE [OLD=NEW ...]``.

All Python of a page shares one namespace. ``OLD=NEW`` replaces the name of an image that a machine
without a registry cannot pull. A snippet is left out only where the line before it says why::

    <!-- not run: needs an Azure subscription -->
"""

from __future__ import annotations

import doctest
import re
import subprocess
import sys

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


RUN = {"python", "pycon", "bash"}
FENCE = re.compile(
    r"^(?:<!-- not run: (?P<why>.+?) -->\n)?```(?P<language>\w+)\n(?P<source>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Snippet:
    """One fenced block; ``why`` says why it is not run."""

    language: str
    source: str
    line: int
    why: str | None


def snippets(page: Path) -> Iterator[Snippet]:
    """The blocks of a page in a language that can be run."""
    text = page.read_text()
    for match in FENCE.finditer(text):
        if match["language"] in RUN:
            line = text[: match.start("source")].count("\n")
            yield Snippet(match["language"], match["source"], line, match["why"])


def _check(snippet: Snippet, where: str) -> None:
    """What is not run must at least be valid."""
    if snippet.language == "python":
        compile("\n" * snippet.line + snippet.source, where, "exec")
    elif snippet.language == "bash":
        subprocess.run(["bash", "-n"], input=snippet.source, text=True, check=True)


def _run(snippet: Snippet, where: str, namespace: dict[str, Any]) -> None:
    if snippet.language == "python":
        exec(compile("\n" * snippet.line + snippet.source, where, "exec"), namespace)
    elif snippet.language == "pycon":
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
        test = doctest.DocTestParser().get_doctest(
            snippet.source, namespace, where, where, snippet.line
        )
        runner = doctest.DocTestRunner(optionflags=flags)
        runner.run(test, clear_globs=False)
        namespace.update(test.globs)
        if runner.failures:
            raise SystemExit(f"{where}:{snippet.line}: {runner.failures} of the outputs differ")
    else:
        sys.stdout.flush()
        subprocess.run(["bash", "-euo", "pipefail", "-c", snippet.source], check=True)


def main(page: Path, replace: Mapping[str, str]) -> None:
    """Run ``page``."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for snippet in snippets(page):
        source = snippet.source
        for old, new in replace.items():
            source = re.sub(rf"(?<![\w./:]){re.escape(old)}(?![\w./:])", new, source)
        shown = Snippet(snippet.language, source, snippet.line, snippet.why)
        if snippet.why:
            _check(shown, str(page))
        else:
            _run(shown, str(page), namespace)


if __name__ == "__main__":
    main(Path(sys.argv[1]), dict(pair.split("=", 1) for pair in sys.argv[2:]))
