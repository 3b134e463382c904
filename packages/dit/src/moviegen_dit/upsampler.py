"""The spatial upsampler: latents of a sharp video from those of a blurred one (paper, section 3.1.5, Fig. 7).

Both videos are coded frame by frame, and the blurred one was enlarged to its final size before. Whether the
paper's upsampler reads a prompt is not printed: ours can, and `null_conditions` let it do without.

Legend: B batch, C latent channels, T H W latent frames, rows, columns, D width, P values of a token.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from moviegen_core import AttentionFn, TextContext, VideoShape
from torch import Tensor, nn

from moviegen_dit.attention import sdpa_attention
from moviegen_dit.conditions import PreparedConditions
from moviegen_dit.config import UpsamplerConfig, VideoDiTConfig
from moviegen_dit.growth import grow_positions
from moviegen_dit.model import VideoDiT

_INPUT = "patch_in.weight"


class SpatialUpsampler(nn.Module):
    """A `VideoDiT` whose input is the noisy latent and, channel by channel behind it, the enlarged video's.

    The weights of what is added start at zero, so at first it is the transformer without it.

    Args:
        config: sizes.
        attention: used by every layer, for self-attention and cross-attention.
    """

    def __init__(self, config: UpsamplerConfig, attention: AttentionFn = sdpa_attention) -> None:
        super().__init__()
        self.config = config
        self.dit = VideoDiT(config, attention)

    def prepare(self, contexts: Sequence[TextContext], drop: Tensor | None = None) -> PreparedConditions:
        """Project the prompts; see `VideoDiT.prepare`."""
        return self.dit.prepare(contexts, drop)

    def null_conditions(self, batch: int) -> PreparedConditions:
        """Conditions of samples without a prompt."""
        return self.dit.null_conditions(batch)

    def placed(self, conditions: PreparedConditions, latent: VideoShape) -> PreparedConditions:
        """Conditions that also hold the positions of latents of one size; see `VideoDiT.placed`."""
        return self.dit.placed(conditions, latent)

    def forward(self, x: Tensor, enlarged: Tensor, t: Tensor, conditions: PreparedConditions) -> Tensor:
        """Velocity of a noisy latent.

        Args:
            x: (B, C, T, H, W) noisy latent of the sharp video.
            enlarged: (B, C, T, H, W) latent of the blurred one, of its final size.
            t: (B,) times in [0, 1]: 0 is noise, 1 is data.
            conditions: of the same samples, in the same order.

        Returns:
            (B, C, T, H, W).

        Raises:
            ValueError: the latents differ in shape, or do not fit patches, position tables or batch.
        """
        if enlarged.shape != x.shape:
            raise ValueError(
                f"the enlarged video's latent must have the shape of the noisy one, {tuple(x.shape)}, "
                f"not {tuple(enlarged.shape)}"
            )
        velocity: Tensor = self.dit(torch.cat([x, enlarged], dim=1), t, conditions)
        return velocity


def upsampler_state(base: VideoDiT, config: UpsamplerConfig) -> dict[str, Tensor]:
    """The state of an upsampler that is a trained text-to-image or text-to-video transformer.

    Input weights of the enlarged video are zero; position tables that are too short are grown, those along
    time that are too long are cut, for a window is shorter than a video.

    Raises:
        ValueError: the two differ in more than that.
    """
    if not _same_but_input(base.config, config):
        raise ValueError(
            "an upsampler starts from a transformer that differs from it in positions and condition_channels "
            "only"
        )
    state = base.state_dict()
    frames = config.positions[0]
    if len(state["frame_positions"]) > frames:
        state["frame_positions"] = state["frame_positions"][:frames]
    state = grow_positions(state, config.positions)
    added = config.input_channels // config.latent_channels - 1
    state[_INPUT] = F.pad(state[_INPUT], (0, added * config.patch_channels))
    return {f"dit.{name}": tensor for name, tensor in state.items()}


def _same_but_input(base: VideoDiTConfig, config: UpsamplerConfig) -> bool:
    own = config.model_dump(exclude={"factor"})
    given = {"positions": base.positions, "condition_channels": base.condition_channels}
    return base.condition_channels == 0 and base.model_dump() == own | given
