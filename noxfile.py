"""One session for each thing a developer or a build machine does: `nox -l` lists them.

Every session installs from a hash-locked file of requirements/ and nothing else. The project itself
is built by the hatchling that is locked beside nox, so no build environment is fetched unlocked.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2026.2"

PYTHONS = ("3.11", "3.12", "3.13")
REQUIREMENTS = Path("requirements")

PLACES = (
    "~/.pyenv/versions/{}.*/bin",
    "~/.asdf/installs/python/{}.*/bin",
    "~/.local/share/mise/installs/python/{}.*/bin",
    "~/.local/share/uv/python/cpython-{}.*/bin",
    "/opt/python{}*/bin",
    "/opt/python/{}*/bin",
    "/opt/homebrew/opt/python@{}/bin",
    "/usr/local/opt/python@{}/bin",
    "/usr/local/bin",
    "/usr/bin",
)
"""Where an interpreter may be installed without being on PATH."""


def _runs(python: str, version: str) -> bool:
    """Tell whether this program really is that version, with a GIL: a shim may be neither."""
    question = (
        "import sys, sysconfig;"
        "print('%d.%d' % sys.version_info[:2], sysconfig.get_config_var('Py_GIL_DISABLED') or 0)"
    )
    try:
        answer = subprocess.run(
            [python, "-c", question], capture_output=True, check=False, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and answer.stdout.split() == [version, "0"]


def _interpreter(version: str) -> str | None:
    """Find a working CPython of this version on this machine."""
    if _runs(sys.executable, version):
        return sys.executable
    name = f"python{version}"
    candidates = [shutil.which(name)]
    for place in PLACES:
        folder = Path(place.format(version)).expanduser().relative_to("/")
        found = sorted(Path("/").glob(str(folder / name)), reverse=True)
        candidates.extend(str(path) for path in found)
    return next((path for path in candidates if path and _runs(path, version)), None)


def _backend() -> str:
    """Choose uv for its speed, but pip where pip was told of a mirror or proxy that uv ignores."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    answer = subprocess.run(command, capture_output=True, check=False, text=True)
    told = {line.partition("=")[0].rpartition(".")[2] for line in answer.stdout.splitlines()}
    private_certificate = "cert" in told and "SSL_CERT_FILE" not in os.environ
    if private_certificate or told & {"client-cert", "index-url", "no-index", "proxy"}:
        return "virtualenv"
    return "uv|virtualenv"


INTERPRETERS = {version: path for version in PYTHONS if (path := _interpreter(version))}
if not INTERPRETERS:
    sys.exit(f"creche needs CPython {', '.join(PYTHONS[:-1])} or {PYTHONS[-1]}: none was found.")
# nox looks on PATH alone, and passes over a version manager's shim that leads nowhere.
os.environ["PATH"] = os.pathsep.join(
    [os.environ.get("PATH", os.defpath), *(str(Path(p).parent) for p in INTERPRETERS.values())]
)
os.environ["UV_PYTHON_DOWNLOADS"] = "never"

DEFAULT_PYTHON = next(
    (version for version, path in INTERPRETERS.items() if path == sys.executable),
    list(INTERPRETERS)[-1],
)
"""What nox runs on, where creche supports it; else the newest that it does."""

nox.options.sessions = ["lint", "tests", "wheel"]
nox.options.default_venv_backend = _backend()
nox.options.download_python = "never"
nox.options.reuse_venv = "yes"
# A version that this machine lacks is skipped with a word, on a build machine (CI=true) too.
nox.options.error_on_missing_interpreters = False


def _install(session: nox.Session, lock: str) -> None:
    session.install("--require-hashes", "-r", str(REQUIREMENTS / f"{lock}.txt"))


def _install_project(session: nox.Session, version: str) -> None:
    """Build the project as a `standard` or `editable` wheel and install it."""
    folder = Path(session.virtualenv.location) / "built" / version
    shutil.rmtree(folder, ignore_errors=True)
    target = f"wheel:{version}"
    build = (sys.executable, "-m", "hatchling", "build", "--target", target)
    session.run_install(*build, "--directory", str(folder), external=True, silent=True)
    (wheel,) = folder.glob("*.whl")
    session.install("--no-deps", "--force-reinstall", str(wheel))


def _prepare(session: nox.Session) -> None:
    """Set up what the suite needs: the locked packages and the project, from its tree."""
    _install(session, "test")
    _install_project(session, "editable")


