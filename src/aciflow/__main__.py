"""``python -m aciflow``: the command line."""

from __future__ import annotations

from aciflow.cli import main


if __name__ == "__main__":
    raise SystemExit(main())
