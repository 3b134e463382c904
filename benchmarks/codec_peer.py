"""A short training of the miniature's codec beside `descript-audio-codec`'s own network.

    python benchmarks/codec_peer.py                            300 steps with each of three seeds
    python benchmarks/codec_peer.py --steps 5 --seeds 0        only see that it runs
    python benchmarks/codec_peer.py --write                    also puts the table into the docs

All have the widths and rates of the preset `miniature` and are trained side by side: each step gives the same
batch of the stage's sounds to every network. Optimizer, batch, cuts, and the weights of mel distance and
waveform are the recipe's; its warm-up is a tenth of the steps, and its rate falls to 0 at the last one, so no
average of the weights is taken. Discriminators are left out: in the recipe they come late. The networks are

- `moviegen`: the codec as the recipe trains it, 32 Gaussian channels, at the recipe's weight of KL;
- `DAC with a Gaussian`: DAC's encoder and decoder as its constructor initialises them, around the same
  bottleneck: an equal latent. Given equal weights it computes what `moviegen` does, as `nox -s codec` tests;
- `DAC`: the whole network with its residual vector quantiser, as many codebooks as its own 16 kHz model has,
  all of them in every step, and its own weights of the quantiser's losses.

`kbit/s` is what the latent carries: the divergence of the Gaussian from the standard normal, or the codes.
At the rate of 5, DAC's decoder makes 16 samples fewer than it was given; nothing is asked of it there.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from dac_package import dac_classes
from moviegen_audio import AudioCodec, AudioCodecConfig, MelDistance, codec_preset
from moviegen_core import AudioClip
from moviegen_runtime.data.order import SampleOrder
from moviegen_runtime.data.sounds import open_sounds
from moviegen_runtime.metrics import si_sdr
from moviegen_runtime.training.audio_recipe import CodecRecipe
from moviegen_runtime.training.optimizer import build_optimizer
from moviegen_runtime.training.randomness import generator
from moviegen_runtime.training.recipe_file import load_recipe
from moviegen_runtime.training.schedule import rate_factor
from moviegen_runtime.training.sounds import collate_sounds, random_cuts
from record import ROOT, device_name, fill, record
from torch import Tensor, nn

PAGE = ROOT / "docs" / "sound" / "codec.md"
RECIPE = ROOT / "apps" / "miniature" / "recipes" / "codec.yaml"
OURS, GAUSSIAN, WHOLE = "moviegen", "DAC with a Gaussian", "DAC"
CODEBOOKS, CODEBOOK_BITS = 12, 10
COMMITMENT, CODEBOOK = 0.25, 1.0  # DAC's weights


class Coded(NamedTuple):
    """What a network makes of sounds.

    Args:
        samples: (B, 1, N), or a little fewer than N.
        penalty: of the latent, weighted, to be added to the loss.
        kilobits: a second of sound, that the latent carries.
    """

    samples: Tensor
    penalty: Tensor
    kilobits: Tensor


Code = Callable[[Tensor, torch.Generator | None], Coded]
"""Of sounds (B, 1, N), and what noise is drawn by; None: none is."""


@dataclass(frozen=True)
class Network:
    """A network to be trained.

    Args:
        outer: how the names of its first layer, its last layer and its bottleneck begin; Muon leaves them.
    """

    model: nn.Module
    code: Code
    outer: tuple[str, ...]

    def is_inner(self, name: str) -> bool:
        """Whether Muon may move a parameter; the rule of the codec's training."""
        return name.endswith(".weight_v") and not name.startswith(self.outer)


@dataclass(frozen=True)
class Figures:
    """A trained network on held-out sounds, means over them: mel distance, SI-SDR in dB, and kbit/s."""

    network: str
    seed: int
    parameters: int
    mel: float
    si_sdr: float
    kilobits: float


def gaussian(codec: AudioCodec, kl_weight: float, outer: tuple[str, ...]) -> Network:
    """A codec with a Gaussian bottleneck."""
    nats_to_kilobits = codec.latent_channels * codec.sample_rate / codec.hop / math.log(2) / 1000

    def code(x_B1N: Tensor, noise: torch.Generator | None) -> Coded:
        posterior = codec.posterior(AudioClip(x_B1N, codec.sample_rate))
        z_BCT = posterior.mean if noise is None else posterior.sample(noise)
        kl = posterior.kl()
        return Coded(codec.decode_moments(z_BCT, x_B1N.shape[-1]), kl_weight * kl, nats_to_kilobits * kl)

    return Network(codec, code, outer)


