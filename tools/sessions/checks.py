"""Checks of the repository as a whole, and what repairs or writes what they check."""

from __future__ import annotations

import nox

from sessions.workspace import FOLDERS, ROOT, distribution, pytest, sync


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: rules and format."""
    sync(session, "--only-group", "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session(name="format")
def format_(session: nox.Session) -> None:
    """Not a check: repair what ruff can repair."""
    sync(session, "--only-group", "lint")
    session.run("ruff", "check", "--fix")
    session.run("ruff", "format")


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict on the sources of every package and app, and on the benchmarks."""
    sync(session, "--all-packages", "--group", "types")
    session.run("mypy", *(str(folder / "src") for folder in FOLDERS), *map(str, ROOT.glob("benchmarks/*.py")))


@nox.session
def layers(session: nox.Session) -> None:
    """Who may import whom: the contracts of `[tool.importlinter]`."""
    sync(session, "--only-group", "layers")
    sources = ":".join(str(folder / "src") for folder in FOLDERS)
    session.run("lint-imports", "--no-cache", env={"PYTHONPATH": sources})


@nox.session
def pins(session: nox.Session) -> None:
    """The pins in pyproject.toml are exactly what the workspace resolves to, and what an environment has."""
    sync(session, "--all-packages")
    session.run("python", "tools/pins.py", "check")


@nox.session
def pin(session: nox.Session) -> None:
    """Not a check: write the pins that a changed pyproject.toml needs; `-- upgrade`: the latest of all."""
    session.run("python", "tools/pins.py", *(session.posargs or ["write"]))


@nox.session
def docs(session: nox.Session) -> None:
    """The site builds, and no link in it leads nowhere."""
    sync(session, "--only-group", "docs")
    session.run("mkdocs", "build", "--strict", "--quiet", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def recipes(session: nox.Session) -> None:
    """Every recipe validates, and the model that it trains builds on the meta device."""
    sync(session, "--all-packages")
    files = sorted(str(path) for path in ROOT.glob("apps/*/recipes/*.yaml"))
    if not files:
        session.error("there are no recipes under apps/*/recipes")
    session.run("python", "-m", "moviegen_runtime.training.check", *files)


@nox.session
def house(session: nox.Session) -> None:
    """Tests across packages: contracts, packaging, the checks themselves."""
    sync(session, "--all-packages", "--group", "test")
    pytest(session, "tests")


@nox.session
def kernels(session: nox.Session) -> None:
    """Not in the default set, for it takes minutes: kernels compile for A100, H100 and B200 and do not spill.

    It prints registers, shared memory, spills and matrix instructions, and needs no GPU.
    """
    sync(session, "--package", distribution("dit"))
    session.run("python", "tools/kernels.py", "binaries", *session.posargs)
