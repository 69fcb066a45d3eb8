"""
Everything that one does with a checkout, as nox sessions.

``python3 noxfile.py SESSION [-- ARGUMENTS]`` needs nothing but Python: it makes an environment with nox
under ~/.cache/aciflow and goes on in it. ``nox -s SESSION`` is the same where nox is there already.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from pathlib import Path


ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / ".ci"))
import machine  # noqa: E402


def _bootstrap(arguments: list[str]) -> int:
    """Go on in an environment that has nox."""
    try:
        python = machine.nox()
    except machine.MissingError as error:
        machine.say(str(error))
        return 1
    except subprocess.CalledProcessError as error:
        machine.say(f"{error.cmd[0]} failed, see above")
        return 1
    sessions = ["-s", *arguments] if arguments and not arguments[0].startswith("-") else arguments
    command = [str(python), "-m", "nox", "-f", str(Path(__file__)), *(sessions or ["--list"])]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(_bootstrap(sys.argv[1:]))


import nox  # noqa: E402


nox.needs_version = ">=2025.2"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True
nox.options.envdir = str(machine.environments())
nox.options.sessions = ["lint", "typing", "docs", "tests"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
CI = os.environ.get("CI") == "true"

# Every line and branch of these is run by the tests.
COVERED = ("model", "flow", "timeline", "sessions.shell", "sessions.talk")


def _find_interpreters() -> list[str]:
    """Those of the classifiers' Pythons that are here, this one at the least."""
    versions: list[str] = nox.project.python_versions(PYPROJECT)
    for version in versions:  # pyenv's are put on the PATH, where nox looks for them
        pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
        for path in sorted(pyenv.glob(f"versions/{version}.*/bin")):
            os.environ["PATH"] = f"{path}{os.pathsep}{os.environ['PATH']}"
    this = ".".join(map(str, sys.version_info[:2]))
    return [version for version in versions if version == this or shutil.which(f"python{version}")]


def _install(session: nox.Session, *groups: str, pins: tuple[str, ...] = ()) -> None:
    """
    Install aciflow as editable with these dependency groups, unless that has been done.

    pip needs seconds to find out that there is nothing to do, so a note is left of what was done.
    """
    # Who wants only aciflow gets no more than its users do.
    package = f".[{','.join(PYPROJECT['project']['optional-dependencies'])}]" if groups else "."
    wanted = ["-e", package, *nox.project.dependency_groups(PYPROJECT, *groups), *pins]
    note = Path(session.virtualenv.location) / "installed-for-aciflow"
    if not note.exists() or note.read_text() != repr(wanted):
        session.install("-q", *wanted)
        note.write_text(repr(wanted))


def _need_engine(session: nox.Session) -> None:
    """A container engine, or say what to do; in CI all that any test starts."""
    try:
        machine.ensure_engine()
        if CI:
            machine.debian_packages(
                "docker-registry", why="tests pull from a registry of their own"
            )
            machine.debian_packages("netcat-openbsd", why="one of the tools that probe from inside")
    except machine.MissingError as error:
        if CI or session.name == "demo":
            session.error(str(error))
        session.warn(f"{error}\nWhat needs it is skipped.")


def _need_clients(session: nox.Session) -> None:
    """In CI the Azure CLI and what others have built; elsewhere they are used if they are there."""
    if not CI:
        return
    try:
        session.env["ACIFLOW_AZ"] = str(machine.azure_cli())
        machine.other_clients()
    except machine.MissingError as error:
        session.error(str(error))


@nox.session
def demo(session: nox.Session) -> None:
    """Launch a web server with a public address on the local endpoint; `-- IMAGE` for another."""
    _install(session)
    _need_engine(session)
    image = session.posargs[0] if session.posargs else None
    if image is None:
        printed = session.run("python", "tests/images.py", "nginx", silent=True, log=False)
        image = str(printed).strip().splitlines()[-1]
    state = machine.CACHE / "demo"
    # Never on Azure, whatever account this machine is logged in to.
    env = {"ACIFLOW_TARGET": "local", "ACIFLOW_STATE_DIR": str(state)}
    session.run("python", "examples/quickstart.py", image, env=env)
    print(WHAT_WAS_REAL.format(image=image))
    if left := machine.left_on_engine(state):
        session.error("left on the engine: " + ", ".join(left))
    print("Nothing of it is left on the engine: no container, no network, no volume.")


WHAT_WAS_REAL = """
Real: the container ({image}), what it served, and every time in the waterfall.
Local: ARM, which was aciflow's own endpoint inside that process, and the "public" address, which only
this machine reaches. No Azure account was used, and nothing was sent to Azure. There, a start takes
longer: mostly scheduling and pulling the image.
"""


