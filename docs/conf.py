"""Sphinx: Markdown pages, furo, and the reference drawn from docstrings."""

import argparse
import tomllib

from pathlib import Path
from typing import Any


with (Path(__file__).parent.parent / "pyproject.toml").open("rb") as file:
    _project = tomllib.load(file)["project"]

project = "aciflow"
author = "the aciflow authors"
copyright = author
version = release = _project["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "aciflow"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "none"  # they are in the signatures
autodoc_class_signature = "mixed"
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# Nothing is fetched to build this, so what is not ours cannot be linked; what is ours must be.
# Modules are named where they explain something; not all of them are in the reference.
nitpick_ignore_regex = [("py:.*", r"(?!aciflow\.).*"), ("py:mod", ".*")]


def _add_help(_app: object, name: str, source: list[str]) -> None:
    """Give the page on the command line the help texts, from the parser itself."""
    if name != "reference/command-line":
        return
    from aciflow.cli.parser import _parser

    def add(command: argparse.ArgumentParser) -> None:
        source[0] += f"\n## {command.prog}\n\n```text\n{command.format_help()}```\n"
        for action in command._actions:
            if isinstance(action, argparse._SubParsersAction):
                for below in action.choices.values():
                    add(below)

    add(_parser())


def _at_home(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Resolve a name of the package, such as `aciflow.Timeline`, to the module that documents it."""
    import aciflow

    target = node.get("reftarget", "")
    found = getattr(aciflow, target.removeprefix("aciflow."), None)
    home = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
    if node.get("refdomain") != "py" or home == target:
        return None
    domain = env.get_domain("py")
    return domain.resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], home, node, content
    )


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _add_help)
    app.connect("missing-reference", _at_home)
