"""Films, photographs, drawings and animations, to be read piece by piece: a file each in a cache folder.

What a source shows is in one split only, by its name: a tenth of the subjects is held out, and so are whole
films.

Legend: T frames, H rows, W columns, F pictures of an animation, S its side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from moviegen_core import replacing
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

Split = Literal["train", "held_out"]
SPLITS = get_args(Split)
Kind = Literal["films", "photographs", "drawings", "animations"]
KINDS = get_args(Kind)
HELD_OUT_FILMS = ("bigbuckbunny", "carphone_pristine")
VERSION = 1  # rises when what is prepared changes
SIDE = 128  # of an animation's square, in pixels
RATE = 12.0  # pictures of an animation a second


def default_cache() -> Path:
    """Where the material is kept unless another folder is named."""
    return Path.home() / ".cache" / "moviegen" / "clips"


def split_of(kind: Kind, name: str) -> Split:
    """The split that a member of a kind belongs to; names are SUBJECT or SUBJECT/VARIANT.

    All variants of a subject are in one split, so that no twin of a held-out one is trained on.
    """
    subject = name.partition("/")[0]
    if kind == "films":
        return "held_out" if subject in HELD_OUT_FILMS else "train"
    return "held_out" if hashlib.sha256(subject.encode()).digest()[0] % 10 == 0 else "train"


@dataclass(frozen=True)
class Shelf:
    """The members of one kind and split, read from disk as they are asked for.

    Args:
        path: their safetensors file.
        names: of the members, in order.
        shapes: of each: (T, H, W, 3) of a film, (H, W, 3) of a picture, (F, S, S, 4) of an animation.
    """

    path: Path
    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    def read(self, index: int, *parts: slice) -> NDArray[np.uint8]:
        """Member `index`, or the part of it that slices of its leading axes cut out."""
        with safe_open(self.path, "np") as file:
            piece: NDArray[np.uint8] = file.get_slice(self.names[index])[parts or (slice(None),)]
        return piece


def open_shelf(cache: Path, kind: Kind, split: Split) -> Shelf:
    """What is prepared of one kind and split.

    Raises:
        ValueError: nothing was prepared, the file is damaged, or the split is empty.
    """
    path = path_of(cache, kind)
    try:
        with safe_open(path, "np") as file:
            names = tuple(name for name in sorted(file.keys()) if split_of(kind, name) == split)
            shapes = tuple(tuple(file.get_slice(name).get_shape()) for name in names)
    except FileNotFoundError as error:
        raise ValueError(
            f"there is no material at {path}: run `python -m moviegen_clips fetch` first"
        ) from error
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} is damaged: remove it and run `python -m moviegen_clips fetch` again"
        ) from error
    if not names:
        raise ValueError(
            f"{path} has nothing of the split {split}: run `python -m moviegen_clips fetch` again"
        )
    return Shelf(path, names, shapes)


def store(cache: Path, kind: Kind, members: Mapping[str, NDArray[np.uint8]]) -> None:
    """Write the members of one kind, complete or not at all."""
    path = path_of(cache, kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as aside:
        save_file({name: np.ascontiguousarray(values) for name, values in members.items()}, aside)


def path_of(cache: Path, kind: Kind) -> Path:
    """The file of one kind."""
    return cache / f"{kind}-{VERSION}.safetensors"
