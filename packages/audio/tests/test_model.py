"""The audio transformer: its sizes, what it does not and must depend on, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from moviegen_audio import (
    AudioContext,
    AudioDiT,
    AudioDiTConfig,
    FrameFeatures,
    dit_preset,
    load_dit,
    sample,
    save_dit,
)
from moviegen_audio.layers import HeadNorm, modulated_norm, rotated, rotations
from moviegen_core import TextContext
from moviegen_dit import FlowPath, TextEncoderSpec, classifier_free_guidance, flow_matching_loss
from moviegen_dit.backends import reference_attention
from pydantic import ValidationError
from torch import Tensor, nn

CONFIG = AudioDiTConfig(
    width=24,
    layers=2,
    heads=2,
    mlp_width=40,
    text_encoder=TextEncoderSpec(name="t5", width=6),
    video_width=5,
    latent_channels=3,
)
FRAMES = 10


@pytest.fixture
def model() -> AudioDiT:
    """In float64, with every parameter that starts at zero moved away from it."""
    torch.manual_seed(0)
    made = AudioDiT(CONFIG).double()
    with torch.no_grad():
        for parameter in made.parameters():
            if not parameter.any():
                parameter.normal_(std=0.2)
    return made


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def noisy(batch: int = 2) -> tuple[Tensor, Tensor]:
    return noise(batch, 3, FRAMES, seed=7), torch.linspace(0.2, 0.7, batch, dtype=torch.float64)


def text(*lengths: int, padding: int = 0) -> TextContext:
    longest = max(*lengths, 1) + padding
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    states = torch.stack([noise(20, 6, seed=sample)[:longest] for sample in range(len(lengths))])
    return TextContext(states.masked_fill(~mask[..., None], 1e3), mask, "t5")


def video(batch: int = 2) -> FrameFeatures:
    return FrameFeatures(noise(batch, 4, 5), fps=8.0)


def context(batch: int = 2) -> AudioContext:
    return AudioContext(noise(batch, 3, FRAMES, seed=3), torch.arange(FRAMES).expand(batch, -1) < 4)


@pytest.mark.parametrize(
    ("name", "parameters", "nominal"),
    [
        ("13b", 12_436_148_864, 13e9),
        ("3b", 3_002_641_024, 3e9),
        ("300m", 314_294_400, 0.3e9),
        ("miniature", 5_082_566, 5e6),
    ],
)
def test_presets_have_the_size_in_their_name(name: str, parameters: int, nominal: float) -> None:
    """Against a count by hand, and against the paper's size, which leaves encoders and codec out."""
    config = dit_preset(name)
    with torch.device("meta"):
        model = AudioDiT(config)
    counted = sum(parameter.numel() for parameter in model.parameters())
    d, m, k = config.width, config.mlp_width, config.width // config.heads
    attentions = 2 * (4 * d * d + 4 * d + 2 * k)
    blocks = config.layers * (attentions + 2 * d * m + m + d + 6 * d)
    c, text_width, v = config.latent_channels, config.text_encoder.width, config.video_width
    ends = (2 * c * d + d) + (d * c + c) + (text_width * d + d) + d
    ends += (v * d + d) + 3 * d
    if config.sight is not None:
        widths = (3, *config.sight.channels)
        ends += sum(9 * a * b + 3 * b for a, b in pairwise(widths))
        ends += sum(9 * a * a + 3 * a for a in config.sight.channels)
        ends += widths[-1] * (config.sight.side // 2 ** (len(widths) - 1)) ** 2 * v + v
        ends += (config.sight.frames * v + 1) * 2 * v + 2 * 2 * v + (2 * v + 1) * v
        ends += (v + 1) * (1 + config.sight.bands)
    time = (256 * d + d) + (d * d + d) + 6 * (d * d + d) + 2 * (d * d + d)
    print(f"{name}: {counted:,} parameters, {counted / nominal:.3f} of {nominal:,.0f}")
    assert counted == blocks + ends + time == parameters
    assert 0.93 < counted / nominal < 1.07


def test_the_13b_is_that_of_section_6() -> None:
    config = dit_preset("13b")
    assert (config.layers, config.width, config.mlp_width) == (36, 4608, 18432)
    assert (config.latent_channels, config.video_width, config.text_encoder.width) == (128, 1024, 768)
    assert config.frame_rate == 25


def test_an_untrained_model_says_velocity_zero() -> None:
    model = AudioDiT(CONFIG).double()
    assert not model(*noisy(), model.prepare(FRAMES, text=text(3, 1), video=video(), context=context())).any()


def test_gradients_reach_every_parameter(model: AudioDiT) -> None:
    drop = torch.tensor([True, False])
    conditions = model.prepare(FRAMES, text=text(3, 2), video=video(), context=context(), drop_text=drop)
    model(*noisy(), conditions).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_padding_of_the_text_changes_nothing(model: AudioDiT) -> None:
    plain, padded = (model(*noisy(), model.prepare(FRAMES, text=text(3, 1, padding=p))) for p in (0, 5))
    torch.testing.assert_close(padded, plain, rtol=1e-12, atol=1e-12)


def test_a_sample_does_not_depend_on_its_neighbours(model: AudioDiT) -> None:
    x, t = noisy()
    words, seen, heard = text(3, 1), video(), context()
    together = model(x, t, model.prepare(FRAMES, text=words, video=seen, context=heard))
    for i in range(2):
        one = slice(i, i + 1)
        length = int(words.lengths[i])
        alone = model.prepare(
            FRAMES,
            text=TextContext(words.embeddings[one, :length], words.mask[one, :length], "t5"),
            video=FrameFeatures(seen.values[one], seen.fps),
            context=AudioContext(heard.values[one], heard.given[one]),
        )
        torch.testing.assert_close(together[one], model(x[one], t[one], alone), rtol=1e-12, atol=1e-12)


def test_it_depends_on_time_text_video_and_sound(model: AudioDiT) -> None:
    x, t = noisy()
    words, seen, heard = text(3, 1), video(), context()
    out = model(x, t, model.prepare(FRAMES, text=words, video=seen, context=heard))
    others = [
        {"text": replace(words, embeddings=-words.embeddings), "video": seen, "context": heard},
        {"text": words, "video": replace(seen, values=-seen.values), "context": heard},
        {"text": words, "video": seen, "context": replace(heard, values=-heard.values)},
        {"text": words, "video": replace(seen, fps=16.0), "context": heard},
    ]
    for other in others:
        assert (model(x, t, model.prepare(FRAMES, **other)) - out).abs().max() > 1e-3
    assert (
        model(x, t / 2, model.prepare(FRAMES, text=words, video=seen, context=heard)) - out
    ).abs().max() > 1e-3


def test_every_layer_attends_by_the_function_that_it_is_given(model: AudioDiT) -> None:
    x, t = noisy()
    conditions = model.prepare(FRAMES, text=text(3, 1), video=video(), context=context())
    out = model(x, t, conditions)
    calls: list[bool] = []

    def counted(q: Tensor, k: Tensor, v: Tensor, *, key_lengths: Tensor | None = None) -> Tensor:
        calls.append(key_lengths is not None)
        return reference_attention(q, k, v, key_lengths=key_lengths)

    model.use_attention(counted)
    torch.testing.assert_close(model(x, t, conditions), out)
    assert calls == [False, True] * model.config.layers


def test_sound_that_is_not_given_is_not_heard(model: AudioDiT) -> None:
    heard = context()
    loud = AudioContext(heard.values + 100.0 * ~heard.given[:, None], heard.given)
    first, second = (model.prepare(FRAMES, context=each).context for each in (heard, loud))
    assert torch.equal(first, second)
    assert torch.equal(first[:, :, :4], heard.values[:, :, :4])
    assert not first[:, :, 4:].any()


def test_a_video_is_added_where_it_is_seen(model: AudioDiT) -> None:
    """Frame by frame, in the frames of sound whose middle lies in the changed frame of video."""
    seen = video()
    changed = seen.values.clone()
    changed[:, 2] += 1.0  # from 0.25 s to 0.375 s; frame 6 has its middle at 0.26 s, frame 9 at 0.38 s
    before = model.prepare(FRAMES, video=seen).video
    after = model.prepare(FRAMES, video=FrameFeatures(changed, seen.fps)).video
    assert (before != after).any(dim=-1)[0].nonzero().flatten().tolist() == [6, 7, 8]


@pytest.mark.parametrize("fps", [1.0, 8.0, 12.0, 24.0, 240.0])
def test_features_are_those_of_the_frame_that_is_seen(fps: float) -> None:
    """As long as the video lasts; then the last frame stays."""
    count = int(4 * fps)
    numbers = FrameFeatures(torch.arange(count, dtype=torch.float64)[None, :, None], fps)
    frames = numbers.resampled(120, 25.0)[0, :, 0].tolist()
    for place, frame in enumerate(frames):
        middle = (place + 0.5) / 25.0
        assert frame <= middle * fps
        assert middle * fps < frame + 1 or frame == count - 1
    assert frames[-1] == count - 1


def test_hidden_and_absent_conditions_are_the_same(model: AudioDiT) -> None:
    x, t = noisy()
    all_of_them = torch.tensor([True, True])
    nothing = model(x, t, model.null_conditions(2, FRAMES))
    dropped = {"drop_text": all_of_them, "drop_video": all_of_them}
    hidden = AudioContext(context().values, torch.zeros(2, FRAMES, dtype=torch.bool))
    out = model(x, t, model.prepare(FRAMES, text=text(3, 1), video=video(), context=hidden, **dropped))
    torch.testing.assert_close(out, nothing, rtol=1e-12, atol=1e-12)
    no_words = model(x, t, model.prepare(FRAMES, text=text(0, 0)))
    torch.testing.assert_close(no_words, nothing, rtol=1e-12, atol=1e-12)
    one = torch.tensor([False, True])
    half = model(x, t, model.prepare(FRAMES, video=video(), drop_video=one))
    torch.testing.assert_close(half[:1], model(x, t, model.prepare(FRAMES, video=video()))[:1])
    torch.testing.assert_close(half[1:], nothing[1:])


def test_only_distances_between_frames_count() -> None:
    q, k = noise(1, 1, 1, 8), noise(1, 1, 1, 8, seed=2)
    rotation = rotations(20, 8, q)
    products = torch.einsum(
        "bsnk,btnk->st", rotated(q.expand(1, 20, 1, 8), rotation), rotated(k.expand(1, 20, 1, 8), rotation)
    )
    for distance in range(-19, 20):
        along = products.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(products[0, 0], (q * k).sum())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.bfloat16, 2e-2)])
