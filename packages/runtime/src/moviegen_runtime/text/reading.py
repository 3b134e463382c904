"""What all text encoders have in common: their files, and reading prompts of one length together.

Legend: B batch, S tokens, D width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import torch
from moviegen_core import TextContext
from tokenizers import Tokenizer
from torch import Tensor

PrecisionName = Literal["float32", "bfloat16"]


def states_by_length(
    tokens: Sequence[list[int]], read: Callable[[Tensor], Tensor], *, width: int, most: int, encoder: str
) -> TextContext:
    """Token states (B, S, D) of prompts in float32 on the CPU, S the longest prompt's tokens, at least 1.

    Prompts of one length are read together, so padding never enters the encoder; what else is read with a
    prompt changes its states by rounding only. A prompt without tokens is not read.

    Args:
        tokens: ids of each prompt.
        read: states (B, S, D) of ids (B, S).
        most: prompts read at once, to bound memory.
        encoder: its name.

    Raises:
        ValueError: no prompts.
    """
    if not tokens:
        raise ValueError("give at least one prompt to encode")
    lengths = torch.tensor([len(ids) for ids in tokens])
    longest = max(int(lengths.max()), 1)
    states_BSD = torch.zeros(len(tokens), longest, width)
    for length in sorted(set(lengths.tolist()) - {0}):
        same = [index for index, ids in enumerate(tokens) if len(ids) == length]
        for start in range(0, len(same), most):
            some = same[start : start + most]
            states = read(torch.tensor([tokens[index] for index in some]))
            states_BSD[some, :length] = states.to("cpu", torch.float32)
    return TextContext(states_BSD, torch.arange(longest) < lengths[:, None], encoder)


def check_length(count: int, most: int, encoder: str) -> None:
    """Refuse a prompt that is too long.

    Raises:
        ValueError: it has more tokens than the encoder reads.
    """
    if count > most:
        raise ValueError(
            f"the prompt has {count} tokens with what is said around it, and the text encoder {encoder} "
            f"reads at most {most}; shorten it"
        )


def read_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a `tokenizer.json`, without truncation and padding.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the tokenizers library raises nothing narrower
        raise ValueError(f"the text encoder's {path} is damaged: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def files_hash(*paths: Path) -> str:
    """SHA-256 over what files hold, in their order, as hexadecimal digits."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
