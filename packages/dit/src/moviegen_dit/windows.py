"""MultiDiffusion along time: one solver step of a long latent from those of windows that overlap (paper,
section 3.1.5 for video, 6 for sound; Bar-Tal et al. 2023).

Where windows overlap, the paper averages the latents of video at each denoising step, and the velocities of
sound. Ours are velocities for both, which is the same for a step that is linear in the velocity, as Euler's
is. The weights of video are not printed; those of sound are a triangle, which the paper prefers to uniform
ones. Both are triangles here: they rise in a straight line from a window's border to its inside.

Legend: B batch, C latent channels, T latent frames, N windows, L frames of a window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor

from moviegen_dit.sampling import VelocityFn

Blend = Literal["triangle", "uniform"]
"""Weights of a window's frames: rising from its borders, or all the same, for contrast."""


@dataclass(frozen=True)
class Windows:
    """How a latent is cut along time.

    Windows of one length, each `length - overlap` frames after the one before; the last one ends with the
    latent and so may overlap more. A latent that is no longer than a window is one.

    Args:
        frames: of the latent.
        length: of a window; 14 in the paper.
        overlap: of two neighbours, at least; 4 in the paper.
        blend: how frames that several windows have are averaged.

    Raises:
        ValueError: a length below 1, an overlap that is not below the window's length, or an unknown blend.
    """

    frames: int
    length: int = 14
    overlap: int = 4
    blend: Blend = "triangle"

    def __post_init__(self) -> None:
        if self.frames < 1 or self.length < 1:
            raise ValueError(f"frames and length must be at least 1, not {self.frames} and {self.length}")
        if not 0 <= self.overlap < self.length:
            raise ValueError(f"overlap must be from 0 to {self.length - 1}, not {self.overlap}")
        if self.blend not in get_args(Blend):
            raise ValueError(f"blend must be one of {', '.join(get_args(Blend))}, not {self.blend!r}")

    @property
    def starts(self) -> tuple[int, ...]:
        """First frame of each window."""
        last = max(self.frames - self.length, 0)
        return (*range(0, last, self.length - self.overlap), last)

    @property
    def spans(self) -> tuple[slice, ...]:
        """Frames of each window."""
        length = min(self.length, self.frames)
        return tuple(slice(start, start + length) for start in self.starts)

    def weights(self) -> Tensor:
        """(N, L) float64; at every frame of the latent those of all windows sum to 1."""
        length, last = min(self.length, self.frames), self.frames - 1
        rising = self.blend == "triangle"
        rows = []
        for start in self.starts:
            inside = torch.arange(1, length + 1, dtype=torch.float64)
            # Frames to the next border inside the latent: at the ends of the latent there is none.
            before = inside if start > 0 else torch.full_like(inside, torch.inf)
            after = inside.flip(0) if start + length - 1 < last else torch.full_like(inside, torch.inf)
            # Flat beyond the overlap: where a window is alone, it counts as 1 whatever its weight was.
            rows.append(torch.minimum(before, after).clamp(max=self.overlap + 1 if rising else 1))
        weights_NL = torch.stack(rows)
        total_T = torch.zeros(self.frames, dtype=torch.float64)
        for start, row_L in zip(self.starts, weights_NL, strict=True):
            total_T[start : start + length] += row_L
        places_NL = torch.tensor(self.starts)[:, None] + torch.arange(length)
        return weights_NL / total_T[places_NL]


class WindowVelocity(Protocol):
    """The velocity of some frames of a latent, which knows what else belongs to them."""

    def __call__(self, x: Tensor, t: Tensor, frames: slice) -> Tensor:
        """Velocity (B, C, L, ...) of states (B, C, L, ...) at times (B,); `frames` says which they are."""
        ...


def multidiffusion(velocity: WindowVelocity, windows: Windows) -> VelocityFn:
    """The velocity of a whole latent from that of its windows, which go through one after the other.

    With one window it is that window's velocity, bit for bit.

    Returns:
        A velocity of states (B, C, T, ...), for `integrate`: of video (B, C, T, H, W), of sound (B, C, T).
    """
    spans = windows.spans
    weights_NL = windows.weights()

    def averaged(x: Tensor, t: Tensor) -> Tensor:
        if x.shape[2] != windows.frames:
            raise ValueError(f"these windows cut {windows.frames} latent frames, not {x.shape[2]}")
        if len(spans) == 1:
            return velocity(x, t, spans[0])
        total = torch.zeros_like(x)
        for span, weights_L in zip(spans, weights_NL.to(x), strict=True):
            weights = weights_L.reshape(-1, *[1] * (x.ndim - 3))
            total[:, :, span] += weights * velocity(x[:, :, span], t, span)
        return total

    return averaged