@nox.session(python=DEFAULT_PYTHON)
def demo(session: nox.Session) -> None:
    """Run the main job: 300 sample tasks, or what follows `--` (`creche demo` arguments)."""
    _install(session, "run")
    _install_project(session, "editable")
    arguments = session.posargs or ["300", "--scale", "0.05"]
    # After Ctrl-C the demo still ends its server and prints its summary.
    session.run("creche", "demo", *arguments, interrupt_timeout=30, terminate_timeout=10)


@nox.session(python=DEFAULT_PYTHON)
def lint(session: nox.Session) -> None:
    """Check style, format, types and who imports whom."""
    _install(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("lint-imports")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the suite on each supported Python; after `--`: pytest arguments."""
    _prepare(session)
    session.run("pytest", "-n", "2", "--dist", "loadfile", *session.posargs)


@nox.session(python=DEFAULT_PYTHON, reuse_venv=False)
def wheel(session: nox.Session) -> None:
    """Install the built wheel in a clean environment and use it from an empty folder."""
    _install(session, "run")
    _install_project(session, "standard")
    with tempfile.TemporaryDirectory() as empty, session.chdir(empty):
        session.run("creche", "--help", silent=True)
        where = "import engine, tui, web; print(engine.__file__, tui.__file__, web.__file__)"
        said = str(session.run("python", "-c", where, silent=True))
        environment = Path(session.virtualenv.location).resolve()
        if not all(environment in Path(path).resolve().parents for path in said.split()):
            session.error(f"engine, tui and web must come from the wheel: {said}")
        session.run("creche", "demo", "20", "--scale", "0.01", "--plain")


@nox.session(python=DEFAULT_PYTHON)
def system(session: nox.Session) -> None:
    """Run the tests that need programs outside Python, such as tmux."""
    _prepare(session)
    session.run("pytest", "-m", "system", *session.posargs)


@nox.session(python=DEFAULT_PYTHON)
def coverage(session: nox.Session) -> None:
    """Measure branches over every Python found, then report once (gate: pyproject.toml)."""
    _install(session, "test")
    session.run("coverage", "erase")
    for version in INTERPRETERS:
        session.notify(f"coverage_run-{version}")
    session.notify("coverage_report")


@nox.session(python=PYTHONS)
def coverage_run(session: nox.Session) -> None:
    """Run the suite under coverage (a part of `coverage`)."""
    _prepare(session)
    session.run("coverage", "run", "-m", "pytest", *session.posargs)


@nox.session(python=DEFAULT_PYTHON)
def coverage_report(session: nox.Session) -> None:
    """Combine what was measured and judge it (a part of `coverage`)."""
    _install(session, "test")
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session(python=DEFAULT_PYTHON)
def soak(session: nox.Session) -> None:
    """Run the tests that take minutes; after `--`: pytest arguments."""
    _prepare(session)
    nothing_collected = 5
    session.run(
        *("pytest", "-m", "soak", "-o", "faulthandler_timeout=0", *session.posargs),
        success_codes=[0, nothing_collected],
    )


@nox.session(python=DEFAULT_PYTHON)
def bench(session: nox.Session) -> None:
    """Run every benchmark script of bench/, or those named after `--`."""
    _install(session, "run")
    _install_project(session, "editable")
    scripts = sorted(path for path in Path("bench").glob("*.py") if path.stem[0] != "_")
    for script in scripts:
        if not session.posargs or script.stem in session.posargs:
            session.run("python", str(script))


@nox.session(python=DEFAULT_PYTHON)
def changelog(session: nox.Session) -> None:
    """Show the next release's notes; `-- --version X.Y.Z --yes` writes CHANGELOG.md."""
    _install(session, "lint")
    session.run("towncrier", "build", *(session.posargs or ("--draft", "--version", "next")))


@nox.session(venv_backend="none")
def lock(session: nox.Session) -> None:
    """Write requirements/*.txt again from pyproject.toml; `-- --upgrade` takes newer releases."""
    sources = {
        "run": ("pyproject.toml",),
        "test": ("pyproject.toml", "--group", "test"),
        "lint": ("pyproject.toml", "--group", "lint"),
        "nox": ("--group", "nox"),
    }
    # The widest first; the others choose among its releases, so that all agree.
    for name in ("lint", "run", "test", "nox"):
        agree = () if name == "lint" else ("--constraints", "requirements/lint.txt")
        session.run(
            *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal"),
            *("--python-version", PYTHONS[0], "--generate-hashes", "--no-annotate"),
            *("--custom-compile-command", "nox -s lock"),
            *(*agree, *sources[name], "-o", f"requirements/{name}.txt", *session.posargs),
            external=True,
        )
