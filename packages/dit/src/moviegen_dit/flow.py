"""Flow matching with the optimal-transport path (paper, section 3.1.2).

Time runs from 0, noise, to 1, data.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class FlowSample:
    """What one training step needs.

    Args:
        x_t: (B, ...) points on the path.
        t: (B,) their times.
        target: (B, ...) velocities there.
    """

    x_t: Tensor
    t: Tensor
    target: Tensor


@dataclass(frozen=True)
class FlowPath:
    """Straight line from noise X_0 to data X_1, which ends in noise of deviation `sigma_min` around the data.

    Raises:
        ValueError: sigma_min outside [0, 1).
    """

    sigma_min: float = 1e-5

    def __post_init__(self) -> None:
        if not 0 <= self.sigma_min < 1:
            raise ValueError(f"sigma_min must be in [0, 1), not {self.sigma_min}")

    def interpolate(self, x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
        """X_t = t X_1 + (1 - (1 - sigma_min) t) X_0, for times t (B,)."""
        t = t.reshape(-1, *[1] * (x_1.ndim - 1))
        return t * x_1 + (1 - (1 - self.sigma_min) * t) * x_0

    def velocity(self, x_0: Tensor, x_1: Tensor) -> Tensor:
        """dX_t/dt = X_1 - (1 - sigma_min) X_0, the same at every time."""
        return x_1 - (1 - self.sigma_min) * x_0

    def draw(self, x_1: Tensor, generator: torch.Generator) -> FlowSample:
        """Draw noise and logit-normal times for data x_1 (B, ...).

        Both are drawn on the generator's device and moved, so they depend on the generator alone.
        """
        device = generator.device
        t = logit_normal(x_1.shape[0], generator).to(x_1.device, x_1.dtype)
        x_0 = torch.randn(x_1.shape, generator=generator, device=device, dtype=torch.float32)
        x_0 = x_0.to(x_1.device, x_1.dtype)
        return FlowSample(self.interpolate(x_0, x_1, t), t, self.velocity(x_0, x_1))


def logit_normal(count: int, generator: torch.Generator) -> Tensor:
    """(count,) float32 times in (0, 1) whose logit is normal with mean 0 and deviation 1."""
    return torch.randn(count, generator=generator, device=generator.device, dtype=torch.float32).sigmoid()
