"""The projects of the workspace, as the tests across packages see them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Project:
    """One distribution of the workspace.

    Args:
        folder: where its pyproject.toml is.
        table: the `[project]` table.
    """

    folder: Path
    table: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.table["name"])

    @property
    def module(self) -> str:
        return self.name.replace("-", "_")

    @property
    def version(self) -> tuple[int, ...]:
        return numbers(self.table["version"])

    def __str__(self) -> str:
        return self.folder.name


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def read(folder: Path) -> Project:
    return Project(folder, tomllib.loads((folder / "pyproject.toml").read_text())["project"])


PACKAGES = [read(path.parent) for path in sorted(ROOT.glob("packages/*/pyproject.toml"))]
PROJECTS = PACKAGES + [read(path.parent) for path in sorted(ROOT.glob("apps/*/pyproject.toml"))]
