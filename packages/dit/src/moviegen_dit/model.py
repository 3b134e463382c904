"""The video transformer: the velocity of a noisy latent, given its time and prompt (paper, section 3.1.3).

Legend: B batch, C latent channels, T H W latent frames, rows, columns, S video tokens, L prompt tokens,
D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import cast

import torch
from moviegen_core import AttentionFn, TextContext, VideoShape
from torch import Tensor, nn

from moviegen_dit.attention import PackedAttentionFn, sdpa_attention, sdpa_packed_attention
from moviegen_dit.caching import BlockCache
from moviegen_dit.conditions import Packed, Positions, PreparedConditions, packed
from moviegen_dit.config import VideoDiTConfig
from moviegen_dit.kernels.packing import Packing
from moviegen_dit.layers import (
    MODULATIONS,
    Block,
    PromptProjection,
    TimeEmbedding,
    modulated_norm,
    modulations,
    patch_projection,
    patchify,
    unpatchify,
    zero_linear,
)

# The sum of three tables then has deviation 1, as the patches have. Our choice.
_POSITION_DEVIATION = 3**-0.5


class VideoDiT(nn.Module):
    """Transformer over the patches of a video latent.

    Every block starts as the identity and the output at zero, so an untrained model says velocity 0.

    Args:
        config: sizes.
        attention: used by every layer, for self-attention and cross-attention.
        packed_attention: the same for `forward_packed`.
    """

    def __init__(
        self,
        config: VideoDiTConfig,
        attention: AttentionFn = sdpa_attention,
        packed_attention: PackedAttentionFn = sdpa_packed_attention,
    ) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.patch_in = patch_projection(config)
        # Factorized learnable positions, one table an axis (NaViT), shared by all layers.
        self.frame_positions, self.row_positions, self.column_positions = (
            nn.Parameter(nn.init.normal_(torch.empty(length, width), std=_POSITION_DEVIATION))
            for length in config.positions
        )
        self.time_embedding = TimeEmbedding(width)
        self.modulation = zero_linear(width, MODULATIONS * width)
        self.prompts = nn.ModuleList(PromptProjection(spec.width, width) for spec in config.text_encoders)
        self.blocks = nn.ModuleList(
            Block(width, config.heads, config.mlp_width, attention, packed_attention)
            for _ in range(config.layers)
        )
        self.final_modulation = zero_linear(width, 2 * width)
        self.patch_out = zero_linear(width, config.patch_channels)

    def use_attention(self, attention: AttentionFn) -> None:
        """Let every layer attend by another function from now on; `forward_packed` keeps its own."""
        for block in cast(Iterable[Block], self.blocks):
            block.self_attention.attention = block.cross_attention.attention = attention

    def prepare(self, contexts: Sequence[TextContext], drop: Tensor | None = None) -> PreparedConditions:
        """Project the prompts, and make the keys and values of every layer.

        Args:
            contexts: one for each text encoder of the config, in any order.
            drop: (B,) bool, True for samples whose prompt is to be absent in all encoders; None: no sample.

        Raises:
            ValueError: an encoder is missing, unknown or of another width, or batch sizes differ.
        """
        ordered = self._ordered(contexts)
        batch = ordered[0].batch
        if drop is not None and (drop.dtype != torch.bool or drop.shape != (batch,)):
            raise ValueError(f"drop must be bool of shape ({batch},), not {drop.dtype} {tuple(drop.shape)}")
        pairs = [
            prompt(context.embeddings, context.mask, drop)
            for prompt, context in zip(self.prompts, ordered, strict=True)
        ]
        tokens_BLD = torch.cat([tokens for tokens, _ in pairs], dim=1)
        return self._keys_and_values(*packed(tokens_BLD, torch.cat([mask for _, mask in pairs], dim=1)))

    def null_conditions(self, batch: int) -> PreparedConditions:
        """Conditions of samples without a prompt: those of `prepare` with every sample dropped."""
        nulls_LD = torch.stack([prompt.get_parameter("null") for prompt in self.prompts])
        lengths_B = torch.full((batch,), len(self.prompts), device=nulls_LD.device)
        return self._keys_and_values(nulls_LD.expand(batch, -1, -1), lengths_B)

    def placed(self, conditions: PreparedConditions, latent: VideoShape) -> PreparedConditions:
        """Conditions that also hold the positions of latents of one size, for a solver of many steps.

        Raises:
            ValueError: a size that the patches or the position tables do not fit.
        """
        tokens = self.config.token_shape(latent)
        return replace(conditions, positions=Positions(tokens, self._positions(tokens)))

    def forward(
        self, x: Tensor, t: Tensor, conditions: PreparedConditions, cache: BlockCache | None = None
    ) -> Tensor:
        """Velocity of a noisy latent.

        Args:
            x: (B, C, T, H, W) noisy latent; where the config has `condition_channels`, followed along C by
                those of the latent that the model is shown.
            t: (B,) times in [0, 1]: 0 is noise, 1 is data.
            conditions: of the same samples, in the same order.
            cache: of the solver's run that this call belongs to; None: every block runs.

        Returns:
            (B, C, T, H, W) of the noisy latent.

        Raises:
            ValueError: a size that the patches, the position tables or the positions of the conditions do not
                fit, or batch sizes differ.
        """
        tokens = self._checked(x, x.shape[0], t, conditions)
        x_BSC = patchify(x, self.config.patch)
        places = conditions.positions
        positions_SD = self._positions(tokens) if places is None else places.table
        out_BSC = self._velocity(x_BSC, positions_SD, t, conditions, None, cache)
        return unpatchify(out_BSC, self.config.patch, tokens)

    def forward_packed(
        self, latents: Sequence[Tensor], t: Tensor, conditions: PreparedConditions
    ) -> list[Tensor]:
        """Velocity of noisy latents of different sizes, images and videos, in one pass without padding.

        Args:
            latents: one (C, T, H, W) a sample.
            t: (B,) times in [0, 1].
            conditions: of the same samples, in the same order.

        Returns:
            One (C, T, H, W) a sample: what `forward` gives for each alone, to rounding.

        Raises:
            ValueError: as in `forward`.
        """
        if not latents:
            raise ValueError("latents must be of a sample or more, not of none")
        patch = self.config.patch
        shapes = [self._checked(x[None], len(latents), t, conditions) for x in latents]
        lengths = [shape.frames * shape.height * shape.width for shape in shapes]
        prompts = [conditions.keys[0].shape[1]] * conditions.batch
        sizes = Packed(Packing(lengths, t.device), Packing(prompts, t.device))
        x_1SC = torch.cat([patchify(x[None], patch) for x in latents], dim=1)
        positions_SD = torch.cat([self._positions(shape) for shape in shapes])
        out_1SC = self._velocity(x_1SC, positions_SD, t, conditions, sizes)
        parts = sizes.tokens.samples(out_1SC[0])
        return [unpatchify(out[None], patch, shape)[0] for out, shape in zip(parts, shapes, strict=True)]

    def _velocity(
        self,
        x_BSC: Tensor,
        positions_SD: Tensor,
        t_B: Tensor,
        conditions: PreparedConditions,
        sizes: Packed | None,
        cache: BlockCache | None = None,
    ) -> Tensor:
        """From patches to patches."""
        x_BSD = self.patch_in(x_BSC)
        time_BD = self.time_embedding(t_B)
        modulation_B6D = self.modulation(time_BD).unflatten(1, (MODULATIONS, -1))
        layers = list(zip(self.blocks, conditions.keys, conditions.values, strict=True))

        def run(x_BSD: Tensor, first: int, last: int) -> Tensor:
            for block, keys, values in layers[first:last]:
                x_BSD = block(
                    x_BSD, positions_SD, modulation_B6D, keys, values, conditions.key_lengths, sizes
                )
            return x_BSD

        x_BSD = run(x_BSD, 0, len(layers)) if cache is None else cache.through(run, x_BSD, len(layers))
        shift, scale = modulations(self.final_modulation(time_BD).unflatten(1, (2, -1)), sizes)
        out_BSC: Tensor = self.patch_out(modulated_norm(x_BSD, shift, scale))
        return out_BSC

    def _positions(self, tokens: VideoShape) -> Tensor:
        """(S, D) sum of the three tables."""
        frames_T11D = self.frame_positions[: tokens.frames, None, None]
        rows_H1D = self.row_positions[: tokens.height, None]
        columns_WD = self.column_positions[: tokens.width]
        return (frames_T11D + rows_H1D + columns_WD).flatten(0, 2)

    def _keys_and_values(self, prompt_BLD: Tensor, lengths_B: Tensor) -> PreparedConditions:
        pairs = [block.cross_attention.prepare(prompt_BLD) for block in cast(Iterable[Block], self.blocks)]
        keys, values = zip(*pairs, strict=True)
        return PreparedConditions(keys, values, lengths_B)

    def _ordered(self, contexts: Sequence[TextContext]) -> list[TextContext]:
        by_name = {context.encoder: context for context in contexts}
        wanted = {spec.name: spec.width for spec in self.config.text_encoders}
        if len(contexts) != len(wanted) or set(by_name) != set(wanted):
            given = ", ".join(context.encoder for context in contexts) or "none"
            raise ValueError(f"prompts must come from {', '.join(wanted)}, once each, not from {given}")
        for name, width in wanted.items():
            given_width = by_name[name].embeddings.shape[2]
            if given_width != width:
                raise ValueError(f"{name} states must be {width} wide, not {given_width}")
        ordered = [by_name[name] for name in wanted]
        batches = [context.batch for context in ordered]
        if len(set(batches)) > 1:
            raise ValueError(f"encoders must agree on the number of prompts, not give {batches}")
        return ordered

    def _checked(self, x: Tensor, batch: int, t: Tensor, conditions: PreparedConditions) -> VideoShape:
        channels = self.config.input_channels
        if x.ndim != 5 or x.shape[1] != channels or 0 in x.shape:
            raise ValueError(f"x must be a non-empty (B, {channels}, T, H, W) tensor, not {tuple(x.shape)}")
        if t.shape != (batch,) or not t.is_floating_point():
            raise ValueError(f"t must be floating point of shape ({batch},), not {t.dtype} {tuple(t.shape)}")
        if conditions.batch != batch or len(conditions.keys) != self.config.layers:
            raise ValueError(
                f"conditions must be of {batch} samples and {self.config.layers} layers, "
                f"not {conditions.batch} and {len(conditions.keys)}"
            )
        tokens = self.config.token_shape(VideoShape(*x.shape[2:]))
        if conditions.positions is not None and conditions.positions.tokens != tokens:
            raise ValueError(
                f"the conditions were placed for {conditions.positions.tokens} tokens, and x has {tokens}"
            )
        return tokens