def test_the_norm_of_heads_and_its_derivative_are_pytorchs(dtype: torch.dtype, tolerance: float) -> None:
    """Of heads as they come, in strides, and of a gain in another precision, as under autocast."""
    heads = noise(2, 5, 3, 4, 8).to(dtype).requires_grad_()
    norm = HeadNorm(8, eps=1e-6).double()
    nn.init.normal_(norm.weight)
    outward = noise(2, 5, 4, 8, seed=2).to(dtype)
    inputs = (heads, norm.weight)
    trained = norm(heads[:, :, 1])
    gradients = torch.autograd.grad(trained, inputs, outward)
    exact = F.rms_norm(heads[:, :, 1].double(), (8,), norm.weight, 1e-6)
    expected = torch.autograd.grad(exact, inputs, outward.double())
    assert trained.dtype == gradients[0].dtype == dtype
    for ours, theirs in zip((trained, *gradients), (exact, *expected), strict=True):
        torch.testing.assert_close(ours.double(), theirs.double(), rtol=tolerance, atol=tolerance)
    with torch.no_grad():
        torch.testing.assert_close(norm(heads[:, :, 1]), trained, rtol=tolerance, atol=tolerance)


def test_one_sample_is_modulated_as_one_of_several() -> None:
    x, shift, scale = noise(2, 5, 8), noise(2, 1, 8, seed=1), noise(2, 1, 8, seed=2)
    both = modulated_norm(x, shift, scale)
    torch.testing.assert_close(modulated_norm(x[:1], shift[:1], scale[:1]), both[:1])


