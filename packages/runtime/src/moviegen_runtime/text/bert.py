"""The token states of BERT (Devlin et al. 2018, arXiv 1810.04805, section 3): encoder only, post-norm, GELU.

Written out here because importing a model library costs more time than a whole miniature video.

Legend: B batch, S tokens, D width, N heads, K head dim.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

# Parts of a layer, as published weights name them, and as they are named here.
_PUBLISHED_LAYER_NAMES = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "attended",
    "attention.output.LayerNorm": "attended_norm",
    "intermediate.dense": "widen",
    "output.dense": "narrow",
    "output.LayerNorm": "narrow_norm",
}
_PUBLISHED_EMBEDDING_NAMES = {
    "embeddings.word_embeddings": "words",
    "embeddings.position_embeddings": "positions",
    "embeddings.token_type_embeddings": "segments",
    "embeddings.LayerNorm": "embedding_norm",
}


@dataclass(frozen=True)
class BertConfig:
    """Sizes of a BERT encoder."""

    vocabulary: int
    max_positions: int
    width: int
    layers: int
    heads: int
    mlp_width: int
    segments: int = 2
    norm_epsilon: float = 1e-12


class BertLayer(nn.Module):
    """Self-attention and a two-layer perceptron, each added to its input and normalised after."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.width, config.width)
        self.key = nn.Linear(config.width, config.width)
        self.value = nn.Linear(config.width, config.width)
        self.attended = nn.Linear(config.width, config.width)
        self.attended_norm = nn.LayerNorm(config.width, config.norm_epsilon)
        self.widen = nn.Linear(config.width, config.mlp_width)
        self.narrow = nn.Linear(config.mlp_width, config.width)
        self.narrow_norm = nn.LayerNorm(config.width, config.norm_epsilon)

    def forward(self, x_BSD: Tensor) -> Tensor:
        q, k, v = (self._split(project(x_BSD)) for project in (self.query, self.key, self.value))
        attended_BNSK = functional.scaled_dot_product_attention(q, k, v)
        attended_BSD = attended_BNSK.transpose(1, 2).flatten(2)
        x_BSD = self.attended_norm(x_BSD + self.attended(attended_BSD))
        y_BSD: Tensor = self.narrow_norm(x_BSD + self.narrow(functional.gelu(self.widen(x_BSD))))
        return y_BSD

    def _split(self, x_BSD: Tensor) -> Tensor:
        batch, tokens, _ = x_BSD.shape
        return x_BSD.view(batch, tokens, self.heads, -1).transpose(1, 2)


class Bert(nn.Module):
    """Token states of prompts of one length: no padding, so no mask."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.words = _table(config.vocabulary, config.width)
        self.positions = _table(config.max_positions, config.width)
        self.segments = _table(config.segments, config.width)
        self.embedding_norm = nn.LayerNorm(config.width, config.norm_epsilon)
        self.layers = nn.ModuleList(BertLayer(config) for _ in range(config.layers))

    def forward(self, tokens_BS: Tensor) -> Tensor:
        """States (B, S, D) of the last layer for token ids (B, S)."""
        places_S = torch.arange(tokens_BS.shape[1], device=tokens_BS.device)
        summed_BSD = self.words(tokens_BS) + self.positions(places_S) + self.segments.weight[0]
        x_BSD: Tensor = self.embedding_norm(summed_BSD)
        for layer in self.layers:
            x_BSD = layer(x_BSD)
        return x_BSD


def _table(rows: int, width: int) -> nn.Embedding:
    """Without values: drawing normal ones on the meta device makes torch import its compiler, for seconds."""
    return nn.Embedding(rows, width, _weight=torch.empty(rows, width))


def from_published_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of `Bert` from published tensors; the pooler and stored position ids are left out.

    Raises:
        ValueError: a tensor has a name that BERT does not know.
    """
    state: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.startswith("pooler.") or name == "embeddings.position_ids":
            continue
        state[_own_name(name)] = tensor
    return state


def _own_name(published: str) -> str:
    part, _, kind = published.rpartition(".")
    if part in _PUBLISHED_EMBEDDING_NAMES:
        return f"{_PUBLISHED_EMBEDDING_NAMES[part]}.{kind}"
    if part.startswith("encoder.layer."):
        index, _, piece = part.removeprefix("encoder.layer.").partition(".")
        if piece in _PUBLISHED_LAYER_NAMES:
            return f"layers.{index}.{_PUBLISHED_LAYER_NAMES[piece]}.{kind}"
    raise ValueError(f"BERT has no tensor {published!r}")