@nox.session
def tests(session: nox.Session) -> None:
    """All tests, and complete coverage of what is pure; `-- ARGUMENTS` go to pytest."""
    _install(session, "tests", "notebook", "typing")
    _need_engine(session)
    _need_clients(session)
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    # Not in session.create_tmp(): that sets TMPDIR, whose length leaves no room for sockets in it.
    session.env["COVERAGE_FILE"] = f"{session.virtualenv.location}/coverage"
    covered = [f"--cov=aciflow.{part}" for part in COVERED]
    session.run("pytest", *covered, "--cov-branch", "--cov-fail-under=100")


@nox.session
def conformance(session: nox.Session) -> None:
    """Replay recordings of the real service on the local endpoint, and count the differences."""
    _install(session, "tests", "notebook")
    corpus = Path(os.environ.get("ACIFLOW_CORPUS", "../shared/corpus")).resolve()
    env = {"ACIFLOW_CORPUS": str(corpus), "PYTHONPATH": str(ROOT)}
    session.run("python", "-m", "tests.conformance.report", env=env)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: rules and format."""
    session.install("-q", *nox.project.dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def typing(session: nox.Session) -> None:
    """Mypy on everything, pyright on what users see."""
    _install(session, "dev")
    session.run("mypy")
    session.run("pyright")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation as HTML, warnings as errors; `tests` runs its snippets."""
    _install(session, "docs")
    out = Path(session.virtualenv.location) / "html"
    session.run("sphinx-build", "-W", "-n", "-q", "--keep-going", "docs", str(out))
    session.log(f"file://{out}/index.html")


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks: import, detection (with the corpus), load, overhead (with an engine)."""
    _install(session, "bench")
    _need_engine(session)
    traces = Path(os.environ.get("ACIFLOW_CORPUS", "../shared/corpus")) / "traces/aci-starts.json"
    session.run("aciflow", "bench", "imports")
    if traces.is_file():
        session.run("aciflow", "bench", "detection", "--traces", str(traces))
    else:
        session.warn(f"no traces at {traces}: set ACIFLOW_CORPUS to replay recorded starts")
    rounds = os.environ.get("ACIFLOW_BENCH_ROUNDS", "10")
    session.run("aciflow", "bench", "load", "--rounds", rounds)
    session.run("aciflow", "bench", "overhead", "--rounds", rounds)


def _oldest() -> tuple[str, ...]:
    """The lower bound of each dependency."""
    return tuple(line.replace(">=", "==") for line in PYPROJECT["project"]["dependencies"])


SDKS = {
    "oldest": _oldest(),
    "newest": (),
    # The first of the generation that nests every field; no stable release of it is out.
    "beta": ("azure-mgmt-containerinstance==10.2.0b2",),
    "az": ("azure-mgmt-containerinstance==10.2.0b1",),  # what azure-cli pins
}


FULL = "ACIFLOW_FULL"
# What depends on the SDKs' generation, and what on Python's: interpreters differ in how they end.
SDK_TESTS = (
    *("tests/arm", "tests/conformance/test_sdk.py", "tests/local/test_azure.py"),
    "tests/launch/test_launch.py",
)
PYTHON_TESTS = (
    *("tests/arm", "tests/drivers", "tests/flow", "tests/local", "tests/model", "tests/timeline"),
    "tests/launch/test_lifetimes.py",
)
PYTHONS = _find_interpreters()
COMBINATIONS = [
    *(
        (python, sdks)
        for python in sorted({PYTHONS[0], PYTHONS[-1]})
        for sdks in ("oldest", "beta")
    ),
    *((python, "newest") for python in PYTHONS[1:]),
    (PYTHONS[0], "az"),
]


@nox.session
@nox.parametrize("python,sdks", COMBINATIONS, ids=["-".join(pair) for pair in COMBINATIONS])
def minimums(session: nox.Session, sdks: str) -> None:
    """The oldest, newest and coming Azure SDKs, on the oldest and newest Python and those between."""
    _install(session, "tests", "notebook", pins=SDKS[sdks])
    _need_engine(session)
    some: tuple[str, ...] = PYTHON_TESTS if sdks == "newest" else SDK_TESTS
    if FULL in os.environ:
        some = (
            ("--ignore=tests/docs",)
            if sdks == "newest"
            else ("tests/arm", "tests/conformance", "tests/local", "tests/launch")
        )
    session.run("pytest", "-q", "-m", "not slow", *(session.posargs or some))


@nox.session(venv_backend="none")
def full(session: nox.Session) -> None:
    """Everything above but the demonstration, with the long runs at their full length."""
    os.environ[FULL] = "1"
    os.environ["ACIFLOW_SIM_LAUNCHES"] = "10000"
    os.environ["ACIFLOW_BENCH_ROUNDS"] = "50"
    for name in ("lint", "typing", "docs", "bench", "minimums", "conformance", "tests"):
        session.notify(name)
