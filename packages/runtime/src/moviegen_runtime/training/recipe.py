"""Recipes: what a training is, as YAML that is validated before anything is built. Imports no torch.

A recipe says what is trained on what and how; where it runs and for how long (device, precision, threads,
minutes) is the machine's business and comes from the command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

_Positive = Annotated[float, Field(gt=0)]
_NotNegative = Annotated[float, Field(ge=0)]
_Fraction = Annotated[float, Field(ge=0, lt=1)]
_Count = Annotated[int, Field(ge=1)]
_Side = Annotated[int, Field(ge=8, multiple_of=8)]
_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Section(BaseModel):
    """Base of every part of a recipe: frozen, unknown keys refused by name."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ClipData(Section):
    """Where clips come from: a source that an installed distribution offers by name, or shards.

    Args:
        source: name of the source, for instance "stage".
        options: keyword arguments of the source.
        shards: folder of clip shards, as `moviegen data pack` writes them.
    """

    source: str | None = None
    options: dict[str, JsonValue] = Field(default_factory=dict)
    shards: Path | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.source is None) == (self.shards is None):
            raise ValueError("clips come from exactly one of source and shards")
        if self.options and self.source is None:
            raise ValueError("options belong to a source; shards have none")
        return self


class LatentData(Section):
    """Cached latents with token states, as `moviegen data latents` writes them.

    Args:
        latents: folder of the latent shards.
        tae: weights folder of the autoencoder that they must come from; None: any.
    """

    latents: Path
    tae: str | None = None


class OptimizerRecipe(Section):
    """How weights move. The paper says nothing of it for its video models; the defaults are ours.

    Args:
        name: "adamw" for every weight, or "muon" for the matrices inside and AdamW for the rest.
        lr: peak rate of AdamW.
        muon_lr: peak rate of Muon; its updates are scaled to the size of AdamW's.
        momentum: of Muon.
        betas, eps: of AdamW.
        weight_decay: decoupled, of matrices and kernels only.
        warmup_steps: steps of linear rise of both rates.
        schedule: what follows the rise: "constant", or "cosine" or "linear" down to 0 at the last step.
    """

    name: Literal["adamw", "muon"] = "adamw"
    lr: _Positive
    muon_lr: _Positive | None = None
    momentum: _Fraction = 0.95
    betas: tuple[_Fraction, _Fraction] = (0.9, 0.95)
    eps: _Positive = 1e-8
    weight_decay: _NotNegative = 0.0
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    schedule: Literal["constant", "cosine", "linear"] = "constant"

    @model_validator(mode="after")
    def _muon_has_a_rate(self) -> Self:
        if (self.name == "muon") != (self.muon_lr is not None):
            raise ValueError("muon_lr is given exactly when name is muon")
        return self


class Published(Section):
    """What the paper's table prints about a run; a recipe that disagrees with it is refused.

    Args:
        parameters: nominal size of the model.
        batch_per_gpu, gpus, tensor_parallel, context_parallel: how the batch was spread.
        samples_seen: samples of the whole stage.
    """

    parameters: _Count
    batch_per_gpu: _Count
    gpus: _Count
    tensor_parallel: _Count
    context_parallel: _Count
    samples_seen: _Count

    @property
    def global_batch(self) -> int:
        """Samples a step: batch_per_gpu * gpus / (tensor_parallel * context_parallel) (Table 3, note 3)."""
        return self.batch_per_gpu * self.gpus // (self.tensor_parallel * self.context_parallel)

    def check(self, batch_size: int, steps: int) -> None:
        """Compare with a recipe; steps and samples are rounded in print, so they may differ by 3 percent.

        Raises:
            ValueError: they disagree.
        """
        if batch_size != self.global_batch:
            raise ValueError(f"batch_size must be the published {self.global_batch}, not {batch_size}")
        if abs(batch_size * steps / self.samples_seen - 1) > 0.03:
            raise ValueError(
                f"{steps} steps of {batch_size} are not the published {self.samples_seen} samples"
            )