def ours(config: AudioCodecConfig, kl_weight: float) -> Network:
    """The codec of this project."""
    codec = AudioCodec(config)
    ends = ((part, len(getattr(codec, part).layers) - 1) for part in ("encoder", "decoder"))
    outer = tuple(f"{part}.layers.{place}." for part, last in ends for place in (0, last))
    return gaussian(codec, kl_weight, outer)


def dac(config: AudioCodecConfig) -> Any:
    """DAC as its constructor makes it, with a quantiser."""
    rates = list(config.rates)
    return dac_classes().DAC(
        encoder_dim=config.encoder_width,
        encoder_rates=rates,
        latent_dim=config.hidden_width,
        decoder_dim=config.decoder_width,
        decoder_rates=rates[::-1],
        n_codebooks=CODEBOOKS,
        codebook_size=2**CODEBOOK_BITS,
        sample_rate=config.sample_rate,
    )


def dac_gaussian(config: AudioCodecConfig, kl_weight: float) -> Network:
    """DAC's encoder and decoder around the bottleneck of this project."""
    theirs, codec = dac(config), AudioCodec(config)
    normed = nn.utils.weight_norm  # as all layers of theirs, and of ours
    between = normed(nn.Conv1d(config.hidden_width, 2 * config.latent_channels, 1))
    codec.encoder = nn.Sequential(theirs.encoder, between)  # type: ignore[assignment]  # called, no more
    between = normed(nn.Conv1d(config.latent_channels, config.hidden_width, 1))
    codec.decoder = nn.Sequential(between, theirs.decoder)  # type: ignore[assignment]
    last = len(theirs.decoder.model) - 2  # before Tanh
    outer = ("encoder.0.block.0.", "encoder.1.", "decoder.0.", f"decoder.1.model.{last}.")
    return gaussian(codec, kl_weight, outer)


def dac_whole(config: AudioCodecConfig) -> Network:
    """DAC with its quantiser."""
    model = dac(config)
    kilobits = torch.tensor(CODEBOOKS * CODEBOOK_BITS * config.sample_rate / config.hop / 1000)

    def code(x_B1N: Tensor, noise: torch.Generator | None) -> Coded:
        del noise
        made = model(x_B1N, config.sample_rate)
        penalty = COMMITMENT * made["vq/commitment_loss"] + CODEBOOK * made["vq/codebook_loss"]
        return Coded(made["audio"], penalty, kilobits)

    last = len(model.decoder.model) - 2
    return Network(model, code, ("encoder.block.0.", "quantizer.", f"decoder.model.{last}."))


def networks(config: AudioCodecConfig, kl_weight: float) -> dict[str, Callable[[], Network]]:
    """How each is made."""
    return {
        OURS: partial(ours, config, kl_weight),
        GAUSSIAN: partial(dac_gaussian, config, kl_weight),
        WHOLE: partial(dac_whole, config),
    }


