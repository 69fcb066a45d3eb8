"""All recordings replayed, and what `nox -s conformance` prints of it."""

from __future__ import annotations

import functools
import os
import sys

from collections.abc import Iterator
from pathlib import Path

from tests.conformance import differences
from tests.conformance.recordings import recordings
from tests.conformance.replay import Replay, Result


@functools.cache
def replayed(corpus: Path) -> tuple[int, Result]:
    """How many recordings there are, and what came of replaying them all; once a process."""
    total = Result()
    found = recordings(corpus)
    for recording in found:
        total.add(Replay(recording).run())
    return len(found), total


def lines(corpus: Path) -> Iterator[str]:
    """The report."""
    count, total = replayed(corpus)
    explained = differences.explain(total.differences, differences.load())
    skipped = sum(total.skipped.values())
    yield f"recordings replayed              {count:6}"
    yield f"interactions replayed            {total.replayed:6}"
    yield f"  with their whole bodies        {total.full:6}"
    yield f"  skipped                        {skipped:6}"
    for why, number in sorted(total.skipped.items()):
        yield f"    {why:28} {number:6}"
    yield f"steps that no recording shows    {total.prepared:6}"
    yield f"fields compared                  {total.fields:6}"
    yield f"differences                      {len(total.differences):6}"
    for name, number in sorted(explained.counts.items()):
        yield f"  {name:30} {number:6}"
    yield f"  unexplained                    {len(explained.unexplained):6}"
    for one in explained.unexplained:
        yield f"    {one}"
    for name in explained.unused:
        yield f"  class '{name}' explains nothing any more"


def main() -> int:
    """Print it; 1 where something is unexplained."""
    corpus = Path(os.environ.get("ACIFLOW_CORPUS") or "../shared/corpus")
    if not corpus.is_dir():
        print(f"no corpus at {corpus}: set ACIFLOW_CORPUS to where it is")
        return 1
    for line in lines(corpus):
        print(line)
    _, total = replayed(corpus)
    explained = differences.explain(total.differences, differences.load())
    return 1 if explained.unexplained or explained.unused else 0


if __name__ == "__main__":
    sys.exit(main())
