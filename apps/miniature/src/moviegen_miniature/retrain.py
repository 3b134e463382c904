"""`python -m moviegen_miniature.retrain`: the miniature from nothing, in as many legs as it takes.

Video: autoencoder, whose last leg changes no latent, cached latents, transformer, judge, and the upsampler,
which starts from the transformer. Sound, in two lanes side by side, as convolutions so small as the codec's
gain little from a second core: the codec, likewise; and sight, cached films and sounds, transformer, judge.
What is done is not done again, and what was stopped goes on where it was. The cast lies in OUT/cast at the
end, for `moviegen generate --model OUT/cast`.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from moviegen_miniature.lanes import (
    Lanes,
    Step,
    cores,
    duration,
    run_plan,
    say,
    side_by_side,
    threads_of_a_lane,
)

if TYPE_CHECKING:
    from moviegen_runtime.training.recipes import AnyRecipe

Subject = Literal["video", "sound"]

LEGS = {
    "tae": ("tae", "tae_coarse", "tae_decoder"),
    "dit": ("dit", "dit_fine"),
    "upsampler": ("upsampler_frames", "upsampler"),
    "codec": ("codec", "codec_coarse", "codec_decoder"),
    "sight": ("sight",),
    "audio_dit": ("audio_dit",),
}
"""The recipes of each model, in order: each begins with the weights that the one before it ended with."""
LATENTS, LONGER = 40_000, 5_000
"""Clips of the stage that the video transformer is trained on, and such of twice their length."""
_TWO_ACTORS = "two_actors_probability=0.15"
FILMS, SOUNDS = 11_000, 1_000
"""Films of the stage, and sounds without pictures, that the audio transformer is trained on."""

# Floating-point operations of one sample, in units of 1e9, as torch's FlopCounterMode counts them: encoding a
# clip of the stage and its sound, and a training step's share of each model. Muon adds so much to every step,
# whatever its batch. What the stage draws is drawn meanwhile, by another thread.
ENCODE_GFLOP = {"tae": 1.45, "codec": 3.54, "sight": 1.61}
TRAIN_GFLOP = {"tae": 9.0, "dit": 1.2, "codec": 5.5, "sight": 2.52, "audio_dit": 2.45}
DISCRIMINATOR_GFLOP = 3.1  # of a sound, once the codec's discriminators have come
DECODER_GFLOP = {"tae": 9.6, "codec": 3.7}  # where the decoder alone is trained, and video's is a deeper one
FINE_GFLOP = 4.6  # of a clip, by a video transformer with patches of 1 x 1 x 1
UPSAMPLER_GFLOP = {1: 15.5, 14: 226}  # of a clip, by the frames of its cut, with four draws of noise
MUON_GFLOP = {"tae": 6.0, "dit": 33.6, "upsampler": 33.6, "codec": 5.7, "sight": 1.39, "audio_dit": 12.8}
_EFFICIENCY = {"tae": 0.5, "dit": 0.5, "upsampler": 0.5, "codec": 0.35, "sight": 0.5, "audio_dit": 0.85}
"""Share of a matrix product's speed that each was seen to reach: autoencoder and transformer of video on two
threads, the others on one, as a lane has it of two cores. The codec's convolutions are narrow."""


@dataclass(frozen=True)
class Retrain:
    """Train the miniature from nothing, or go on with it; what it makes is judged at the end."""

    recipes: Path
    """Folder of the recipes: a file for each leg, tae.yaml, dit.yaml, codec.yaml, codec_coarse.yaml, ..."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of everything that is made."""
    only: Subject | None = None
    """The models of video alone, or those of sound; both if not given."""
    max_minutes: float | None = None
    """End this leg after so many minutes of training, with full checkpoints."""
    archives: Path | None = None
    """Folder that already holds the actors' archives."""

    def run(self) -> None:
        """Do what is left to do, or as much of it as time allows, and print how long each part took.

        Raises:
            ValueError: a recipe or a folder cannot be used.
            KeyboardInterrupt: interrupted; the same command goes on from there.
        """
        from moviegen_miniature.commands import Fetch

        begin = time.monotonic()
        out = self.out.resolve()  # the recipe that is kept must not depend on where this was started
        subjects = tuple(PLANS) if self.only is None else (self.only,)
        plans = [partial(PLANS[subject], self.recipes.resolve(), out) for subject in subjects]
        say(_forecast([plan() for plan in plans]))
        Fetch(archives=self.archives).run()
        for plan in plans:
            left = None
            if self.max_minutes is not None:
                left = max(self.max_minutes - (time.monotonic() - begin) / 60, 1e-3)
            if not run_plan(plan, left):
                return
        say(f"this leg took {(time.monotonic() - begin) / 60:.0f} minutes")


