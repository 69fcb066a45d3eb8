"""The package's public names, and what importing them costs."""

from __future__ import annotations

import ast
import compileall
import json
import shutil
import subprocess
import sys

from pathlib import Path
from typing import Any

import pytest

import aciflow

from aciflow._lazyimport import install_lazy_importer
from aciflow.bench.imports import HEAVY


PACKAGE = Path(aciflow.__file__).parent

DESIGNED = {
    *("launch", "run", "get", "Client", "AsyncClient", "ContainerGroup", "AsyncContainerGroup"),
    *("ResourceGroup", "AsyncResourceGroup", "RunResult", "LogLine", "Endpoint", "Ready"),
    *("Timeline", "Phase", "PhaseEvent", "ContainerGroupSpec", "Container", "InitContainer"),
    *("Port", "Volume", "VolumeMount", "Probe", "Resources", "Registry", "Identity", "DnsConfig"),
    *("LogAnalytics", "SecurityContext", "AciflowError", "ExecResult", "Session", "AsyncSession"),
}


def run(code: str, *, path: Path | None = None) -> Any:
    """Run a program that prints JSON in a process of its own."""
    extra = f"import sys; sys.path.insert(0, {str(path)!r})\n" if path else ""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", extra + code],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return json.loads(done.stdout)


def test_sorted() -> None:
    """``__all__`` is sorted, and names nothing twice."""
    assert sorted(set(aciflow.__all__)) == aciflow.__all__


def test_complete() -> None:
    """Every name that was promised is there, and every error."""
    assert set(aciflow.__all__) >= DESIGNED | set(aciflow.errors.__all__)


def test_same_names_for_type_checkers() -> None:
    """What type checkers see imported is what ``__all__`` says, apart from submodules."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {
        alias.asname or alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    names = {name for name, home in imported.items() if home != "aciflow"} - {"__version__"}

    assert sorted(names) == aciflow.__all__


@pytest.mark.parametrize("name", aciflow.__all__)
def test_importable(name: str) -> None:
    """Every name resolves, and the second time without any import."""
    value = getattr(aciflow, name)

    assert value is vars(aciflow)[name]
    assert value.__name__ == name


def test_submodules_need_no_import_of_their_own() -> None:
    """``aciflow.aio.launch`` works after ``import aciflow``."""
    code = (
        "import json, aciflow\n"
        "print(json.dumps([aciflow.aio.launch.__name__, aciflow.local.LocalAzure.__name__]))"
    )

    assert run(code) == ["launch", "LocalAzure"]


def test_star_import() -> None:
    """``from aciflow import *`` gives exactly the public names."""
    space: dict[str, Any] = {}
    exec("from aciflow import *", space)

    assert sorted(set(space) - {"__builtins__"}) == aciflow.__all__


def test_dir_lists_names_that_were_never_used() -> None:
    """Completion in a shell offers every public name at once."""
    names = run("import json, aciflow; print(json.dumps(dir(aciflow)))")

    assert set(aciflow.__all__) | {"__version__", "aio"} <= set(names)


def test_unknown_name() -> None:
    """A name that is not there is an AttributeError as in any module."""
    with pytest.raises(AttributeError, match="module 'aciflow' has no attribute 'lunch'"):
        aciflow.lunch  # type: ignore[attr-defined]  # noqa: B018


def test_version() -> None:
    """The version is a string of the installed package, and looked up only when asked for."""
    loaded = run(
        "import sys, json, aciflow; print(json.dumps('importlib.metadata' in sys.modules))"
    )

    assert loaded is False
    assert aciflow.__version__[0].isdigit()


def test_import_loads_nothing_else() -> None:
    """Importing the package imports none of its own modules but the lazy importer, and no other."""
    code = (
        "import sys, json; before = set(sys.modules)\n"
        "import aciflow\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )

    assert set(run(code)) <= {"__future__", "_ast", "aciflow", "aciflow._lazyimport"}


def test_names_load_nothing_heavy() -> None:
    """All public names together load no SDK, no HTTP client, no server and no event loop."""
    code = (
        "import sys, json, aciflow\n"
        "for name in aciflow.__all__: getattr(aciflow, name)\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    loaded = run(code)

    assert [name for name in loaded if name in HEAVY or name.startswith("azure")] == []
    # A third of the time that all names together may take.
    assert "asyncio" not in loaded


def test_without_source(tmp_path: Path) -> None:
    """A frozen application without source files has the same names, at once."""
    shutil.copytree(PACKAGE, tmp_path / "aciflow", ignore=shutil.ignore_patterns("__pycache__"))
    assert compileall.compile_dir(tmp_path, quiet=1, legacy=True)
    for source in tmp_path.rglob("*.py"):
        source.unlink()
    code = (
        "import json, aciflow\n"
        "print(json.dumps([aciflow.__file__, sorted(set(aciflow.__all__) - set(vars(aciflow)))]))"
    )

    file, missing = run(code, path=tmp_path)

    assert Path(file).parent == tmp_path / "aciflow"
    assert missing == []


def test_from_an_archive(tmp_path: Path) -> None:
    """From a zip file names are lazy all the same."""
    (tmp_path / "content").mkdir()
    shutil.copytree(PACKAGE, tmp_path / "content" / "aciflow")
    archive = shutil.make_archive(str(tmp_path / "all"), "zip", tmp_path / "content")
    code = (
        "import json, sys, aciflow\n"
        "before = 'aciflow.timeline' in sys.modules\n"
        "print(json.dumps([before, aciflow.Phase.__name__, aciflow.__file__]))"
    )

    before, name, file = run(code, path=Path(archive))

    assert (before, name) == (False, "Phase")
    assert ".zip" in file


def test_source_that_is_gone(tmp_path: Path) -> None:
    """A package whose source cannot be read any more is told to import eagerly."""
    code = (
        "import sys, json, types, importlib.machinery as m\n"
        "from aciflow._lazyimport import install_lazy_importer\n"
        "module = types.ModuleType('gone')\n"
        f"path = {str(tmp_path / 'gone.py')!r}\n"
        "module.__spec__ = m.ModuleSpec('gone', m.SourceFileLoader('gone', path), origin=path)\n"
        "sys.modules['gone'] = module\n"
        "print(json.dumps(install_lazy_importer('gone')))"
    )

    assert run(code) is False


def test_block_with_more_than_imports(tmp_path: Path) -> None:
    """A block that does something cannot be lazy, and says where."""
    (tmp_path / "odd.py").write_text(
        "from aciflow._lazyimport import install_lazy_importer\n"
        "TYPE_CHECKING = False\n"
        "if TYPE_CHECKING or not install_lazy_importer(__name__):\n"
        "    x = 1\n"
    )
    code = (
        "import json\n"
        "try:\n    import odd\n"
        "except TypeError as error:\n    print(json.dumps(str(error)))"
    )

    assert run(code, path=tmp_path).endswith("odd.py:4: only `from x import y` can be lazy")


def test_lazy_importer_is_one_function() -> None:
    """The importer needs no more than the package's name."""
    assert install_lazy_importer("aciflow") is True
