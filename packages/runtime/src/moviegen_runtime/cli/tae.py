"""`moviegen tae inflate`: an image autoencoder into one of videos. Imports no torch before it runs."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

_PRESET = "paper"


@dataclass(frozen=True)
class Tae:
    """Make an autoencoder of videos out of one of images, to train on from there.

    It codes every frame as the image autoencoder does, until training moves what acts along time. What a
    recipe must have to train it is printed.
    """

    job: Annotated[Literal["inflate"], tyro.conf.Positional, tyro.conf.arg(metavar="inflate")]
    """What to do: the word inflate."""

    source: Annotated[Path, tyro.conf.Positional]
    """Folder of a diffusers AutoencoderKL (often named vae), or its safetensors file alone.

    With the file alone, 32 norm groups are assumed, and latents are not normalised."""

    out: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="DIR")]
    """Folder of weights to write, which must not be there yet."""

    def run(self) -> None:
        """Write the weights, and print what a recipe must have to train them.

        Raises:
            ValueError: the source cannot be inflated, or `out` is there already.
        """
        if self.out.exists():
            raise ValueError(f"{self.out} is there already: give a new folder")
        from moviegen_tae import inflate_pretrained, preset, save

        tae = inflate_pretrained(self.source)
        save(tae, self.out)
        given, usual = tae.config.model_dump(mode="json"), preset(_PRESET).model_dump(mode="json")
        changed = {name: value for name, value in given.items() if value != usual[name]}
        if self.source.is_file():
            print("no config.json was read: 32 norm groups assumed, latents not normalised", file=sys.stderr)
        print(f"weights in {self.out}; a recipe that trains them with --init has", file=sys.stderr)
        print(f"preset: {_PRESET}")
        if changed:
            print(f"architecture: {json.dumps(changed)}")
