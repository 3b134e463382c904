"""The paper's three text encoders, read through transformers (section 3.1.4 and Fig. 8).

UL2 and MetaCLIP read the whole prompt, ByT5 only what stands in quotation marks: the text that is to be seen.
Token states are those after the last norm.

Legend: B batch, S tokens, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from moviegen_core import TextContext
from torch import Tensor, nn

from moviegen_runtime.pretrained import CONFIG_FILE, locate_published, precision_on
from moviegen_runtime.text.positions import lengthened
from moviegen_runtime.text.prompt import quoted_strings
from moviegen_runtime.text.reading import PrecisionName, check_length, read_tokenizer, states_by_length

TOKENIZER_FILE = "tokenizer.json"
# Prompts read at once.
_MAX_BATCH = 32
# A byte's id is its value after the three special ones; the text ends with 1 (arXiv 2105.13626).
_BYTE_OFFSET, _BYTE_END = 3, 1


@dataclass(frozen=True)
class EncoderKind:
    """What is particular to a published encoder.

    Args:
        family: "t5", or "clip" for the text tower of a CLIP.
        max_tokens: longest prompt, special tokens included.
        quoted: reads the quoted strings of a prompt only, byte by byte.
    """

    family: Literal["t5", "clip"]
    max_tokens: int
    quoted: bool = False


# The paper prints the 256 of MetaCLIP and the 512 of T5-base, which reads captions of sound. The other two
# are our choice: a detailed caption of about 200 words, and a sign's worth of letters. A prompt that is
# longer is refused, never cut.
PUBLISHED = {
    "ul2": EncoderKind("t5", max_tokens=300),
    "metaclip": EncoderKind("clip", max_tokens=256),
    "byt5": EncoderKind("t5", max_tokens=100, quoted=True),
    "t5": EncoderKind("t5", max_tokens=512),
}


class PublishedEncoder:
    """A frozen encoder whose weights are in memory from the first prompt to `free`.

    Args:
        name: a key of `PUBLISHED`.
        source: folder with config.json, tokenizer.json (not for ByT5) and safetensors, or a Hub id.
        device: where it runs; in bfloat16 where the device computes with it, else in float32. Not in float16,
            beyond whose range T5's states go.

    Raises:
        ValueError: transformers is not installed, or a file is missing or damaged.
    """

    def __init__(self, name: str, source: Path | str, device: str = "cpu") -> None:
        self.name, self.device = name, device
        self._kind = PUBLISHED[name]
        self.max_tokens = self._kind.max_tokens
        files = [CONFIG_FILE, *([] if self._kind.quoted else [TOKENIZER_FILE])]
        self._folder = locate_published(source, f"the text encoder {name}", files)
        sizes = self._folder.config(self._kind.family, "text")
        self.width = self._folder.size(sizes, "d_model" if self._kind.family == "t5" else "hidden_size")
        self._tokenize = self._tokenizer(self._folder.size(sizes, "vocab_size"))
        self.weights_hash = self._folder.hash
        self.precision: PrecisionName = precision_on(device)
        self._model: nn.Module | None = None

    @torch.inference_mode()
    def encode(self, prompts: Sequence[str]) -> TextContext:
        """Token states (B, S, D) of the prompts in float32 on the CPU, S the longest prompt's tokens.

        A prompt without quoted strings has no tokens of ByT5.

        Raises:
            ValueError: no prompts, one that is longer than `max_tokens`, or weights that do not fit.
        """
        tokens = [self._tokens(prompt) for prompt in prompts]
        return states_by_length(tokens, self._read, width=self.width, most=_MAX_BATCH, encoder=self.name)

    def check(self, prompt: str) -> None:
        """Refuse a prompt that is longer than `max_tokens`; no weights are loaded.

        Raises:
            ValueError: it is.
        """
        self._tokens(prompt)

    def free(self) -> None:
        """Give the memory of the weights back; the next prompt loads them again."""
        self._model = None
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    def _tokens(self, prompt: str) -> list[int]:
        ids = self._tokenize(prompt)
        check_length(len(ids), self.max_tokens, self.name)
        return ids

    def _read(self, ids_BS: Tensor) -> Tensor:
        if self._model is None:
            self._model = self._load().to(self.device)
        states_BSD: Tensor = self._model(input_ids=ids_BS.to(self.device)).last_hidden_state
        return states_BSD

    def _load(self) -> nn.Module:
        """The encoder; MetaCLIP with positions for all its tokens."""
        import transformers

        clip = self._kind.family == "clip"
        model = self._folder.load(
            transformers.CLIPTextModel if clip else transformers.T5EncoderModel, self.precision
        )
        if clip:
            _lengthen(model, self.max_tokens)
        return model.requires_grad_(False)

    def _tokenizer(self, vocabulary: int) -> Callable[[str], list[int]]:
        if self._kind.quoted:
            needed, tokenize = _BYTE_OFFSET + 256, bytes_of_quoted
        else:
            tokenizer = read_tokenizer(self._folder.path / TOKENIZER_FILE)
            needed = tokenizer.get_vocab_size()

            def tokenize(prompt: str) -> list[int]:
                ids: list[int] = tokenizer.encode(prompt).ids
                return ids

        if needed > vocabulary:
            raise ValueError(
                f"{self._folder.path} has a vocabulary of {vocabulary}, and its tokenizer {needed}"
            )
        return tokenize


def bytes_of_quoted(prompt: str) -> list[int]:
    """ByT5's ids of the quoted strings, each on a line of its own; none if there are none."""
    text = "\n".join(quoted_strings(prompt))
    return [byte + _BYTE_OFFSET for byte in text.encode()] + [_BYTE_END] if text else []


def _lengthen(model: nn.Module, length: int) -> None:
    """Positions for `length` tokens, where the published tower has 77."""
    from transformers.models.clip.modeling_clip import CLIPTextEmbeddings

    for part in model.modules():
        if isinstance(part, CLIPTextEmbeddings) and part.position_embedding.num_embeddings < length:
            table = lengthened(part.position_embedding.weight.detach(), length)
            part.position_embedding = nn.Embedding(length, table.shape[1], _weight=table)
            part.position_ids = nn.Buffer(torch.arange(length)[None], persistent=False)
