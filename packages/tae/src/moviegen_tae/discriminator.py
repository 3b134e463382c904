"""The discriminator that an autoencoder is trained against, and what it adds to the loss (section 3.1.1).

The paper says that there is a discriminator loss and nothing more. This is the latent-diffusion one: a
convolutional network that gives one verdict a patch (PatchGAN, Isola et al. 2017) on single frames, trained
by the hinge loss; the decoder's share in it is scaled by the ratio of two gradients at the decoder's last
layer (VQGAN, Esser et al. 2021).

Two things are ours. Group norm stands in place of batch norm, so that a verdict depends on its frame alone
and there are no running statistics to be saved. And both players move at once, on the gradients of one step,
where the published code moves the autoencoder first and then looks at its frames again.

Legend: N frames, C channels, H rows, W columns.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SLOPE = 0.2  # of the leaky rectifiers
_MAX_WIDENING = 8
_MAX_ADAPTIVE_WEIGHT = 1e4


class PatchDiscriminator(nn.Module):
    """Verdicts over the patches of frames: high for real ones, low for reconstructed ones.

    Args:
        channels: width after the first convolution; doubled by each further one, up to 8 times.
        layers: convolutions of stride 2; with 3 a verdict sees 70 x 70 pixels.
    """

    def __init__(self, channels: int = 64, layers: int = 3) -> None:
        super().__init__()
        widths = [channels * min(2**i, _MAX_WIDENING) for i in range(layers + 1)]
        modules: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, 2, 1), nn.LeakyReLU(_SLOPE)]
        for i in range(1, layers + 1):
            stride = 2 if i < layers else 1
            modules += [
                # The norm has a bias of its own.
                nn.Conv2d(widths[i - 1], widths[i], 4, stride, 1, bias=False),
                nn.GroupNorm(math.gcd(32, widths[i]), widths[i]),
                nn.LeakyReLU(_SLOPE),
            ]
        modules.append(nn.Conv2d(widths[-1], 1, 4, 1, 1))
        self.layers = nn.Sequential(*modules)
        self.smallest_side = 3 * 2**layers
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, 0.02)  # as PatchGAN starts

    def forward(self, frames_NCHW: Tensor) -> Tensor:
        """(N, 1, h, w) verdicts of frames (N, 3, H, W) in nominal [-1, 1].

        Raises:
            ValueError: the frames are too small for a single verdict.
        """
        if min(frames_NCHW.shape[2:]) < self.smallest_side:
            raise ValueError(
                f"frames of {frames_NCHW.shape[2]} x {frames_NCHW.shape[3]} are too small for this "
                f"discriminator: it needs {self.smallest_side} rows and columns, or fewer layers"
            )
        verdicts: Tensor = self.layers(frames_NCHW)
        return verdicts


def hinge_loss(real: Tensor, fake: Tensor) -> Tensor:
    """What the discriminator minimises: half of mean(max(0, 1 - real)) + mean(max(0, 1 + fake))."""
    return 0.5 * (F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean())


def adaptive_weight(others: Tensor, adversarial: Tensor, last_layer: Tensor) -> Tensor:
    """How often the adversarial gradient fits into that of the other terms, at the decoder's last layer.

    Args:
        others: scalar loss of the other terms; those that do not depend on the decoder have no part in it.
        adversarial: scalar loss of the decoder against the discriminator.
        last_layer: weight of the decoder's last layer.

    Returns:
        Scalar without a gradient in [0, 1e4]: |d others| / (|d adversarial| + 1e-4).
    """
    (ours,) = torch.autograd.grad(others, last_layer, retain_graph=True)
    (theirs,) = torch.autograd.grad(adversarial, last_layer, retain_graph=True)
    norms = [torch.linalg.vector_norm(gradient) for gradient in (ours, theirs)]
    weight: Tensor = (norms[0] / (norms[1] + 1e-4)).clamp(0.0, _MAX_ADAPTIVE_WEIGHT)
    return weight