class ModelRecipe(Section):
    """What recipes of every model have.

    Args:
        preset: architecture by name.
        architecture: fields of the architecture's config that differ from the preset.
        batch_size: samples a step, over all devices.
        steps: optimizer steps of the whole training.
        gradient_clip: largest norm of the gradient; None: not clipped.
        ema_decay: decay of the moving average of the weights, which is what is exported.
        seed: of sample order and of all noise.
        compile: compile the model; for one input shape, or few.
        log_steps: steps from one line of the log to the next.
        checkpoint_minutes: minutes from one checkpoint to the next.
        published: what the paper prints of this run.
    """

    preset: str
    architecture: dict[str, JsonValue] = Field(default_factory=dict)
    batch_size: _Count
    steps: _Count
    optimizer: OptimizerRecipe
    gradient_clip: _Positive | None = 1.0
    ema_decay: _Fraction = 0.999
    seed: Annotated[int, Field(ge=0)] = 0
    compile: bool = False
    log_steps: _Count = 50
    checkpoint_minutes: _Positive = 10.0
    published: Published | None = None

    @model_validator(mode="after")
    def _agrees_with_what_is_published(self) -> Self:
        if self.published is not None:
            self.published.check(self.batch_size, self.steps)
        return self


class TAELossRecipe(Section):
    """Weights of the autoencoder's loss terms; see `moviegen_tae.TAELossWeights`."""

    reconstruction: _NotNegative = 1.0
    squared: _NotNegative = 0.0
    perceptual: _NotNegative = 0.0
    kl: _NotNegative = 1e-6
    outlier: _NotNegative = 0.0
    outlier_radius: _Positive = 3.0


class DiscriminatorRecipe(Section):
    """The adversarial term. The paper has one and prints nothing of it; the defaults are latent diffusion's.

    Args:
        start: steps before the discriminator; it is neither trained nor listened to until then.
        weight: of the adversarial term, times the adaptive weight; see `moviegen_tae.adaptive_weight`.
        channels, layers: size; see `moviegen_tae.PatchDiscriminator`.
        lr: peak rate of its AdamW; it follows the recipe's warm-up and schedule.
        betas: of its AdamW.
    """

    start: Annotated[int, Field(ge=0)] = 50_000
    weight: _Positive = 0.5
    channels: _Count = 64
    layers: Annotated[int, Field(ge=1, le=5)] = 3
    lr: _Positive
    betas: tuple[_Fraction, _Fraction] = (0.5, 0.9)


class EfficientNetFeatures(Section):
    """Perceptual distance by EfficientNet-Lite0, whose weights come as a package."""

    kind: Literal["efficientnet_lite0"] = "efficientnet_lite0"


class LpipsFeatures(Section):
    """Perceptual distance by LPIPS on VGG16, whose weights are files on this machine.

    Args:
        backbone: VGG16 as torchvision publishes it, `vgg16-397923af.pth`.
        heads: the linear layers as the package `lpips` 0.1.4 has them in `weights/v0.1/vgg.pth`.
        backbone_sha256, heads_sha256: what the files must hash to; by default the published files.
    """

    kind: Literal["vgg_lpips"]
    backbone: Path
    heads: Path
    backbone_sha256: _Sha256 = "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"
    heads_sha256: _Sha256 = "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868"


PerceptualFeatures = Annotated[EfficientNetFeatures | LpipsFeatures, Field(discriminator="kind")]


class ImageBatches(Section):
    """Joint training on images (paper, section 3.1.1: one batch of images to three of videos).

    Args:
        every: one batch of images in so many batches; 4 in the paper.
        frames_per_clip: different frames taken of each clip of such a batch, each an image.
    """

    every: Annotated[int, Field(ge=2)] = 4
    frames_per_clip: _Count = 1


class ShortClips(Section):
    """A first part of the training on shorter clips, which are cheaper (our choice).

    Args:
        frames: length of these clips, cut at random from the whole ones.
        steps: how many steps they last.
    """

    frames: _Count
    steps: _Count


class Crops(Section):
    """Batches of random sizes (our choice): one side and one length a step, one place a clip.

    Args:
        sides: rows and columns of the squares that are cut from the clips, in pixels.
        frames: lengths of the cuts; images stay images.
    """

    sides: tuple[_Side, ...] = Field(min_length=1)
    frames: tuple[_Count, ...] = Field(min_length=1)


