"""The audio transformer: the velocity of a noisy latent, given time, text, video and sound (section 6.1.2).

Legend: B batch, C latent channels, T latent frames of sound, L text tokens, D width, E width of an encoder.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from moviegen_core import AttentionFn, TextContext
from moviegen_dit import PreparedConditions, sdpa_attention
from torch import Tensor, nn

from moviegen_audio.conditions import AudioConditions, AudioContext, FrameFeatures
from moviegen_audio.config import AudioDiTConfig
from moviegen_audio.layers import (
    MODULATIONS,
    Block,
    GatedProjection,
    TimeEmbedding,
    linear,
    modulated_norm,
    rotations,
    zero_linear,
)
from moviegen_audio.sight import Sight


class AudioDiT(nn.Module):
    """Transformer over the frames of a sound's latent.

    Noisy latent and given sound are joined along channels; a video is added frame by frame; the text is
    attended to in every block. Every block starts as the identity and the output at zero, so an untrained
    model says velocity 0.

    Args:
        config: sizes.
        attention: used by every layer, for self-attention and cross-attention.
    """

    def __init__(self, config: AudioDiTConfig, attention: AttentionFn = sdpa_attention) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.frame_in = linear(2 * config.latent_channels, width)
        self.sight = None if config.sight is None else Sight(config.sight)
        self.video = GatedProjection(config.video_width, width)
        self.text = linear(config.text_encoder.width, width)
        # What is attended to where there is no text. The paper is silent; as large as projected tokens.
        self.no_text = nn.Parameter(nn.init.normal_(torch.empty(width)))
        self.time_embedding = TimeEmbedding(width)
        self.modulation = zero_linear(width, MODULATIONS * width)
        self.blocks = nn.ModuleList(
            Block(width, config.heads, config.mlp_width, attention) for _ in range(config.layers)
        )
        self.final_modulation = zero_linear(width, 2 * width)
        self.frame_out = zero_linear(width, config.latent_channels)

    def use_attention(self, attention: AttentionFn) -> None:
        """Let every layer attend by another function from now on."""
        for block in cast(Iterable[Block], self.blocks):
            block.self_attention.attention = block.cross_attention.attention = attention

    def prepare(
        self,
        frames: int,
        *,
        text: TextContext | None = None,
        video: FrameFeatures | None = None,
        context: AudioContext | None = None,
        drop_text: Tensor | None = None,
        drop_video: Tensor | None = None,
    ) -> AudioConditions:
        """Project what is given, and make the keys and values of every layer.

        Args:
            frames: length of the sound, in latent frames.
            text: None: no sample has one.
            video: None: no sample has one, which then adds 0.
            context: None: no sound is there already.
            drop_text: (B,) bool, True for samples whose text is to be absent; None: no sample.
            drop_video: (B,) bool, the same of the video.

        Raises:
            ValueError: nothing at all is given, batch sizes or lengths differ, or an encoder is another one
                or of another width than the config's.
        """
        given = [each for each in (text, video, context) if each is not None]
        batches = {each.batch for each in given}
        if len(batches) != 1:
            raise ValueError(
                f"text, video and sound must be of one batch size, not {sorted(batches)}"
                if batches
                else "text, video or sound must be given; null_conditions are those of nothing"
            )
        (batch,) = batches
        for name, drop in (("drop_text", drop_text), ("drop_video", drop_video)):
            if drop is not None and (drop.dtype != torch.bool or drop.shape != (batch,)):
                raise ValueError(
                    f"{name} must be bool of shape ({batch},), not {drop.dtype} {tuple(drop.shape)}"
                )
        nothing = self.null_conditions(batch, frames)
        return AudioConditions(
            text=nothing.text if text is None else self._read(text, drop_text),
            video=nothing.video if video is None else self._see(video, frames, drop_video),
            context=nothing.context if context is None else self._masked(context, frames),
        )

    def null_conditions(self, batch: int, frames: int) -> AudioConditions:
        """Conditions of samples without text, video and sound."""
        lengths_B = torch.ones(batch, dtype=torch.int64, device=self.no_text.device)
        config = self.config
        return AudioConditions(
            self._keys_and_values(self.no_text.expand(batch, 1, -1), lengths_B),
            self.no_text.new_zeros(batch, frames, config.width),
            self.no_text.new_zeros(batch, config.latent_channels, frames),
        )

    def forward(self, x: Tensor, t: Tensor, conditions: AudioConditions) -> Tensor:
        """Velocity of a noisy latent.

        Args:
            x: (B, C, T) noisy latent.
            t: (B,) times in [0, 1]: 0 is noise, 1 is data.
            conditions: of the same samples, in the same order, and of as many frames.

        Returns:
            (B, C, T).

        Raises:
            ValueError: x, t or the conditions are of other sizes.
        """
        self._check(x, t, conditions)
        joined_BTC = torch.cat([x, conditions.context.to(x.dtype)], dim=1).transpose(1, 2)
        x_BTD = self.frame_in(joined_BTC) + conditions.video
        rotation = rotations(x.shape[2], self.config.width // self.config.heads, x_BTD)
        time_BD = self.time_embedding(t)
        modulation_B6D = self.modulation(time_BD).unflatten(1, (MODULATIONS, -1))
        text = conditions.text
        for block, keys, values in zip(self.blocks, text.keys, text.values, strict=True):
            x_BTD = block(x_BTD, rotation, modulation_B6D, keys, values, text.key_lengths)
        shift_B1D, scale_B1D = self.final_modulation(time_BD)[:, None].chunk(2, dim=-1)
        out_BTC: Tensor = self.frame_out(modulated_norm(x_BTD, shift_B1D, scale_B1D))
        return out_BTC.transpose(1, 2)

    def _read(self, text: TextContext, drop_B: Tensor | None) -> PreparedConditions:
        spec = self.config.text_encoder
        if text.encoder != spec.name or text.embeddings.shape[2] != spec.width:
            raise ValueError(
                f"text must come from {spec.name}, {spec.width} wide, not from {text.encoder}, "
                f"{text.embeddings.shape[2]} wide"
            )
        # A prompt of no tokens is an absent one.
        absent_B = text.lengths == 0 if drop_B is None else drop_B | (text.lengths == 0)
        tokens_BLD = self.text(text.embeddings.to(self.text.weight.dtype))
        tokens_BLD = torch.where(absent_B[:, None, None], self.no_text, tokens_BLD)
        return self._keys_and_values(tokens_BLD, text.lengths.masked_fill(absent_B, 1))

    def _see(self, video: FrameFeatures, frames: int, drop_B: Tensor | None) -> Tensor:
        if video.values.shape[2] != self.config.video_width:
            raise ValueError(
                f"features of video frames must be {self.config.video_width} wide, "
                f"not {video.values.shape[2]}"
            )
        seen_BTE = video.resampled(frames, self.config.frame_rate)
        if self.sight is not None:
            seen_BTE = self.sight.watch(seen_BTE)
        added_BTD: Tensor = self.video(seen_BTE)
        return added_BTD if drop_B is None else added_BTD.masked_fill(drop_B[:, None, None], 0.0)

    def _masked(self, context: AudioContext, frames: int) -> Tensor:
        expected = (self.config.latent_channels, frames)
        if context.values.shape[1:] != expected:
            raise ValueError(
                f"given sound must have {expected[0]} channels of {expected[1]} frames, "
                f"not {context.values.shape[1]} of {context.values.shape[2]}"
            )
        return context.masked

    def _keys_and_values(self, tokens_BLD: Tensor, lengths_B: Tensor) -> PreparedConditions:
        pairs = [block.cross_attention.prepare(tokens_BLD) for block in cast(Iterable[Block], self.blocks)]
        keys, values = zip(*pairs, strict=True)
        return PreparedConditions(keys, values, lengths_B)

    def _check(self, x: Tensor, t: Tensor, conditions: AudioConditions) -> None:
        channels = self.config.latent_channels
        if x.ndim != 3 or x.shape[1] != channels or 0 in x.shape:
            raise ValueError(f"x must be a non-empty (B, {channels}, T) tensor, not {tuple(x.shape)}")
        batch = x.shape[0]
        if t.shape != (batch,) or not t.is_floating_point():
            raise ValueError(f"t must be floating point of shape ({batch},), not {t.dtype} {tuple(t.shape)}")
        if conditions.batch != batch or conditions.context.shape != x.shape:
            raise ValueError(
                f"conditions must be of {batch} samples of {x.shape[2]} frames, "
                f"not {conditions.batch} of {conditions.context.shape[2]}"
            )
