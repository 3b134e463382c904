"""Longer position tables, and smaller patches, from learned ones (paper, section 3.2.2, and our own choice).

The paper doubles the spatial tables for other aspect ratios, grows them threefold with the resolution and
adds a temporal table for 32 latent frames; how the new rows come from the old it does not say. Ours is linear
interpolation between patch centres: when the same picture is cut into k times as many patches, each new row
is what the old table says at the centre of the new patch. So with an odd k every old row is still there, as
row k * i + (k - 1) / 2. Half a patch at either end is continued in a straight line, hence a linear table
stays linear.

Legend: L old length, M new length, D width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from einops import reduce
from torch import Tensor

POSITION_TABLES = ("frame_positions", "row_positions", "column_positions")
"""Names of the tables in the state of a `VideoDiT`, in the order of `VideoDiTConfig.positions`."""


def grow_positions(state: Mapping[str, Tensor], positions: tuple[int, int, int]) -> dict[str, Tensor]:
    """The state of a `VideoDiT` with longer position tables, and every other tensor as it is.

    Args:
        state: of the smaller model, as `state_dict` gives it; it is not changed.
        positions: lengths of the new tables (frames, rows, columns), each at least the old one.

    Returns:
        A state for the same architecture with these `positions`. Gradients flow through it to `state`.

    Raises:
        ValueError: a table is not there, or would become shorter.
    """
    grown = dict(state)
    for name, length in zip(POSITION_TABLES, positions, strict=True):
        if name not in state:
            raise ValueError(f"a video transformer's state has the table {name!r}, and this one has not")
        if length < len(state[name]):
            raise ValueError(f"{name} has {len(state[name])} rows and can only grow, not to {length}")
        grown[name] = _stretched(state[name], length)
    return grown


def split_patches(state: Mapping[str, Tensor], patch: tuple[int, int, int]) -> dict[str, Tensor]:
    """The state of a `VideoDiT` whose tokens are single latent values in space and time (patch 1 x 1 x 1).

    A value is read as a patch filled with it was, and what is said of it is the mean of what was said of a
    patch; it stands where its part of the patch did (tables are stretched as by `grow_positions`). So the
    new model begins near the old one, and each token has a part of what a patch had to tell. Our own choice.

    Args:
        state: of the model with larger patches, as `state_dict` gives it; it is not changed.
        patch: of that model.

    Returns:
        A state for the same architecture with patch (1, 1, 1), whose position tables are `patch` times as
        long. Gradients flow through it to `state`.
    """
    volume = math.prod(patch)
    split = dict(state)
    # A patch runs over its channels first (`patchify`).
    split["patch_in.weight"] = reduce(state["patch_in.weight"], "D (C p) -> D C", "sum", p=volume)
    split["patch_out.weight"] = reduce(state["patch_out.weight"], "(C p) D -> C D", "mean", p=volume)
    for name, side in zip(POSITION_TABLES, patch, strict=True):
        split[name] = _stretched(state[name], len(state[name]) * side)
    return split


def _stretched(table_LD: Tensor, length: int) -> Tensor:
    """(M, D) rows at the centres of M patches where L were; one row alone is repeated."""
    old = len(table_LD)
    if length == old:
        return table_LD
    if old == 1:
        return table_LD.expand(length, -1).clone()
    centres_M = (torch.arange(length, dtype=torch.float64) + 0.5) * (old / length) - 0.5
    below_M = centres_M.floor().clamp(0, old - 2)
    # Outside [0, 1] at the ends: the straight line through the last two rows goes on.
    share_M1 = (centres_M - below_M)[:, None].to(table_LD)
    below_M = below_M.long().to(table_LD.device)
    return torch.lerp(table_LD[below_M], table_LD[below_M + 1], share_M1)
