"""The count of peak memory against what was alive in real runs, and what PyTorch's profiler saw allocated."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from moviegen_core import VideoClip, VideoShape
from moviegen_tae import TAE, TAEConfig, Tiling, decode_tiled, encode_tiled, pieces, preset
from moviegen_tae.memory import AllocationCounter, _peak
from torch.profiler import ProfilerActivity, profile

PLAIN = TAEConfig(
    channels=(16, 16, 32, 32),
    encoder_blocks=(0, 1, 1, 0),
    decoder_blocks=(1, 1, 0, 1),
    latent_channels=4,
    patch_size=2,
    norm_groups=8,
)
WITH_SHORTCUTS = PLAIN.model_copy(update={"resampling_shortcuts": True})
LATENT_DIFFUSION = TAEConfig(
    channels=(8, 16, 16, 24),
    encoder_blocks=(1, 1, 1, 1),
    decoder_blocks=(1, 1, 1, 1),
    latent_channels=4,
    norm_groups=8,
    width_changes_in="blocks",
)
SMALL_PIECES = 2**14
"""So that these clips have many, as real ones do."""


def alive(tae: TAE, run: Callable[[], object], given: torch.Tensor) -> int:
    """Most bytes of real tensors that were alive at once."""
    with AllocationCounter([given, *tae.parameters(), *tae.buffers()]) as counter:
        run()
    return counter.peak


def allocated(run: Callable[[], object]) -> int:
    """Most bytes that were allocated at once, whoever asked for them."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    assert profiler.profiler is not None
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    total = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        total += event.nbytes()
        peak = max(peak, total)
    return peak


@pytest.mark.parametrize("config", [PLAIN, WITH_SHORTCUTS, LATENT_DIFFUSION])
@pytest.mark.parametrize(
    ("tiling", "shape"),
    [
        (Tiling(frames=8), VideoShape(24, 32, 48)),
        (Tiling(frames=8), VideoShape(1, 64, 64)),
        (Tiling(), VideoShape(72, 32, 32)),
        (Tiling(side=4), VideoShape(72, 64, 48)),
    ],
)
def test_the_count_is_what_was_allocated(
    config: TAEConfig, tiling: Tiling, shape: VideoShape, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There and back, whole and in tiles, from an image to more pieces than a level holds."""
    monkeypatch.setattr(pieces, "_VALUES_ON_CPU", SMALL_PIECES)
    _peak.cache_clear()
    tae = TAE(config).eval()
    clip = VideoClip(torch.randn(1, 3, shape.frames, shape.height, shape.width), 8.0)
    latent = encode_tiled(tae, clip, tiling)
    handed_out = 4 * latent.values.numel()
    encoding = alive(tae, lambda: encode_tiled(tae, clip, tiling), clip.frames) - handed_out
    assert tiling.encode_peak_bytes(tae, shape) == pytest.approx(encoding, rel=0.15)
    decoding = alive(tae, lambda: decode_tiled(tae, latent, tiling), latent.values)
    if latent.shape.frames > tiling.frames:  # else what is handed out is the tile, which is counted
        decoding -= 4 * clip.frames.numel()
    assert tiling.decode_peak_bytes(tae, shape) == pytest.approx(decoding, rel=0.15)


def test_the_profiler_sees_the_same() -> None:
    """Of a clip that is large enough for operators not to fall back to those that copy what they read."""
    tae, shape = TAE(preset("miniature")).eval(), VideoShape(24, 128, 128)
    clip = VideoClip(torch.randn(1, 3, shape.frames, shape.height, shape.width), 8.0)
    with torch.no_grad():
        latent = tae.encode(clip)
        encoding, decoding = allocated(lambda: tae.encode(clip)), allocated(lambda: tae.decode(latent))
    whole = Tiling(frames=8)
    assert whole.encode_peak_bytes(tae, shape) == pytest.approx(encoding, rel=0.15)
    assert whole.decode_peak_bytes(tae, shape) == pytest.approx(decoding, rel=0.15)


def test_a_device_goes_by_its_own_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is allocated for the count, so it can be made for a device that is not there."""
    monkeypatch.setattr(pieces, "_VALUES_ON_CPU", SMALL_PIECES)
    _peak.cache_clear()
    shape = VideoShape(64, 64, 64)
    on_cpu, elsewhere = (_peak(PLAIN, shape, True, torch.float32, kind) for kind in ("cpu", "cuda"))
    assert elsewhere > 2 * on_cpu
