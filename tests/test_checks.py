"""The checks of the house fail when they should: a check that cannot fail proves nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from projects import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import api
import figures
import pins

INTERFACE = """
class Shape:
    frames: int
    def __init__(self, frames: int, fps: float = 8.0) -> None: ...
    def longer(self, by: int) -> Shape: ...

def load(folder: Path | str, *, kind: str) -> Shape: ...
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def load(folder: Path | str, *, kind: str) -> Shape: ...", ""),
        ("kind: str)", "kind: str, strict: bool)"),
        ("kind: str)", "sort: str)"),
        ("folder: Path | str", "folder: Path"),
        ("-> Shape: ...\n\ndef", "-> Shape | None: ...\n\ndef"),
        ("fps: float = 8.0", "fps: float = 16.0"),
        ("fps: float = 8.0", "fps: float"),
        ("    frames: int\n", ""),
        ("    frames: int\n", "    frames: int | None\n"),
        ("class Shape:", "class Form:"),
    ],
)
def test_a_broken_promise_is_seen(old: str, new: str) -> None:
    assert old in INTERFACE
    assert api.breaks(INTERFACE, INTERFACE.replace(old, new)) != []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("kind: str)", "kind: str, strict: bool = True)"),
        ("folder: Path | str", "folder: Path | str | None"),
        ("    frames: int\n", "    frames: int\n    height: int\n"),
        ("def load", "def save(folder: Path) -> None: ...\n\ndef load"),
    ],
)
def test_an_addition_is_no_break(old: str, new: str) -> None:
    assert api.breaks(INTERFACE, INTERFACE.replace(old, new)) == []


@pytest.mark.parametrize(
    ("released", "now", "allowed"),
    [
        ("0.1.0", "0.1.0", False),
        ("0.1.0", "0.1.1", False),
        ("0.1.0", "0.2.0", True),
        ("0.9.0", "0.10.0", True),
        ("1.1.0", "1.2.0", False),
        ("1.1.0", "2.0.0", True),
    ],
)
def test_which_versions_may_break(released: str, now: str, allowed: bool) -> None:
    assert api.may_break(released, now) is allowed


def project(folder: Path, version: str, source: str, changes: str = "") -> Path:
    """A package called moviegen-thing in a folder."""
    code = folder / "src" / "moviegen_thing"
    code.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(f'[project]\nname = "moviegen-thing"\nversion = "{version}"\n')
    (folder / "CHANGELOG.md").write_text(f"# Changes\n\n## {version}\n\n{changes}\n")
    (code / "__init__.py").write_text(f'__all__ = ["double"]\n\n{source}\n')
    return folder


def test_a_break_needs_a_version_and_a_word_about_it(tmp_path: Path) -> None:
    folder = tmp_path / "thing"
    before, after = "def double(x: int) -> int: ...", "def double(x: int, y: int) -> int: ..."
    assert api.check(project(folder, "0.1.0", before)) == 1, "no snapshot"
    assert api.snapshot(folder) == 0
    assert api.check(folder) == 0
    assert api.check(project(folder, "0.1.0", after)) == 1
    assert api.check(project(folder, "0.2.0", after)) == 1
    assert api.check(project(folder, "0.2.0", after, "- Breaking: double takes y.")) == 0


def test_pins_are_read_from_what_uv_exports() -> None:
    exported = "\n".join(
        [
            "numpy==2.4.6 ; python_full_version < '3.12'",
            "numpy==2.5.5 ; python_full_version >= '3.12'",
            "torch==2.15.0",
            "triton==3.9.0 ; sys_platform == 'linux'",
        ]
    )
    assert pins.pins_of(exported) == [
        "numpy==2.4.6 ; python_full_version < '3.12'",
        "numpy==2.5.5 ; python_full_version >= '3.12'",
        "torch==2.15.0",
        "triton==3.9.0",
    ]


def test_pins_are_written_where_they_are_read() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    wanted = ["numpy==2.4.6 ; python_full_version < '3.12'", "torch==2.15.0"]
    changed = pins.with_pins(text, wanted)
    assert pins.listed(changed) == wanted
    assert pins.with_pins(changed, pins.listed(text)) == text
    with pytest.raises(ValueError, match="constraint-dependencies"):
        pins.with_pins("[tool.uv]\n", wanted)


def test_an_environment_that_strays_from_its_pins_is_seen() -> None:
    assert pins.strangers(["pytest==0.0.1"]) != []
    assert pins.strangers(["a-package-that-is-not-here==1.0"]) == []


def test_figures_take_the_place_between_their_marks() -> None:
    text = "before\n<!-- judge:begin -->\nold\n<!-- judge:end -->\nafter\n"
    once = figures.filled(text, "judge", "| a |\n|---|\n| \\1 |\n")
    assert once == "before\n<!-- judge:begin -->\n| a |\n|---|\n| \\1 |\n<!-- judge:end -->\nafter\n"
    mixed = "PSNR 26 dB\nSSIM 0.9\n| a |\n|---|\n"
    assert figures.filled(once, "judge", mixed) == text.replace(
        "old", "- PSNR 26 dB\n- SSIM 0.9\n\n| a |\n|---|"
    )
    apart = "| a |\n|---|\n\n| b |\n|---|\n\nSSIM 0.9\n"
    assert figures.filled(once, "judge", apart) == text.replace(
        "old", "| a |\n|---|\n\n| b |\n|---|\n\n- SSIM 0.9"
    )
    with pytest.raises(ValueError, match="exactly once"):
        figures.filled(text, "speed", "new")
    with pytest.raises(ValueError, match="nothing was printed"):
        figures.filled(text, "judge", "\n")
    assert figures.filled((ROOT / "README.md").read_text(), "judge", "new") != text
