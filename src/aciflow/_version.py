"""The version, from the installed package's metadata."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


try:
    __version__ = version("aciflow")
except PackageNotFoundError:  # run from a checkout's `src` that was never installed
    __version__ = "0+unknown"
