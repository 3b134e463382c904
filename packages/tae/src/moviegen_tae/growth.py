"""A deeper decoder out of a trained one, which it equals until it is trained on (our choice)."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from moviegen_tae.config import TAEConfig
from moviegen_tae.layers import ResBlock
from moviegen_tae.model import TAE


@torch.no_grad()
def deepen_decoder(model: TAE, decoder_blocks: tuple[int, int, int, int]) -> TAE:
    """The same autoencoder with more residual blocks in its decoder, the new ones at the end of each level.

    A new block begins as the identity: its second convolution along time is zero, so it adds nothing. Encoder
    and statistics are kept, so that latents fit both models.

    Args:
        model: it is not changed.
        decoder_blocks: of each level from pixels to latent, as in `TAEConfig`; nowhere fewer than there are.

    Returns:
        A new model in training mode with the weights' device and dtype.

    Raises:
        ValueError: a level would lose a block, or have more than a `TAEConfig` may.
    """
    has = model.config.decoder_blocks
    if any(asked < there for asked, there in zip(decoder_blocks, has, strict=True)):
        raise ValueError(
            f"a decoder can only become deeper: it has {has} blocks, and was to have {decoder_blocks}"
        )
    config = TAEConfig.model_validate({**model.config.model_dump(), "decoder_blocks": decoder_blocks})
    like = next(model.parameters())
    deeper = TAE(config).to(like.device, like.dtype)
    deeper.load_state_dict(deeper.state_dict() | model.state_dict())  # what is new stays as it is initialised
    for level, there in zip(deeper.decoder.levels, has, strict=True):
        for block in list(cast(nn.ModuleList, level.blocks))[there:]:
            nn.init.zeros_(cast(ResBlock, block).conv2.temporal.weight)
    return deeper
