"""
Names of a package that are imported when they are first used.

A package writes plain imports, which type checkers and editors read, below an ``if`` that is never
taken at run time::

    TYPE_CHECKING = False
    if TYPE_CHECKING or not install_lazy_importer(__name__):
        from package.module import Name

:func:`install_lazy_importer` reads that very block, so there is no second list to keep. (The idea is
anyio's.) Where a package has no source, as in some frozen applications, the block runs: the same names,
at once.
"""

from __future__ import annotations

import sys

from _ast import AnnAssign, If, ImportFrom, PyCF_ONLY_AST


def install_lazy_importer(package: str) -> bool:
    """
    Give a package, from its own ``__init__``, a ``__getattr__`` for what its guarded block imports.

    Args:
        package: Its ``__name__``.

    Returns:
        Whether it could be done; if not, the block has to run.
    """
    module = sys.modules[package]
    homes = _homes(module)
    if homes is None:
        return False
    names = vars(module)

    def get_attribute(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = homes[name]
        if home == package:
            # A submodule; importing it also makes it an attribute.
            __import__(f"{package}.{name}")
            return names[name]
        # With a list of names, `__import__` gives the module itself and not its top package.
        value = getattr(__import__(home, fromlist=[name]), name)
        names[name] = value
        return value

    def list_names() -> list[str]:
        return sorted({*names, *homes})

    names["__getattr__"] = get_attribute
    names["__dir__"] = list_names
    return True


def _homes(module: object) -> dict[str, str] | None:
    """Name to home module, of the first ``if`` of a package's source; ``None`` without source."""
    spec = getattr(module, "__spec__", None)
    path = getattr(spec, "origin", None)
    read = getattr(getattr(spec, "loader", None), "get_data", None)
    if path is None or read is None or not path.endswith(".py"):
        return None
    try:
        source = read(path)
    except OSError:
        return None
    # Not `ast.parse`: the module `ast` costs more than all the rest of this.
    tree = compile(source, path, "exec", flags=PyCF_ONLY_AST, dont_inherit=True)
    block = next(node for node in vars(tree)["body"] if isinstance(node, If))
    homes = {}
    for node in block.body:
        if isinstance(node, ImportFrom) and node.module is not None:
            homes.update({alias.asname or alias.name: node.module for alias in node.names})
        elif not isinstance(node, AnnAssign):
            raise TypeError(f"{path}:{node.lineno}: only `from x import y` can be lazy")
    return homes
