"""What the package promises: its public names, its frozen configurations, and how little it brings along."""

from __future__ import annotations

import math
import subprocess
import sys
from importlib.resources import files

import moviegen_core
import pytest
from moviegen_core import ArchConfig
from pydantic import ValidationError


class Config(ArchConfig):
    width: int
    rate: float = 1.0


def test_every_promised_name_is_there_once() -> None:
    names = moviegen_core.__all__
    assert len(names) == len(set(names))
    assert all(hasattr(moviegen_core, name) for name in names)


def test_types_are_shipped() -> None:
    assert files("moviegen_core").joinpath("py.typed").is_file()


def test_a_config_is_frozen_and_refuses_unknown_keys_by_name() -> None:
    config = Config(width=3)
    with pytest.raises(ValidationError, match="frozen"):
        config.width = 4  # type: ignore[misc]
    with pytest.raises(ValidationError, match="widht"):
        Config.model_validate({"width": 3, "widht": 4})


@pytest.mark.parametrize("rate", [math.nan, math.inf])
def test_a_config_holds_only_finite_numbers(rate: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        Config(width=3, rate=rate)


def test_importing_core_brings_no_other_package_of_ours_and_no_hub() -> None:
    source = (
        "import sys, moviegen_core\n"
        "ours = [name for name in sys.modules if name.startswith('moviegen_') and '.' not in name]\n"
        "print(ours, 'huggingface_hub' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['moviegen_core'] False"
