"""Models that others published, read through transformers: their files, their sizes, their weights.

Weights are read from safetensors only, from a folder or the Hub.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from moviegen_core import locate_pretrained
from safetensors import SafetensorError
from torch import nn

from moviegen_runtime.text.reading import PrecisionName, files_hash
from moviegen_runtime.validation import read_json

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
_BFLOAT16_FROM = 8  # major compute capability
_UNREADABLE = (OSError, ValueError, RuntimeError, TypeError, KeyError, ImportError, SafetensorError)


@dataclass(frozen=True)
class PublishedFolder:
    """A folder in which all files of a model are.

    Args:
        path: the folder.
        what: the model in words, such as "the text encoder ul2".
        hash: SHA-256 of all files that its outputs depend on, as hexadecimal digits.
    """

    path: Path
    what: str
    hash: str

    def config(self, family: str, tower: Literal["text", "vision"]) -> Mapping[str, Any]:
        """The sizes of a T5's encoder, or of a tower of a CLIP that is there whole or as that tower alone.

        Args:
            family: "t5" or "clip".

        Raises:
            ValueError: config.json is damaged, or describes another model.
        """
        path = self.path / CONFIG_FILE
        config = read_json(path)
        if not isinstance(config, dict):
            raise ValueError(f"{path} does not describe an encoder")
        kind = config.get("model_type")
        if kind != family and not (family == "clip" and kind == f"clip_{tower}_model"):
            raise ValueError(f"{path} describes a model of type {kind!r}, not a {family}")
        if f"{tower}_config" not in config:
            return config
        sizes = config[f"{tower}_config"]
        # A whole CLIP says once, for both towers, how wide their projections are.
        shared = {key: config[key] for key in ("projection_dim",) if key in config}
        return {**(sizes if isinstance(sizes, dict) else {}), **shared}

    def size(self, sizes: Mapping[str, Any], key: str) -> int:
        """A number of 1 or more.

        Raises:
            ValueError: it is none.
        """
        size = sizes.get(key)
        if type(size) is not int or not 1 <= size <= 1 << 20:
            path = self.path / CONFIG_FILE
            raise ValueError(f"{path} must say {key} as a number of 1 or more, not {size!r}")
        return size

    def load(self, model_class: Any, precision: PrecisionName, **options: Any) -> nn.Module:
        """The model in evaluation mode, on the CPU.

        Args:
            model_class: of transformers.
            options: of its `from_pretrained`.

        Raises:
            ValueError: the weights are damaged, lack a tensor, or do not fit the config.
        """
        try:
            with _quiet_transformers():
                model, info = model_class.from_pretrained(
                    self.path,
                    dtype=getattr(torch, precision),
                    use_safetensors=True,
                    local_files_only=True,
                    output_loading_info=True,
                    **options,
                )
        except _UNREADABLE as error:
            told = " ".join(str(error).split())
            raise ValueError(f"{self.what} in {self.path} cannot be read: {told}") from error
        if missing := sorted(info["missing_keys"]):
            raise ValueError(f"{self.what} in {self.path} lacks the tensor {missing[0]!r}")
        loaded: nn.Module = model.eval().requires_grad_(False)
        return loaded


def locate_published(source: Path | str, what: str, files: Sequence[str]) -> PublishedFolder:
    """The folder of a model, its own or one that the Hub gives, with nothing missing.

    Args:
        source: a folder, or a Hub id.
        what: the model in words.
        files: what it needs besides its weights.

    Raises:
        ValueError: transformers is not installed, there is no such folder or model, or a file is missing.
    """
    if find_spec("transformers") is None:
        raise ValueError(f"{what} needs the extra 'moviegen-runtime[encoders]'")
    folder = locate_pretrained(source, {}, [*files, "*.safetensors", INDEX_FILE])
    weights = _weights(folder, what, files)
    return PublishedFolder(folder, what, files_hash(*(folder / file for file in files), *weights))


def precision_on(device: str) -> PrecisionName:
    """bfloat16 where the device computes with it, else float32; float16 is too narrow for T5's states."""
    if not device.startswith("cuda") or not torch.cuda.is_available():
        return "float32"
    # `torch.cuda.is_bf16_supported` would ask the current device, which may be another one.
    return "bfloat16" if torch.cuda.get_device_capability(device)[0] >= _BFLOAT16_FROM else "float32"


def _weights(folder: Path, what: str, files: Sequence[str]) -> list[Path]:
    """The weights files; all files of the model are there.

    Raises:
        ValueError: it says which are missing, and what was looked for.
    """
    missing = [file for file in files if not (folder / file).is_file()]
    weights = [folder / WEIGHTS_FILE]
    if (folder / INDEX_FILE).is_file():
        index = read_json(folder / INDEX_FILE)
        places = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(places, dict) or not places:
            raise ValueError(f"{folder / INDEX_FILE} has no weight_map, so it names no weights")
        shards = sorted({str(file) for file in places.values()})
        if strangers := [file for file in shards if Path(file).name != file]:
            raise ValueError(f"{folder / INDEX_FILE} names {strangers[0]!r}, which is not in its folder")
        weights = [folder / file for file in shards]
        missing += [file for file in shards if not (folder / file).is_file()]
    elif not weights[0].is_file():
        missing.append(f"{WEIGHTS_FILE} (or {INDEX_FILE} and what it names)")
    if missing:
        raise ValueError(f"{what} lacks in {folder}: {', '.join(missing)}")
    return weights


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Hide the bar and the report of what a checkpoint holds besides the encoder, such as a decoder."""
    logging: Any = import_module("transformers.utils.logging")
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
