"""What the package promises: its public names, its types, and how little it brings along."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import moviegen_dit


def test_every_promised_name_is_there_once_and_in_order() -> None:
    names = moviegen_dit.__all__
    assert sorted(set(names)) == list(names)
    assert all(hasattr(moviegen_dit, name) for name in names)


def test_types_are_shipped() -> None:
    assert files("moviegen_dit").joinpath("py.typed").is_file()


def test_importing_it_brings_core_alone_of_ours() -> None:
    source = (
        "import sys, moviegen_dit\n"
        "print(sorted({name.split('.')[0] for name in sys.modules if name.startswith('moviegen_')}))"
    )
    run = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['moviegen_core', 'moviegen_dit']"


def test_the_example_of_the_readme_runs() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    example = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert example is not None
    exec(compile(example.group(1), "README.md", "exec"), {})
