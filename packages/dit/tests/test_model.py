"""The transformer: what it does not depend on, what it must depend on, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from moviegen_core import TextContext, VideoShape
from moviegen_dit import VideoDiT, VideoDiTConfig, preset, sdpa_attention, sdpa_packed_attention
from moviegen_dit.kernels import Packing
from moviegen_dit.layers import patchify, unpatchify
from torch import Tensor

MakeContexts = Callable[[list[list[int]]], list[TextContext]]


def noisy(batch: int = 2, shape: tuple[int, int, int] = (2, 4, 6)) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(batch, 4, *shape, generator=generator, dtype=torch.float64)
    return x, torch.rand(batch, generator=generator, dtype=torch.float64)


def padded(context: TextContext, extra: int) -> TextContext:
    """The same prompts with more padding, which holds nonsense."""
    nonsense = torch.full((context.batch, extra, context.embeddings.shape[2]), 1e3, dtype=torch.float64)
    return TextContext(
        torch.cat([context.embeddings, nonsense], dim=1),
        torch.cat([context.mask, torch.zeros(context.batch, extra, dtype=torch.bool)], dim=1),
        context.encoder,
    )


def test_patches_round_trip_and_are_those_of_a_convolution() -> None:
    x, _ = noisy(shape=(4, 6, 8))
    patch = (2, 2, 4)
    tokens = patchify(x, patch)
    assert torch.equal(unpatchify(tokens, patch, VideoShape(2, 3, 2)), x)
    weight = torch.randn(5, 4, *patch, dtype=torch.float64)
    convolved = torch.nn.functional.conv3d(x, weight, stride=patch).flatten(2).transpose(1, 2)
    torch.testing.assert_close(tokens @ weight.flatten(1).T, convolved)


def test_an_untrained_model_says_velocity_zero(config: VideoDiTConfig, contexts: MakeContexts) -> None:
    model = VideoDiT(config).double()
    assert not model(*noisy(), model.prepare(contexts([[3, 1], [2, 4]]))).any()


def test_gradients_reach_every_parameter(model: VideoDiT, contexts: MakeContexts) -> None:
    x, t = noisy(shape=(3, 8, 10))  # the whole of the position tables
    conditions = model.prepare(contexts([[3, 1], [2, 4]]), drop=torch.tensor([True, False]))
    model(x, t, conditions).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        untouched = (parameter.grad == 0).all(dim=-1) if parameter.ndim > 1 else parameter.grad == 0
        assert not untouched.any(), name


def test_padding_of_the_prompt_changes_nothing(model: VideoDiT, contexts: MakeContexts) -> None:
    prompts = contexts([[3, 1], [2, 4]])
    plain = model(*noisy(), model.prepare(prompts))
    more = model(*noisy(), model.prepare([padded(prompts[0], 5), padded(prompts[1], 2)]))
    torch.testing.assert_close(more, plain, rtol=1e-12, atol=1e-12)


def test_a_sample_does_not_depend_on_its_neighbours(model: VideoDiT, contexts: MakeContexts) -> None:
    """Each prompt alone, without any padding, is the independent answer."""
    prompts = contexts([[3, 1], [2, 4]])
    x, t = noisy()
    together = model(x, t, model.prepare(prompts))
    for sample in range(2):
        one = slice(sample, sample + 1)
        alone = [
            TextContext(
                context.embeddings[one, : int(context.lengths[sample])],
                context.mask[one, : int(context.lengths[sample])],
                context.encoder,
            )
            for context in prompts
        ]
        expected = model(x[one], t[one], model.prepare(alone))
        torch.testing.assert_close(together[one], expected, rtol=1e-12, atol=1e-12)


def test_an_encoder_may_have_nothing_to_say(model: VideoDiT, contexts: MakeContexts) -> None:
    """ByT5 reads quoted text only, so most of its prompts are empty; even all may be."""
    x, t = noisy(3)
    out = model(x, t, model.prepare(contexts([[0, 2, 0], [3, 0, 0]])))
    assert out.isfinite().all()
    assert model.prepare(contexts([[0, 2, 0], [3, 0, 0]])).key_lengths.tolist() == [3, 2, 0]


def test_it_depends_on_prompt_time_and_position(model: VideoDiT, contexts: MakeContexts) -> None:
    x, t = noisy(1)
    x = x[:, :, :1, :2, :2].repeat(1, 1, 2, 2, 3)  # every patch the same
    prompts = contexts([[3], [2]])
    out = model(x, t, model.prepare(prompts))
    other = [replace(prompts[0], embeddings=-prompts[0].embeddings), prompts[1]]
    assert (model(x, t, model.prepare(other)) - out).abs().max() > 1e-3
    assert (model(x, t / 2, model.prepare(prompts)) - out).abs().max() > 1e-3
    patches = patchify(out, (1, 2, 2))[0]
    distances = torch.cdist(patches, patches) + 100 * torch.eye(len(patches))
    assert distances.min() > 1e-3


def test_the_order_of_encoders_given_does_not_matter(model: VideoDiT, contexts: MakeContexts) -> None:
    prompts = contexts([[3, 1], [2, 4]])
    first, second = model.prepare(prompts), model.prepare(prompts[::-1])
    assert all(map(torch.equal, first.keys, second.keys))


def test_dropped_prompts_are_the_null_conditions(model: VideoDiT, contexts: MakeContexts) -> None:
    prompts = contexts([[3, 1], [2, 4]])
    x, t = noisy()
    none, both = (
        model(x, t, model.prepare(prompts, drop=torch.tensor([flag] * 2))) for flag in (False, True)
    )
    torch.testing.assert_close(none, model(x, t, model.prepare(prompts)), rtol=0, atol=0)
    torch.testing.assert_close(both, model(x, t, model.null_conditions(2)), rtol=1e-12, atol=1e-12)
    mixed = model(x, t, model.prepare(prompts, drop=torch.tensor([True, False])))
    torch.testing.assert_close(mixed, torch.stack([both[0], none[1]]), rtol=1e-12, atol=1e-12)


def test_prepared_conditions_are_those_of_each_layer(model: VideoDiT, contexts: MakeContexts) -> None:
    """Worked out from the weights by the formulas: projection, LayerNorm, keys, RMSNorm in each head."""
    prompts = contexts([[2], [3]])
    prepared = model.prepare(prompts)
    tokens = []
    for number, context in enumerate(prompts):
        states = context.embeddings @ model.get_parameter(f"prompts.{number}.projection.weight").T
        centred = states - states.mean(-1, keepdim=True)
        deviation = (states.var(-1, unbiased=False, keepdim=True) + 1e-6).sqrt()
        tokens.append(
            centred / deviation * model.get_parameter(f"prompts.{number}.norm.weight")
            + model.get_parameter(f"prompts.{number}.norm.bias")
        )
    prompt = torch.cat(tokens, dim=1)
    for layer in range(2):
        name = f"blocks.{layer}.cross_attention"
        keys, values = (prompt @ model.get_parameter(f"{name}.key_value.weight").T).chunk(2, dim=-1)
        keys = keys.view(1, 5, 2, 12)
        keys = keys / (keys.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        torch.testing.assert_close(
            prepared.keys[layer], keys * model.get_parameter(f"{name}.key_norm.weight")
        )
        torch.testing.assert_close(prepared.values[layer], values.view(1, 5, 2, 12))


def test_the_injected_attention_is_the_one_that_runs(config: VideoDiTConfig, contexts: MakeContexts) -> None:
    calls: list[bool] = []

    def counted(q: Tensor, k: Tensor, v: Tensor, *, key_lengths: Tensor | None = None) -> Tensor:
        calls.append(key_lengths is not None)
        return sdpa_attention(q, k, v, key_lengths=key_lengths)

    conditions = contexts([[3, 1], [2, 4]])
    model = VideoDiT(config, attention=counted).double()
    model(*noisy(), model.prepare(conditions))
    assert calls == [False, True] * config.layers
    model.use_attention(sdpa_attention)
    model(*noisy(), model.prepare(conditions))
    assert len(calls) == 2 * config.layers


SIZES = [(1, 8, 10), (3, 4, 2), (1, 2, 2), (2, 6, 4)]  # images and videos


def test_a_packed_batch_is_its_samples_one_by_one(model: VideoDiT, contexts: MakeContexts) -> None:
    """Images and videos of different sizes, with prompts of different lengths, one empty and one dropped."""
    prompts = contexts([[3, 0, 1, 2], [2, 0, 4, 0]])
    conditions = model.prepare(prompts, drop=torch.tensor([False, False, True, False]))
    latents = [noisy(1, size)[0][0] for size in SIZES]
    t = torch.tensor([0.1, 0.9, 0.5, 0.3], dtype=torch.float64)

    def one_by_one() -> list[Tensor]:
        return [
            model(
                latents[i][None],
                t[i : i + 1],
                replace(
                    conditions,
                    keys=tuple(x[i : i + 1] for x in conditions.keys),
                    values=tuple(x[i : i + 1] for x in conditions.values),
                    key_lengths=conditions.key_lengths[i : i + 1],
                ),
            )[0]
            for i in range(4)
        ]

    weights = list(model.parameters())
    results = []
    for velocities in (model.forward_packed(latents, t, conditions), one_by_one()):
        loss = sum(velocity.sin().sum() for velocity in velocities)
        results.append((velocities, torch.autograd.grad(loss, weights, retain_graph=True)))
    for given, expected in zip(*results, strict=True):
        for one, other in zip(given, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_a_packed_batch_runs_the_injected_attention(config: VideoDiTConfig, contexts: MakeContexts) -> None:
    calls: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def noted(*qkv: Tensor, queries: Packing, keys: Packing, key_lengths: Tensor | None = None) -> Tensor:
        calls.append((queries.lengths, keys.lengths))
        return sdpa_packed_attention(*qkv, queries=queries, keys=keys, key_lengths=key_lengths)

    model = VideoDiT(config, packed_attention=noted).double()
    latents = [noisy(1, size)[0][0] for size in SIZES[1:3]]
    model.forward_packed(latents, noisy(2)[1], model.prepare(contexts([[3, 1], [2, 4]])))
    assert calls == [((6, 1), (6, 1)), ((6, 1), (7, 7))] * config.layers


def test_packed_latents_that_do_not_fit_are_refused(model: VideoDiT, contexts: MakeContexts) -> None:
    conditions = model.prepare(contexts([[3, 1], [2, 4]]))
    latents = [noisy(1, size)[0][0] for size in SIZES[:2]]
    _, t = noisy()
    with pytest.raises(ValueError, match="latent width must be a multiple of 2 and at most 10, not 1"):
        model.forward_packed([latents[0], latents[1][..., :1]], t, conditions)
    with pytest.raises(ValueError, match="conditions must be of 1 samples"):
        model.forward_packed(latents[:1], t[:1], conditions)
    with pytest.raises(ValueError, match="latents must be of a sample or more"):
        model.forward_packed([], t, conditions)


def test_the_same_seed_gives_the_same_model_and_the_same_answer() -> None:
    answers = []
    for _ in range(2):
        torch.manual_seed(4)
        model = VideoDiT(preset("miniature"))
        torch.nn.init.normal_(model.patch_out.weight)
        prompt = TextContext(torch.randn(1, 5, 384), torch.ones(1, 5, dtype=torch.bool), "minilm")
        answers.append(model(torch.randn(1, 16, 2, 8, 8), torch.tensor([0.5]), model.prepare([prompt])))
    assert answers[0].any()
    assert torch.equal(*answers)


def test_prompts_that_do_not_fit_are_refused(model: VideoDiT, contexts: MakeContexts) -> None:
    first, second = contexts([[3, 1], [2, 4]])
    with pytest.raises(ValueError, match="prompts must come from one, two, once each, not from one"):
        model.prepare([first])
    with pytest.raises(ValueError, match="not from one, one"):
        model.prepare([first, first])
    with pytest.raises(ValueError, match="not from none"):
        model.prepare([])
    with pytest.raises(ValueError, match="two states must be 10 wide, not 6"):
        model.prepare([first, replace(first, encoder="two")])
    with pytest.raises(ValueError, match="number of prompts"):
        model.prepare([first, contexts([[1], [2]])[1]])
    with pytest.raises(ValueError, match="drop must be bool of shape"):
        model.prepare([first, second], drop=torch.tensor([1, 0]))


def test_latents_that_do_not_fit_are_refused(model: VideoDiT, contexts: MakeContexts) -> None:
    conditions = model.prepare(contexts([[3, 1], [2, 4]]))
    x, t = noisy()
    with pytest.raises(ValueError, match=r"x must be a non-empty \(B, 4, T, H, W\) tensor"):
        model(x[:, :3], t, conditions)
    with pytest.raises(ValueError, match="latent height must be a multiple of 2 and at most 8, not 3"):
        model(x[..., :3, :], t, conditions)
    with pytest.raises(ValueError, match=r"t must be floating point of shape \(2,\)"):
        model(x, t[:1], conditions)
    with pytest.raises(ValueError, match="conditions must be of 1 samples"):
        model(x[:1], t[:1], conditions)
    with pytest.raises(ValueError, match="conditions must be of 2 samples and 2 layers, not 2 and 1"):
        model(x, t, replace(conditions, keys=conditions.keys[:1]))