def test_guidance_goes_from_nothing_through_all(model: AudioDiT) -> None:
    x, t = noisy()
    conditions = model.prepare(FRAMES, text=text(3, 1), video=video())
    nothing = model.null_conditions(2, FRAMES)
    without, given = model(x, t, nothing), model(x, t, conditions)
    guided = classifier_free_guidance(model, conditions, nothing, 3.0)
    torch.testing.assert_close(guided(x, t), 3 * given - 2 * without)
    with pytest.raises(ValueError, match="as many frames, not of 4 and 10"):
        classifier_free_guidance(model, conditions, model.null_conditions(2, 4), 3.0)


def test_sampling_follows_the_midpoint_rule(model: AudioDiT) -> None:
    """Two steps of the solver, written out; an untrained model gives the noise back."""
    x, _ = noisy()
    conditions = model.prepare(FRAMES, video=video())
    velocity = classifier_free_guidance(model, conditions, model.null_conditions(2, FRAMES), 2.0)
    expected = x
    with torch.no_grad():
        for start in (0.0, 0.5):
            half = expected + 0.25 * velocity(expected, torch.full((2,), start, dtype=torch.float64))
            expected = expected + 0.5 * velocity(half, torch.full((2,), start + 0.25, dtype=torch.float64))
    seen: list[int] = []
    out = sample(model, conditions, x, guidance=2.0, steps=2, on_step=lambda step, _: seen.append(step))
    torch.testing.assert_close(out, expected)
    assert seen == [1, 2]
    untrained = AudioDiT(CONFIG).double()
    assert torch.equal(sample(untrained, untrained.prepare(FRAMES, video=video()), x, steps=1), x)


