"""What the video transformer is trained on (paper, equation 2)."""

from __future__ import annotations

from torch import Tensor


def flow_matching_loss(velocity: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of the predicted velocity, over everything, in float32 or wider.

    Raises:
        ValueError: the shapes differ.
    """
    if velocity.shape != target.shape:
        raise ValueError(f"velocity {tuple(velocity.shape)} and target {tuple(target.shape)} must agree")
    error = velocity - target
    return (error if error.itemsize > 2 else error.float()).square().mean()