def plan_video(recipes: Path, out: Path) -> Lanes:
    """Autoencoder, latents, transformer, their place in the cast, the judge's tables, and the upsampler.

    Raises:
        ValueError: a recipe cannot be used.
    """
    from moviegen_runtime.cli.data import Latents
    from moviegen_runtime.pipelines.settings import PHRASEBOOK_FILE

    from moviegen_miniature.judge_commands import JudgeModel
    from moviegen_miniature.phrases import Phrases

    runs, cast = out / "video", out / "cast"
    dit = _weights(runs, "dit")
    tae, latents, longer = _weights(runs, "tae"), runs / "latents", runs / "longer"
    encoded = partial(Latents, tae=str(tae), source="stage")
    usual = encoded(latents, set=("split=train", _TWO_ACTORS), num_clips=LATENTS)
    twice = encoded(longer, set=("split=train", _TWO_ACTORS, "seed=1", "frames=32"), num_clips=LONGER)
    settings = [f"data.latents={latents}", f"data.tae={tae}", f"longer.latents={longer}"]
    lane = [
        *_legs(recipes, runs, "tae"),
        _whole("latents", usual.run, _encoding_work("tae", LATENTS)),
        _whole("longer", twice.run, _encoding_work("tae", 2 * LONGER)),
        *_legs(recipes, runs, "dit", settings),
        _whole("cast", partial(_join, cast, {"tae": tae, "dit": dit})),
        _whole("phrasebook", Phrases(cast / PHRASEBOOK_FILE).run),
        _whole("judge", JudgeModel(model=str(cast), tae=str(tae), runs=runs).run),
        # Its patches are as large as those of the first leg.
        *_legs(recipes, runs, "upsampler", [f"base={runs / 'dit' / 'weights'}", f"tae={tae}"]),
        _whole("upsampling", partial(_join, cast, {"upsampler": _weights(runs, "upsampler")})),
    ]
    return (lane,)


def plan_sound(recipes: Path, out: Path) -> Lanes:
    """The codec; and sight, cached films and sounds, transformer, its place in the cast, the judges' tables.

    Raises:
        ValueError: a recipe cannot be used.
    """
    from moviegen_runtime.cli.data import Sounds

    from moviegen_miniature.sound.judge_command import SoundJudge

    runs = out / "sound"
    codec, sight = _weights(runs, "codec"), _weights(runs, "sight")
    films, sounds = runs / "films", runs / "sounds"
    *_, encoder_leg, last_leg = LEGS[
        "codec"
    ]  # the last leg trains the decoder alone: latents are settled before
    encoder = str(runs / encoder_leg / "weights")
    encoded = partial(Sounds, codec=encoder, source="stage")
    options = ("split=train", "rate=16000")
    seen = encoded(films, set=("pictures=true", *options), num_sounds=FILMS, sight=str(sight))
    alone = encoded(sounds, set=("seed=1", *options), num_sounds=SOUNDS)
    settings = [
        f"data.sounds={films}",
        f"data.codec={encoder}",
        f"sight={sight}",
        f"alone.sounds={sounds}",
    ]
    cast = partial(_join, out / "cast" / "audio", {"codec": codec, "dit": _weights(runs, "audio_dit")})
    work = _encoding_work("codec", FILMS) + _encoding_work("sight", FILMS)
    return (
        _legs(recipes, runs, "codec"),
        [
            *_legs(recipes, runs, "sight"),
            _whole("films", seen.run, work, after=(encoder_leg,)),
            _whole("sounds", alone.run, _encoding_work("codec", SOUNDS)),
            *_legs(recipes, runs, "audio_dit", settings),
            _whole("cast", cast, after=(last_leg,)),
            # Few steps: the paper's 64, each of two calls, would take hours for all of its sounds.
            _whole("sound judge", SoundJudge(model=str(out / "cast"), steps=16, method="euler").run),
        ],
    )


PLANS: dict[Subject, Callable[[Path, Path], Lanes]] = {"video": plan_video, "sound": plan_sound}


def _weights(runs: Path, model: str) -> Path:
    """What the last leg of a model ends with."""
    return runs / LEGS[model][-1] / "weights"