def test_small_steps_of_a_half_precision_model_do_not_round_away() -> None:
    """A velocity of 2^-10 moves a state of 1 in 64 steps, each of which bfloat16 could not add to it."""
    model = AudioDiT(CONFIG).to(torch.bfloat16)
    torch.nn.init.constant_(model.frame_out.bias, 2**-10)
    ones = torch.ones(1, 3, FRAMES)
    for guidance in (1.0, 3.0):
        made = sample(model, model.null_conditions(1, FRAMES), ones, guidance=guidance)
        torch.testing.assert_close(made, ones + 2**-10, rtol=0, atol=1e-6)


def test_a_few_steps_of_training_lower_the_loss() -> None:
    torch.manual_seed(0)
    model = AudioDiT(CONFIG)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    x_1 = torch.full((16, 3, FRAMES), 0.5)
    losses = []
    for _ in range(60):
        step = FlowPath().draw(x_1, generator)
        loss = flow_matching_loss(model(step.x_t, step.t, model.null_conditions(16, FRAMES)), step.target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


def test_a_saved_model_reads_back_the_same(model: AudioDiT, tmp_path: Path) -> None:
    save_dit(model.float(), tmp_path / "dit")
    loaded = load_dit(tmp_path / "dit")
    assert loaded.config == CONFIG
    x, t = (each.float() for each in noisy())
    with torch.no_grad():
        outs = [each(x, t, each.null_conditions(2, FRAMES)) for each in (model, loaded)]
    assert torch.equal(*outs)


def test_what_does_not_fit_is_refused(model: AudioDiT) -> None:
    x, t = noisy()
    conditions = model.null_conditions(2, FRAMES)
    with pytest.raises(ValueError, match=r"x must be a non-empty \(B, 3, T\) tensor"):
        model(x[:, :2], t, conditions)
    with pytest.raises(ValueError, match=r"t must be floating point of shape \(2,\)"):
        model(x, t[:1], conditions)
    with pytest.raises(ValueError, match="of 2 samples of 9 frames, not 2 of 10"):
        model(x[..., 1:], t, conditions)
    with pytest.raises(ValueError, match="text, video or sound must be given"):
        model.prepare(FRAMES)
    with pytest.raises(ValueError, match=r"one batch size, not \[1, 2\]"):
        model.prepare(FRAMES, text=text(3, 1), video=video(1))
    with pytest.raises(ValueError, match="text must come from t5, 6 wide, not from ul2"):
        model.prepare(FRAMES, text=replace(text(3, 1), encoder="ul2"))
    with pytest.raises(ValueError, match="must be 5 wide, not 4"):
        model.prepare(FRAMES, video=FrameFeatures(noise(2, 4, 4), 8.0))
    with pytest.raises(ValueError, match="3 channels of 9 frames, not 3 of 10"):
        model.prepare(9, context=context())
    with pytest.raises(ValueError, match=r"drop_video must be bool of shape \(2,\)"):
        model.prepare(FRAMES, video=video(), drop_video=torch.zeros(2))
    with pytest.raises(ValueError, match="fps must be a positive number"):
        FrameFeatures(noise(1, 2, 3), 0.0)
    with pytest.raises(ValueError, match=r"non-empty floating-point \(B, F, E\)"):
        FrameFeatures(noise(1, 2), 8.0)
    with pytest.raises(ValueError, match=r"given must be bool of shape \(2, 10\)"):
        AudioContext(noise(2, 3, 10), torch.zeros(2, 9, dtype=torch.bool))
    with pytest.raises(ValidationError, match="24 is not, for 5 heads"):
        AudioDiTConfig.model_validate(CONFIG.model_dump() | {"heads": 5})
    with pytest.raises(ValueError, match="there are 13b, 3b, 300m, miniature"):
        dit_preset("9b")
