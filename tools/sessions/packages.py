"""Checks of each package or app by itself: what it declares, its tests, its wheel, its interface."""

from __future__ import annotations

import shutil
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path

import nox

from sessions.workspace import PACKAGES, PROJECTS, distribution, pytest, sync

# Import names that differ from the name of their distribution.
MODULE_NAMES = "pillow=PIL,pyyaml=yaml,resvg-py=resvg_py,flash-attn-4=flash_attn"


@nox.session
@nox.parametrize("name", list(PROJECTS), ids=list(PROJECTS))
def deps(session: nox.Session, name: str) -> None:
    """What a package imports is what it declares."""
    sync(session, "--only-group", "deps")
    session.chdir(PROJECTS[name])
    session.run("deptry", "src", "--package-module-name-map", MODULE_NAMES)


@nox.session
@nox.parametrize("name", list(PROJECTS), ids=list(PROJECTS))
def test(session: nox.Session, name: str) -> None:
    """Not in the default set, which has `wheel`: tests of a package with what it declares alone."""
    sync(session, "--package", distribution(name), "--group", "test")
    assert_alone(session, name)
    pytest(session, str(PROJECTS[name] / "tests"))


def assert_alone(session: nox.Session, name: str) -> None:
    """Fail if one of ours that the package does not declare can be imported all the same."""
    absent = sorted(set(PROJECTS) - needed(name))
    seen = f"[name for name in {[module(each) for each in absent]} if importlib.util.find_spec(name)]"
    session.run("python", "-c", f"import importlib.util, sys; sys.exit({seen} or None)", silent=True)
    session.log(f"absent, as they should be: {', '.join(absent) or 'none'}")


@nox.session
@nox.parametrize("name", list(PROJECTS), ids=list(PROJECTS))
def wheel(session: nox.Session, name: str) -> None:
    """Tests of a package as its wheels bring it to somebody, with what it declares and nothing else."""
    wheels = build_wheels(session, needed(name))
    for path in wheels:
        assert_complete(session, path)
    sync(session, "--package", distribution(name), "--group", "test", "--no-install-workspace")
    session.install("--quiet", "--no-deps", "--no-index", *map(str, wheels))
    assert_alone(session, name)
    installed = f"import {module(name)} as m; assert 'site-packages' in m.__file__, m.__file__"
    session.run("python", "-c", installed, silent=True)
    pytest(session, str(PROJECTS[name] / "tests"))


def assert_complete(session: nox.Session, path: Path) -> None:
    """Fail unless a wheel brings its types and its licence, and nothing but its own import package."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    package = path.name.partition("-")[0]
    if f"{package}/py.typed" not in names:
        session.error(f"{path.name} has no {package}/py.typed")
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in names):
        session.error(f"{path.name} has no LICENSE")
    if strangers := [name for name in names if not name.startswith((f"{package}/", f"{package}-"))]:
        session.error(f"{path.name} brings more than {package}: {strangers[:3]}")


@nox.session(reuse_venv=False)
def ranges(session: nox.Session) -> None:
    """The ranges that our packages declare of each other hold; uv does not look at them in a workspace."""
    wheels = build_wheels(session, set(PROJECTS))
    foreign = Path(session.create_tmp()) / "third-party.txt"
    foreign.write_text("".join(f"{line}\n" for line in sorted(third_party(wheels))))
    session.install("--quiet", "-r", str(foreign))
    # Not from a cache, which knows wheels by their version: ours change without a new one.
    session.install(
        *("--quiet", "--refresh", "--no-index", "--find-links", str(wheels[0].parent)),
        *map(distribution, PROJECTS),
    )
    session.run_install("uv", "pip", "check", external=True)


def third_party(wheels: list[Path]) -> set[str]:
    """What wheels require that is not ours, without their extras."""
    required: set[str] = set()
    for path in wheels:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            lines = message_from_string(archive.read(name).decode()).get_all("Requires-Dist", [])
        required.update(line for line in lines if "extra ==" not in line and not line.startswith("moviegen-"))
    return required


@nox.session
@nox.parametrize("name", PACKAGES, ids=list(PACKAGES))
def api(session: nox.Session, name: str) -> None:
    """A package keeps what its last released interface promised."""
    sync(session, "--only-group", "api")
    session.run("python", "tools/api.py", "check", str(PROJECTS[name]))


@nox.session(name="api-snapshot")
def api_snapshot(session: nox.Session) -> None:
    """Not a check, part of a release: write down the interfaces (of `-- packages/NAME`, or of all)."""
    sync(session, "--only-group", "api")
    folders = session.posargs or [str(PROJECTS[name]) for name in PACKAGES]
    session.run("python", "tools/api.py", "snapshot", *folders)


def module(name: str) -> str:
    return f"moviegen_{name}"


def needed(name: str) -> set[str]:
    """The project itself and all of ours that it depends on, directly or not."""
    project = tomllib.loads((PROJECTS[name] / "pyproject.toml").read_text())["project"]
    ours = [
        other
        for other in PROJECTS
        for line in project["dependencies"]
        if line.startswith(distribution(other))
    ]
    return {name}.union(*(needed(other) for other in ours))


def build_wheels(session: nox.Session, names: set[str]) -> list[Path]:
    """Wheels of some of our projects, built now."""
    folder = Path(session.create_tmp()) / "wheels"
    shutil.rmtree(folder, ignore_errors=True)
    for name in sorted(names):
        options = ["--wheel", "--quiet", "--out-dir", str(folder)]
        session.run_install("uv", "build", *options, str(PROJECTS[name]), external=True)
    return sorted(folder.glob("*.whl"))
