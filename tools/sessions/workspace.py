"""The projects of the workspace, and what sessions of several subjects do with them."""

from __future__ import annotations

from pathlib import Path

import nox

ROOT = Path(__file__).parents[2]
FOLDERS = [
    path.parent for place in ("packages", "apps") for path in sorted(ROOT.glob(f"{place}/*/pyproject.toml"))
]
PROJECTS = {folder.name: folder for folder in FOLDERS}
PACKAGES = [name for name, folder in PROJECTS.items() if folder.parent.name == "packages"]
MATPLOTLIB = "matplotlib>=3.10"  # never in a group: only plots of the docs need it


def sync(session: nox.Session, *options: str) -> None:
    """Give the session's environment exactly what `options` of `uv sync` ask for."""
    place = {"UV_PROJECT_ENVIRONMENT": session.virtualenv.location}
    session.run_install("uv", "sync", "--quiet", "--no-default-groups", *options, env=place, external=True)


def distribution(name: str) -> str:
    return f"moviegen-{name}"


def pytest(session: nox.Session, *paths: str) -> None:
    session.run("pytest", "-c", "pyproject.toml", *paths, *session.posargs)


def write_figure(session: nox.Session, text: str, name: str, *command: str) -> None:
    """Write what a module's command prints between the marks of that name in a text."""
    printed = Path(session.create_tmp()) / f"{name}.txt"
    with printed.open("w") as file:
        session.run("python", "-m", *command, stdout=file, stderr=None)
    session.run("python", "tools/figures.py", text, name, str(printed))