def trained(
    recipe: CodecRecipe,
    config: AudioCodecConfig,
    makers: dict[str, Callable[[], Network]],
    say: Callable[[str], None],
) -> list[Figures]:
    """Train networks side by side, and measure them.

    Args:
        recipe: with sounds, of the config's rate, and with validation.
    """
    if recipe.data is None or recipe.validation is None:
        raise ValueError("the recipe must name sounds to train on and to validate with")
    made: dict[str, Network] = {}
    for name, make in makers.items():
        torch.manual_seed(recipe.seed)
        made[name] = make()
    optimizers = {
        name: build_optimizer(network.model, recipe.optimizer, network.is_inner)
        for name, network in made.items()
    }
    source = open_sounds(recipe.data.source, recipe.data.options)
    collate, mel = collate_sounds(source, config.sample_rate), MelDistance(config.sample_rate)
    length = round(recipe.crop_seconds * config.sample_rate)
    batches = SampleOrder(len(source), recipe.seed).batches(recipe.batch_size)
    for step in range(recipe.steps):
        target_B1N = random_cuts(collate(next(batches)), length, generator(recipe.seed, step, "cuts"))
        losses = []
        for name, network in made.items():
            coded = network.code(target_B1N, generator(recipe.seed, step, "posterior"))
            true_B1N = target_B1N[..., : coded.samples.shape[-1]]
            loss = recipe.loss.mel * mel(coded.samples, true_B1N) + coded.penalty
            loss = loss + recipe.loss.waveform * F.l1_loss(coded.samples, true_B1N)
            _move(network.model, optimizers[name], loss, recipe, step)
            losses.append(f"{name} {loss.item():.2f}")
        if step % 50 == 49 or step == recipe.steps - 1:
            say(f"seed {recipe.seed}, step {step + 1} of {recipe.steps}: loss {', '.join(losses)}")
    held_out = open_sounds(recipe.validation.data.source, recipe.validation.data.options)
    sounds = collate_sounds(held_out, config.sample_rate)(range(recipe.validation.num_sounds)).sounds
    return [measured(name, network, sounds, mel, recipe.seed) for name, network in made.items()]


def _move(
    model: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, recipe: CodecRecipe, step: int
) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    if recipe.gradient_clip is not None:
        nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_clip)
    for group in optimizer.param_groups:
        group["factor"] = rate_factor(recipe.optimizer, step, recipe.steps)
    optimizer.step()


def measured(name: str, network: Network, sounds: Sequence[Tensor], mel: MelDistance, seed: int) -> Figures:
    """Figures of a network on sounds (1, N)."""
    network.model.eval().requires_grad_(False)
    rows = []
    for sound in sounds:
        # With gradients on a codec takes a sound whole, which DAC's layers can; there is none to compute.
        coded = network.code(sound[None], None)
        made, true = coded.samples, sound[None, :, : coded.samples.shape[-1]]
        rows.append([float(mel(made, true)), float(si_sdr(made, true)), float(coded.kilobits)])
    parameters = sum(p.numel() for p in network.model.parameters())
    means = (statistics.fmean(column) for column in zip(*rows, strict=True))
    return Figures(name, seed, parameters, *means)


def table(figures: Sequence[Figures]) -> str:
    """A line a network: the mean over seeds, from the least to the most."""
    lines = ["| network | parameters | kbit/s | mel distance | SI-SDR, dB |", "|---|---:|---:|---:|---:|"]
    for name in dict.fromkeys(each.network for each in figures):
        own = [each for each in figures if each.network == name]
        cells = [name, f"{own[0].parameters:,}", f"{statistics.fmean(each.kilobits for each in own):.2f}"]
        cells += [_spread([each.mel for each in own], 3), _spread([each.si_sdr for each in own], 2)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(values: Sequence[float], digits: int) -> str:
    mean, least, most = (
        f"{each:.{digits}f}" for each in (statistics.fmean(values), min(values), max(values))
    )
    return f"{mean} ({least} to {most})"


def short(steps: int, seed: int) -> CodecRecipe:
    """The miniature's recipe of so many steps."""
    recipe = load_recipe(RECIPE, [f"steps={steps}", f"optimizer.warmup_steps={steps // 10}", f"seed={seed}"])
    assert isinstance(recipe, CodecRecipe)
    return recipe


def main() -> None:
    """Train, measure, print, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    config = codec_preset("miniature")
    figures: list[Figures] = []
    for done, seed in enumerate(given.seeds, 1):
        recipe = short(given.steps, seed)
        figures += trained(recipe, config, networks(config, recipe.loss.kl), say)
        seeds = "one seed" if done == 1 else f"mean of {done} seeds (least to most)"
        head = f"{given.steps} steps of {recipe.batch_size} cuts of {recipe.crop_seconds:g} s; "
        head += f"{seeds}; {device_name()}, torch {torch.__version__}"
        printed = table(figures)
        print(f"{head}\n{printed}", flush=True)
        if given.write:  # after every seed, so that what is stopped has those that were done
            record("codec_peer", {"figures": [asdict(each) for each in figures]}, given.threads)
            fill(PAGE, "codec-peer", f"{head}\n{printed}\n")


def say(line: str) -> None:
    """Print to stderr at once."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