class TAEValidation(Section):
    """Reconstruction of held-out clips by the averaged weights.

    Args:
        every_steps: steps from one validation to the next.
        data: clips to reconstruct.
        num_clips: how many of them, from the first on.
    """

    every_steps: _Count
    data: ClipData
    num_clips: _Count = 64


class TAERecipe(ModelRecipe):
    """Training of the temporal autoencoder.

    Args:
        data: clips; None in a published recipe, given by `--set` when it is run.
        loss: weight of each term.
        perceptual_features: what the perceptual term compares.
        discriminator: the adversarial term; None: there is none.
        images: one-frame batches among the videos; None: videos only.
        short_clips: shorter clips at first; None: whole clips from the start.
        crops: cuts of random sizes from the clips; None: their whole frames.
        decoder_only: keep the encoder and the statistics of its latents as `--init` brings them, so that
            what is cached, and a transformer of such latents, go on fitting the autoencoder.
        latent_noise: deviation of the noise on the latents that the decoder is given, times that of the
            posterior: 1 is a draw of the posterior, as a variational autoencoder is trained, and 0 its mean,
            which is what is cached, and what a transformer learns to make. Below 1, in a leg of the decoder
            alone, the decoder learns to show more of what a latent says (our choice).
        statistics_clips: clips whose latents give the per-channel normalisation that is saved.
    """

    model: Literal["tae"]
    data: ClipData | None = None
    loss: TAELossRecipe = Field(default_factory=TAELossRecipe)
    perceptual_features: PerceptualFeatures = Field(default_factory=EfficientNetFeatures)
    discriminator: DiscriminatorRecipe | None = None
    images: ImageBatches | None = Field(default_factory=ImageBatches)
    short_clips: ShortClips | None = None
    crops: Crops | None = None
    decoder_only: bool = False
    latent_noise: Annotated[float, Field(ge=0, le=1)] = 1.0
    statistics_clips: _Count = 256
    validation: TAEValidation | None = None

    @model_validator(mode="after")
    def _parts_go_together(self) -> Self:
        if self.crops is not None and self.short_clips is not None:
            raise ValueError("crops have lengths of their own: leave short_clips out")
        if self.compile and self.crops is not None:
            raise ValueError("compile is for one shape, and crops have many: leave one of them out")
        if self.compile and self.discriminator is not None:
            # A compiled decoder frees what its backward pass reads, and gives all of it or nothing.
            raise ValueError(
                "the adaptive weight of a discriminator needs the gradient at one layer alone, which a "
                "compiled decoder does not give: leave compile or discriminator out"
            )
        return self


class LatentsAmong(Section):
    """Batches of other latents among those of the training (paper, Table 3: images at 1 : 10 over videos).

    Args:
        latents: folder of their shards; None in a published recipe.
        every: one batch of them in so many batches; 11 are the paper's ten of videos to one of images.
    """

    latents: Path | None = None
    every: Annotated[int, Field(ge=2)] = 11


class DiTValidation(Section):
    """Flow-matching loss of held-out latents at fixed times and noise, by the averaged weights.

    Args:
        every_steps: steps from one validation to the next.
        num_samples: how many latents are held out of training, the last ones of the set.
    """

    every_steps: _Count
    num_samples: _Count = 256


class DiTRecipe(ModelRecipe):
    """Training of the video transformer on cached latents.

    Args:
        data: latents; None in a published recipe, given by `--set` when it is run.
        noise_draws: pairs of time and noise for each latent of a batch; batch_size counts latents.
        text_dropout: share of samples trained without their text, for guidance.
        text_noise: deviation of the noise that is added to the states of a caption's tokens, in their own
            units (those of MiniLM deviate by 0.44). 0 in the paper; ours, for words that a small
            training would otherwise learn by heart, and then understand no others.
        images: batches of images among those of videos; None: what is in `data` only.
        longer: batches of longer clips among those of videos; None: what is in `data` only.
    """

    model: Literal["dit"]
    data: LatentData | None = None
    images: LatentsAmong | None = None
    longer: LatentsAmong | None = None
    noise_draws: _Count = 1
    text_dropout: _Fraction = 0.1
    text_noise: _NotNegative = 0.0
    validation: DiTValidation | None = None
