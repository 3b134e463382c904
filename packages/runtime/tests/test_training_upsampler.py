"""What a step of the upsampler's training learns from, what it starts from, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import moviegen_dit
import moviegen_tae
import numpy as np
import pytest
import torch
from moviegen_core import VideoClip
from moviegen_runtime.data.source import CaptionedClip
from moviegen_runtime.metrics import clip_psnr
from moviegen_runtime.pipelines.upsample import enlarged, reduced
from moviegen_runtime.training.build import load_initial, new_model, upsampler_config
from moviegen_runtime.training.clips import ClipBatch, collate_clips
from moviegen_runtime.training.recipe_file import validate_recipe
from moviegen_runtime.training.upsampler_module import UpsamplerModule
from moviegen_runtime.training.upsampler_recipe import UpsamplerRecipe
from moviegen_tae import FrameWise

TINY_TAE = moviegen_tae.TAEConfig(
    channels=(8, 8, 8, 8),
    encoder_blocks=(0, 0, 0, 0),
    decoder_blocks=(0, 0, 0, 0),
    latent_channels=4,
    norm_groups=4,
)
TINY: dict[str, Any] = {
    "width": 16,
    "layers": 1,
    "heads": 2,
    "mlp_width": 16,
    "latent_channels": 4,
    "text_encoders": [{"name": "minilm", "width": 8}],
    "positions": [4, 2, 2],
}
NOTHING = {"blur": [0, 0], "scale": [1, 1], "noise": [0, 0], "quality": [100, 100]}


class Noise:
    """Clips of coloured noise."""

    def __init__(self, size: int = 32, frames: int = 6) -> None:
        self.shape = (frames, size, size, 3)

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> CaptionedClip:
        random = np.random.default_rng(index)
        return CaptionedClip(random.integers(0, 255, self.shape, dtype=np.uint8), 8.0, "noise")


@pytest.fixture(scope="module")
def coder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights") / "tae"
    torch.manual_seed(0)
    moviegen_tae.save(moviegen_tae.TAE(TINY_TAE), folder)
    return folder


def recipe_of(coder: Path, **changes: Any) -> UpsamplerRecipe:
    content: dict[str, Any] = {
        "model": "upsampler",
        "preset": "miniature",
        "architecture": {**TINY, "condition_channels": 4},
        "tae": str(coder),
        "batch_size": 2,
        "steps": 10,
        "optimizer": {"lr": 1e-3},
        "frames": 4,
    }
    recipe = validate_recipe({**content, **changes}, "here")
    assert isinstance(recipe, UpsamplerRecipe)
    return recipe


def module(coder: Path, source: Noise | None = None, **changes: Any) -> UpsamplerModule:
    recipe = recipe_of(coder, **changes)
    torch.manual_seed(0)
    return UpsamplerModule(upsampler_config(recipe), recipe, source or Noise())


def batch() -> ClipBatch:
    return collate_clips(Noise())(range(2))


def places(coder: Path, shown: torch.Tensor, small: torch.Tensor) -> list[int]:
    """Where in the small clips the cut was taken that these latents are of."""
    frame_wise = FrameWise(moviegen_tae.from_pretrained(coder))
    large = enlarged(small, 2)
    with torch.no_grad():
        whole = frame_wise.encode(VideoClip(large, 8.0)).values
    length = shown.shape[2]
    return [
        t
        for t in range(whole.shape[2] - length + 1)
        if torch.allclose(whole[:, :, t : t + length], shown, atol=1e-4)
    ]


def test_both_latents_are_of_one_cut_coded_frame_by_frame(
    coder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, made = batch().clip(), module(coder, tae_artifacts=1)
    small = VideoClip(reduced(clip.frames, 2), clip.fps)
    monkeypatch.setattr(made, "_through_autoencoder", lambda *_: small)  # a new one makes all frames alike
    with torch.no_grad():
        whole = FrameWise(made.tae).encode(clip).values
    starts = set()
    for step in range(12):
        sharp, shown = made._latents(clip, step)
        assert sharp.shape == shown.shape == (2, 4, 4, 4, 4)
        found = places(coder, shown, small.frames)
        assert len(found) == 1
        torch.testing.assert_close(sharp, whole[:, :, found[0] : found[0] + 4], atol=1e-4, rtol=1e-4)
        starts.add(found[0])
    assert starts == {0, 1, 2}


@pytest.mark.parametrize("share", [0.0, 1.0, 0.5])
def test_the_small_version_is_degraded_or_comes_from_the_autoencoder(coder: Path, share: float) -> None:
    nothing = {"first": NOTHING, "second_share": 0}
    made = module(coder, tae_artifacts=share, degradation=nothing, frames=4)
    clip = batch().clip()
    with torch.no_grad():
        artifacts = made.tae.decode(made.tae.encode(VideoClip(reduced(clip.frames, 2), 8.0))).frames
        from_tae = made._shown(artifacts.clamp(-1, 1), 8.0)
    replaced = []
    for step in range(20):
        _, shown = made._latents(clip, step)
        for i in range(2):
            cuts = [from_tae[i, :, t : t + 4] for t in range(3)]
            replaced.append(any(torch.allclose(cut, shown[i], atol=1e-4) for cut in cuts))
    assert share - 0.25 <= np.mean(replaced) <= share + 0.25
    assert (np.mean(replaced) in (0, 1)) == (share in (0, 1))


def test_noise_on_the_latents_is_of_the_recipes_span_and_of_training_alone(coder: Path) -> None:
    made, clip = module(coder, artifact_noise=[0.2, 0.4]), batch().clip()
    latent = made.tae.encode(VideoClip(torch.zeros(2, 3, 16, 256, 256), 8.0))
    added = [
        made._disturbed(latent, made.noise(step, "artifact noise")).values - latent.values
        for step in range(40)
    ]
    deviations = torch.stack(added).flatten(2).std(dim=2)
    assert 0.17 < deviations.min() < 0.24
    assert 0.36 < deviations.max() < 0.43
    assert deviations.mean() == pytest.approx(0.3, abs=0.02)
    assert len({float(each) for each in deviations.flatten()}) == 80  # one for each clip
    plain, noisy = made._through_autoencoder(clip), made._through_autoencoder(clip, 3)
    assert torch.equal(plain.frames, module(coder)._through_autoencoder(clip, 3).frames)
    assert not torch.equal(plain.frames, noisy.frames)


def test_a_step_depends_on_its_number_alone_and_reaches_the_weights_that_are_used(coder: Path) -> None:
    made = module(coder, noise_draws=2)
    with torch.no_grad():
        for parameter in made.model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    losses = [made.loss(batch(), step)[0] for step in (3, 3, 4)]
    assert losses[0] == losses[1] != losses[2]
    losses[0].backward()
    unused = {
        name
        for name, p in made.model.named_parameters()
        if p.grad is None or p.grad.abs().max() < 1e-7 * made.model.dit.patch_out.weight.grad.abs().max()
    }
    # Without prompts there is one key, the absent prompt's: a softmax over it is 1 whatever it is.
    cross = "dit.blocks.0.cross_attention."
    assert unused == {
        "dit.prompts.0.projection.weight",
        "dit.prompts.0.norm.weight",
        "dit.prompts.0.norm.bias",
        *(cross + name for name in ("query.weight", "query_norm.weight", "key_norm.weight")),
    }


def test_the_frozen_autoencoder_is_not_among_what_is_trained_and_saved(coder: Path) -> None:
    made = module(coder)
    assert all(name.startswith(("model.dit.", "ema.")) for name in made.state_dict())
    assert not any(p.requires_grad for p in made.tae.parameters())


def test_it_starts_from_the_transformer_that_the_recipe_names(coder: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    base = moviegen_dit.VideoDiT(moviegen_dit.VideoDiTConfig.model_validate({**TINY, "positions": [2, 2, 2]}))
    moviegen_dit.save(base, tmp_path / "dit")
    made = module(coder, base=str(tmp_path / "dit"))
    made.prepare()
    for model in (made.model, made.ema.model):
        assert torch.equal(model.dit.patch_in.weight[:, :16], base.patch_in.weight)
        assert not model.dit.patch_in.weight[:, 16:].any()
    made.export(tmp_path / "up")
    again = module(coder)
    assert load_initial(again, tmp_path / "up") is None
    assert torch.equal(again.model.dit.patch_in.weight[:, :16], base.patch_in.weight.half().float())


def test_validation_tells_what_is_made_and_what_could_be(coder: Path, tmp_path: Path) -> None:
    plan = {"every_steps": 1, "data": {"source": "never"}, "num_clips": 3, "solver_steps": 2}
    made = module(coder)
    made.upsampler_recipe = recipe_of(coder, validation=plan)
    made.held_out = Noise()
    figures = made.validate(tmp_path / "preview.png")
    assert set(figures) == {"loss", "psnr", "bilinear_psnr", "coder_psnr"}
    assert figures == made.validate(tmp_path / "preview.png")
    assert (tmp_path / "preview.png").is_file()
    clip = collate_clips(Noise())(range(3)).clip()
    frame_wise = FrameWise(made.tae)
    with torch.no_grad():
        small = made.tae.decode(made.tae.encode(VideoClip(reduced(clip.frames, 2), 8.0))).frames
        coded = frame_wise.decode(frame_wise.encode(clip)).frames
    large = enlarged(small.clamp(-1, 1), 2)
    for name, given in (("bilinear_psnr", large), ("coder_psnr", coded)):
        wanted = clip_psnr(given[:, :, :4], clip.frames[:, :, :4]).mean()
        assert figures[name] == pytest.approx(float(wanted), abs=1e-3)


def test_a_recipe_builds_its_model(coder: Path) -> None:
    with torch.device("meta"):
        model = new_model(recipe_of(coder))
    assert isinstance(model, moviegen_dit.SpatialUpsampler)


@pytest.mark.parametrize(
    ("changes", "source", "sentence"),
    [
        ({"frames": 5}, Noise(), "cuts of 5 frames do not fit: the clips have 6 frames, .* window 4"),
        ({}, Noise(frames=3), "cuts of 4 frames do not fit: the clips have 3 frames"),
        ({}, Noise(size=24), "height of the clips must be a multiple of 16, not 24"),
        ({}, Noise(size=64), "latent height must be a multiple of 2 and at most 4, not 8"),
        (
            {"architecture": {**TINY, "latent_channels": 6, "condition_channels": 6}},
            Noise(),
            "makes 4 channels, the upsampler takes 6",
        ),
        ({"architecture": TINY}, Noise(), "condition_channels must be those of a latent, 4, not 16"),
        ({"tae": "nowhere"}, Noise(), "no weights at 'nowhere'"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_first_step(
    coder: Path, changes: dict[str, Any], source: Noise, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        module(coder, source, **changes)
