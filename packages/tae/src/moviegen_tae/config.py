"""Architecture of the temporal autoencoder and its presets (paper, section 3.1.1)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from moviegen_core import ArchConfig, Stride
from pydantic import Field, model_validator

_Width = Annotated[int, Field(ge=1, le=4096)]
_Blocks = Annotated[int, Field(ge=0, le=16)]

LEVELS = 4
"""Resolutions of the encoder; between two of them time is halved, so 2^3 = 8 times in all (paper, 3.1.1)."""


class TAEConfig(ArchConfig):
    """Sizes of a temporal autoencoder that compresses 8 times along time, rows and columns.

    Args:
        channels: width of each of the four levels, from pixels to latent.
        encoder_blocks: residual blocks of each level in the encoder.
        decoder_blocks: residual blocks of each level in the decoder, listed from pixels to latent as well.
        latent_channels: channels of the latent (16 in the paper).
        patch_size: side of the squares of pixels that are folded into channels up front. 1 in the paper;
            2 or 4 take the place of one or two spatial halvings, for speed on a CPU.
        norm_groups: groups of every group norm; must divide every width.
        resampling_shortcuts: whether a path without parameters runs around every change of resolution (DC-AE,
            arXiv 2410.10733). False in the paper; it trains in fewer steps. Of two neighbouring widths, one
            must then divide what the other folds or unfolds to.
        width_changes_in: where one level's width becomes the next one's: in the convolution that changes the
            resolution, or in the first residual block after it, which must then be there. The second is the
            latent-diffusion autoencoder's way.
        latent_projection: whether a 1x1 convolution stands before the decoder, as in the latent-diffusion
            autoencoders that have `post_quant_conv`. Its bias could not be folded into the 3x3 convolution
            that follows, whose padding is 0 and not that bias.
        linear_code: whether a linear code of blocks of 8 x 8 x 8 pixels runs beside encoder and decoder,
            which then only add what it misses. False in the paper; a training that starts from the
            principal components of its clips saves the time that the network needs to find them.
    """

    channels: tuple[_Width, _Width, _Width, _Width]
    encoder_blocks: tuple[_Blocks, _Blocks, _Blocks, _Blocks]
    decoder_blocks: tuple[_Blocks, _Blocks, _Blocks, _Blocks]
    latent_channels: int = Field(default=16, ge=1, le=256)
    patch_size: Literal[1, 2, 4] = 1
    norm_groups: int = Field(default=32, ge=1, le=256)
    resampling_shortcuts: bool = False
    width_changes_in: Literal["resampling", "blocks"] = "resampling"
    latent_projection: bool = False
    linear_code: bool = False

    @model_validator(mode="after")
    def _groups_divide_widths(self) -> Self:
        odd = [width for width in self.channels if width % self.norm_groups]
        if odd:
            raise ValueError(
                f"norm_groups must divide every width: {self.norm_groups} does not divide {odd[0]}"
            )
        return self

    @model_validator(mode="after")
    def _shortcuts_fit_widths(self) -> Self:
        for shallow, deep, halved in zip(
            self.channels, self.channels[1:], self.spatial_halvings, strict=False
        ):
            folded = shallow * (8 if halved else 2)
            changes = self.width_changes_in == "resampling"
            if self.resampling_shortcuts and changes and folded % deep:
                raise ValueError(
                    f"with resampling_shortcuts a width must divide what the one before folds to: "
                    f"{deep} does not divide {folded}"
                )
        return self

    @model_validator(mode="after")
    def _blocks_are_there_to_change_widths(self) -> Self:
        if self.width_changes_in == "blocks":
            for shallow, deep, encoding, decoding in zip(
                self.channels, self.channels[1:], self.encoder_blocks[1:], self.decoder_blocks, strict=False
            ):
                if shallow != deep and not (encoding and decoding):
                    raise ValueError(
                        f"with width_changes_in blocks, a level needs a residual block to change its width "
                        f"in: none goes from {shallow} to {deep} and back"
                    )
        return self

    @property
    def stride(self) -> Stride:
        """Clip positions per latent position."""
        return Stride(8, 8, 8)

    @property
    def spatial_halvings(self) -> tuple[bool, bool, bool]:
        """Whether rows and columns are halved between each level and the next, besides time.

        The early ones are: the fewer positions the wide levels have, the less they cost. Our choice; with
        patch_size 1, where all three are, there is nothing to choose.
        """
        halvings = {1: 3, 2: 2, 4: 1}[self.patch_size]
        return (True, halvings > 1, halvings > 2)


_PRESETS = {
    # The latent-diffusion image autoencoder that the paper starts from; its sizes are not printed there.
    "paper": TAEConfig(
        channels=(128, 256, 512, 512),
        encoder_blocks=(2, 2, 2, 2),
        decoder_blocks=(3, 3, 3, 3),
        width_changes_in="blocks",
    ),
    # Ours: 4 GFLOP for a clip of 16 x 64 x 64 there and back, so that two CPU cores train it in hours.
    "miniature": TAEConfig(
        channels=(16, 64, 128, 128),
        encoder_blocks=(0, 1, 2, 0),
        decoder_blocks=(2, 3, 3, 0),
        patch_size=2,
        norm_groups=8,
        resampling_shortcuts=True,
    ),
    # Ours: for real and animated films of any kind, at 20 MB; two CPU cores train it in an evening.
    "clips": TAEConfig(
        channels=(24, 96, 192, 192),
        encoder_blocks=(0, 1, 2, 0),
        decoder_blocks=(1, 2, 2, 0),
        patch_size=2,
        norm_groups=8,
        resampling_shortcuts=True,
        linear_code=True,
    ),
}


def preset(name: str) -> TAEConfig:
    """The architecture of a published or shipped model.

    Raises:
        ValueError: there is no preset of that name.
    """
    if name not in _PRESETS:
        raise ValueError(f"no autoencoder preset is called {name!r}; there are {', '.join(_PRESETS)}")
    return _PRESETS[name]
