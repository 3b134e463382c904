"""Features of single pictures by a CLIP's picture tower: what the paper's audio model sees (section 6.1).

The paper takes Long-prompt MetaCLIP, 1,024 values a frame, and does not say which values. Here they are the
picture's embedding, projected as CLIP compares it with text (our choice): MetaCLIP H/14 gives 1,024.

Legend: F pictures, H rows, W columns, E width of their features.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from moviegen_runtime.pretrained import CONFIG_FILE, locate_published, precision_on

# Of red, green and blue in [0, 1]: what every CLIP subtracts and divides by, MetaCLIP too (arXiv 2103.00020).
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)
# Pictures read at once.
_MAX_BATCH = 32
# What transformers takes where a published config says nothing.
_DEFAULTS = {"image_size": 224, "projection_dim": 512}


class ClipSight:
    """A frozen encoder of pictures: a `FrozenSight` of cached sounds, and a `FrameEncoder` of films.

    Args:
        source: folder with config.json and safetensors of a whole CLIP or of its picture tower with the
            projection, or a Hub id.
        device: where it runs; in bfloat16 where the device computes with it, else in float32.

    Raises:
        ValueError: transformers is not installed, a file is missing or damaged, or it is no CLIP.
    """

    def __init__(self, source: Path | str, device: str = "cpu") -> None:
        folder = locate_published(source, "the picture encoder", [CONFIG_FILE])
        sizes = {**_DEFAULTS, **folder.config("clip", "vision")}
        side = folder.size(sizes, "image_size")
        self.width = folder.size(sizes, "projection_dim")
        self.size = (side, side)
        self.weights_hash = folder.hash
        self.device, self.precision = device, precision_on(device)

        from transformers import CLIPVisionModelWithProjection

        # The tower alone does not look where a whole CLIP says it.
        model = folder.load(CLIPVisionModelWithProjection, self.precision, projection_dim=self.width)
        self._model = model.to(device)
        self._mean, self._std = (torch.tensor(one, device=device)[:, None, None] for one in (_MEAN, _STD))

    @torch.inference_mode()
    def encode(self, pictures: Tensor) -> Tensor:
        """Features (F, E) in float32 on the CPU of pictures (F, 3, H, W) in [-1, 1].

        Raises:
            ValueError: pictures of another size.
        """
        if pictures.ndim != 4 or pictures.shape[1:] != (3, *self.size):
            raise ValueError(
                f"pictures must be (F, 3, {self.size[0]}, {self.size[1]}), not {tuple(pictures.shape)}"
            )
        return torch.cat([self._read(some) for some in torch.split(pictures, _MAX_BATCH)])

    def _read(self, pictures: Tensor) -> Tensor:
        shares = pictures.to(self.device, torch.float32).add(1).div(2)
        pixels = shares.sub(self._mean).div(self._std).to(getattr(torch, self.precision))
        features_FE: Tensor = self._model(pixel_values=pixels).image_embeds
        return features_FE.to("cpu", torch.float32)