def _legs(recipes: Path, runs: Path, model: str, settings: Sequence[str] = ()) -> list[Step]:
    from moviegen_runtime.training.recipe_file import load_recipe

    steps: list[Step] = []
    init: Path | None = None
    for leg in LEGS[model]:
        recipe = load_recipe(recipes / f"{leg}.yaml", settings)
        steps.append(Step(leg, partial(_train, recipe, runs / leg, init), _training_work(recipe)))
        init = runs / leg / "weights"
    return steps


def _train(recipe: AnyRecipe, folder: Path, init: Path | None, minutes: float | None) -> bool:
    from moviegen_runtime.training.run import Machine, train

    folder.parent.mkdir(parents=True, exist_ok=True)
    return train(recipe, folder, Machine(max_minutes=minutes), init)


def _whole(name: str, job: Callable[[], None], work: float = 0.0, after: tuple[str, ...] = ()) -> Step:
    """A step that goes on until it is complete, whatever time is left for training."""

    def run(minutes: float | None) -> bool:
        del minutes
        job()
        return True

    return Step(name, run, work, after)


def _join(cast: Path, folders: dict[str, Path]) -> None:
    """Put models into a cast, each under its name there."""
    for name, folder in folders.items():
        shutil.copytree(folder, cast / name, dirs_exist_ok=True)


def _encoding_work(model: str, count: int) -> float:
    return count * ENCODE_GFLOP[model] / _EFFICIENCY[model]


def _training_work(recipe: AnyRecipe) -> float:
    from moviegen_runtime.training.audio_recipe import CodecRecipe
    from moviegen_runtime.training.build import dit_config
    from moviegen_runtime.training.recipe import DiTRecipe, TAERecipe
    from moviegen_runtime.training.upsampler_recipe import UpsamplerRecipe

    if isinstance(recipe, UpsamplerRecipe):
        of_sample: float = UPSAMPLER_GFLOP[recipe.frames]
    else:
        of_sample = TRAIN_GFLOP[recipe.model]
    if isinstance(recipe, TAERecipe | CodecRecipe) and recipe.decoder_only:
        of_sample = DECODER_GFLOP[recipe.model]
    if isinstance(recipe, DiTRecipe) and dit_config(recipe).patch == (1, 1, 1):
        of_sample = FINE_GFLOP
    if isinstance(recipe, DiTRecipe) and recipe.longer is not None:
        of_sample *= 1 + 1 / recipe.longer.every  # twice as many frames are twice the work
    gflop = recipe.steps * (recipe.batch_size * of_sample + MUON_GFLOP[recipe.model])
    if isinstance(recipe, CodecRecipe) and recipe.discriminator is not None:
        against = max(0, recipe.steps - recipe.discriminator.start)
        gflop += against * recipe.batch_size * DISCRIMINATOR_GFLOP
    return gflop / _EFFICIENCY[recipe.model]


def _forecast(plans: Sequence[Lanes]) -> str:
    """How long all of it takes here, by the speed of this machine's matrix products."""
    parts: list[str] = []
    whole = 0.0
    for lanes in plans:
        minute = 60 * _measured_gflops(threads_of_a_lane(lanes) if side_by_side(lanes) else cores())
        whole += duration(lanes) / minute
        named = [
            ", ".join(f"{step.name} {step.work / minute:.0f}" for step in lane if step.work) for lane in lanes
        ]
        parts.append((" beside " if side_by_side(lanes) else ", ").join(named))
    return f"from nothing this takes about {whole:.0f} minutes here ({'; '.join(parts)})"


def _measured_gflops(threads: int) -> float:
    """Best of a few matrix products in float32, in units of 1e9 operations a second."""
    import torch

    usual = torch.get_num_threads()
    torch.set_num_threads(threads)
    side = 1024
    matrix = torch.ones(side, side)
    best = 0.0
    for _ in range(8):
        begin = time.perf_counter()
        matrix @ matrix
        best = max(best, 2 * side**3 / (time.perf_counter() - begin) / 1e9)
    torch.set_num_threads(usual)
    return best


def main() -> int:
    """Exit codes: 0 done or time is up, 2 the user can mend it, 130 interrupted."""
    command = tyro.cli(Retrain, prog="python -m moviegen_miniature.retrain")
    try:
        command.run()
    except (ValueError, OSError) as error:
        say(f"moviegen_miniature: {' '.join(str(error).split())}")
        return 2
    except KeyboardInterrupt:
        say("moviegen_miniature: interrupted; the same command goes on from there")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
