"""A little material, made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from moviegen_clips.material import HELD_OUT_FILMS, Kind, split_of, store


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Material whose training and held-out members differ in colour: red is for training only."""
    folder = tmp_path_factory.mktemp("clips")
    random = np.random.default_rng(0)

    def shade(kind: Kind, name: str, shape: tuple[int, ...]) -> np.ndarray:
        values = random.integers(0, 100, shape, dtype=np.uint8)
        values[..., 0 if split_of(kind, name) == "train" else 2] = 255
        if shape[-1] == 4:
            values[..., 3] = 255
        return values

    def members(kind: Kind, names: list[str], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        return {name: shade(kind, name, shape) for name in names}

    names = [f"subject{i}/a" for i in range(40)]
    store(folder, "films", members("films", ["street", *HELD_OUT_FILMS], (70, 40, 50, 3)))
    store(folder, "photographs", members("photographs", names, (40, 60, 3)))
    store(folder, "drawings", members("drawings", names, (50, 40, 3)))
    store(folder, "animations", members("animations", names, (5, 32, 32, 4)))
    return folder
