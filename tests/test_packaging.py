"""What every distribution promises on paper: versions, ranges, licences, model cards."""

from __future__ import annotations

import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from projects import PACKAGES, PROJECTS, ROOT, Project, numbers

MODEL_PACKAGES_MAY_NEED = {
    "einops",
    "moviegen-core",
    "moviegen-dit",
    "pydantic",
    "safetensors",
    "torch",
    "triton",
}
each_project = pytest.mark.parametrize("project", PROJECTS, ids=str)


def requirement_name(line: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]


@each_project
def test_the_changelog_begins_with_the_present_version(project: Project) -> None:
    found = re.findall(r"^## \[?([0-9.]+)", (project.folder / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert found, "no version in CHANGELOG.md"
    assert found[0] == project.table["version"]
    assert found == sorted(found, key=numbers, reverse=True)


@each_project
def test_the_installed_version_is_the_only_source_of_the_version(project: Project) -> None:
    assert version(project.name) == project.table["version"]
    sources = "".join(path.read_text() for path in (project.folder / "src").rglob("*.py"))
    assert "__version__ =" not in sources


@each_project
def test_ours_are_required_within_a_range_that_holds(project: Project) -> None:
    present = {each.name: each.version for each in PROJECTS}
    for line in project.table["dependencies"]:
        if line.startswith("moviegen-"):
            found = re.fullmatch(r"(moviegen-\w+)>=([0-9.]+),<([0-9.]+)", line)
            assert found, f"{line}: give a range as >=0.1,<0.2"
            lowest, beyond = (numbers(found.group(group)) for group in (2, 3))
            assert lowest <= present[found.group(1)] < beyond


@pytest.mark.parametrize("project", [each for each in PACKAGES if str(each) != "runtime"], ids=str)
def test_a_model_package_brings_little_along(project: Project) -> None:
    assert {requirement_name(line) for line in project.table["dependencies"]} <= MODEL_PACKAGES_MAY_NEED


@each_project
def test_every_distribution_has_licence_readme_and_types(project: Project) -> None:
    assert (project.folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert project.table["license-files"] == ["LICENSE"]
    assert len((project.folder / "README.md").read_text().splitlines()) > 5
    assert (project.folder / "src" / project.module / "py.typed").is_file()


def test_core_stays_small() -> None:
    lines = sum(len(path.read_text().splitlines()) for path in (ROOT / "packages/core/src").rglob("*.py"))
    assert lines < 1500


def test_shipped_weights_have_a_model_card_and_a_licence() -> None:
    for weights in [*ROOT.glob("packages/*/src/**/*.safetensors"), *ROOT.glob("apps/*/src/**/*.safetensors")]:
        beside = {path.name: path.read_text() for path in weights.parent.glob("*.md")}
        assert any("Apache-2.0" in text for text in beside.values()), f"{weights.parent} names no licence"
        assert any(name.lower() in ("readme.md", "model_card.md") for name in beside), (
            f"{weights.parent}: no card"
        )


# Folders of weights that are small together, below packages, and the most bytes that they have.
_LIMITS = (
    (("tae/src/moviegen_tae/weights/miniature", "dit/src/moviegen_dit/weights/dit/miniature"), 30_000_000),
    (("dit/src/moviegen_dit/weights/upsampler/miniature",), 20_000_000),
    (("tae/src/moviegen_tae/weights/clips",), 25_000_000),
    (("audio/src/moviegen_audio/weights/*/*",), 30_000_000),
)


def weights_in(folder: str) -> list[Path]:
    return list((ROOT / "packages").glob(f"{folder}/*.safetensors"))


@pytest.mark.parametrize(("folders", "most"), _LIMITS)
def test_shipped_weights_are_small(folders: tuple[str, ...], most: int) -> None:
    found = [weights_in(folder) for folder in folders]
    assert all(found)
    assert sum(path.stat().st_size for paths in found for path in paths) <= most


def test_all_shipped_weights_have_a_limit() -> None:
    limited = {path for folders, _ in _LIMITS for folder in folders for path in weights_in(folder)}
    assert limited == set(ROOT.glob("packages/*/src/**/*.safetensors"))


def test_no_lock_file_and_no_registry_is_named() -> None:
    run = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = run.stdout.splitlines()
    assert "uv.lock" not in tracked
    for name in tracked:
        if name.endswith((".toml", ".yaml", ".yml", ".cfg", ".ini")) or name == ".ci/run":
            text = (ROOT / name).read_text() if (ROOT / name).is_file() else ""
            assert not re.search(r"index-url|extra-index|find-links|tool\.uv\.index|_INDEX", text), name
