"""The examples in the README files of what can be installed, and in the docs, run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from projects import PACKAGES, ROOT

READMES = [ROOT / "README.md", *(project.folder / "README.md" for project in PACKAGES)]
PAGES = [
    ROOT / "docs" / page
    for page in (
        "autoencoder/clips.md",
        "autoencoder/tiling.md",
        "sound/codec.md",
        "sound/length.md",
        "sound/score.md",
        "transformer/kernels.md",
        "transformer/positions.md",
        "transformer/text.md",
        "transformer/upsampler.md",
    )
]
EXAMPLES = [
    pytest.param(code, id=f"{path.parent.name if path.parent != ROOT else 'root'}-{path.stem}-{number}")
    for path in READMES + PAGES
    for number, code in enumerate(
        re.findall(r"^```python\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)
    )
]


@pytest.mark.parametrize("code", EXAMPLES)
def test_example(code: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


def test_there_are_examples_of_every_package() -> None:
    for project in PACKAGES:
        text = (project.folder / "README.md").read_text()
        assert f"from {project.module} import" in text, f"{project.folder}/README.md shows no use"
