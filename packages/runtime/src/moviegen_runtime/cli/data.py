"""`moviegen data`: videos into clip shards, clips and sounds into cached latents.

Imports no torch before it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from moviegen_runtime.data.pack import FileOutcome
    from moviegen_runtime.data.sound_caching import FrozenSight
    from moviegen_runtime.data.source import ClipSource
    from moviegen_runtime.text import FrozenTextEncoder

_DEFAULT_ENCODERS = ("minilm",)


@dataclass(frozen=True)
class Pack:
    """Pack videos and their captions into clip shards; a broken video is named and skipped.

    An interrupted packing goes on where it stopped when it is started again with the same options.
    """

    clips: tyro.conf.Positional[Path]
    """CSV whose first line is path,caption; relative paths are relative to it."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the shards, new or of an interrupted packing."""
    size: str = "64"
    """Pixels: one number for a square, or WIDTHxHEIGHT. The centre of that aspect is cut out and resized."""
    frames: int = 16
    """Frames of a clip."""
    fps: float = 8.0
    """Frames a second; a video of another rate is resampled."""
    clips_per_video: int = 1
    """Most clips that one video gives, one after the other from its beginning."""

    def run(self) -> None:
        """Pack, and say at the end how many clips there are and how many videos were skipped.

        Raises:
            ValueError: bad options, a folder that holds something else, or nothing could be packed.
        """
        from moviegen_runtime.data.pack import PackOptions, files_done, pack_clips, read_list
        from moviegen_runtime.data.progress import JobProgress
        from moviegen_runtime.requests import parse_size

        width, height = parse_size(self.size)
        options = PackOptions(self.frames, self.fps, height, width, self.clips_per_video)
        listing = read_list(self.clips)
        done = files_done(listing, self.out, options)
        skipped = 0
        with JobProgress("packing", "videos", len(listing.files), done) as progress:

            def on_file(outcome: FileOutcome) -> None:
                nonlocal skipped
                progress.advance(1)
                if outcome.problem is not None:
                    skipped += 1
                    progress.say(f"skipped line {outcome.file.line}: {outcome.problem}")

            count = pack_clips(listing, self.out, options, on_file)
        earlier = f" ({done} videos were done before)" if done else ""
        print(f"{count} clips in {self.out}; {skipped} videos skipped{earlier}", file=sys.stderr)


@dataclass(frozen=True)
class Latents:
    """Encode clips by the autoencoder and captions by the text encoder into latent shards, to train on.

    An interrupted job goes on after its last complete shard when it is started again with the same options.
    """

    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the latent shards, new or of an interrupted job."""
    tae: str
    """Weights of the autoencoder: a folder, or miniature."""
    source: str | None = None
    """Clip source that an installed package offers, such as stage."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Option of the source, KEY=VALUE with the value in YAML; can be given again."""
    shards: Path | None = None
    """Folder of clip shards, as `moviegen data pack` writes them; instead of a source."""
    num_clips: int | None = None
    """How many clips, from the first on; all of them if not given."""
    encoder: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Text encoder, minilm (the default) or NAME=SOURCE with a folder or Hub id; can be given again."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the autoencoder and large text encoders run; auto takes CUDA where it is there."""

    def run(self) -> None:
        """Encode, and say at the end how many samples there are and how many clips were skipped.

        Raises:
            ValueError: bad options, missing weights, a folder that holds something else, or a clip of a size
                that the autoencoder does not take.
        """
        source, origin = self._open()
        import moviegen_tae
        from moviegen_core import weights_hash

        from moviegen_runtime.data.caching import LatentJob, cache_latents, clips_done
        from moviegen_runtime.data.progress import JobProgress

        device = _device(self.device)
        job = LatentJob(
            source=source,
            origin=origin,
            num_clips=len(source) if self.num_clips is None else self.num_clips,
            tae=moviegen_tae.from_pretrained(self.tae).to(device),
            tae_hash=weights_hash(moviegen_tae.locate(self.tae)),
            encoders=_encoders(self.encoder, device),
            device=device,
        )
        done = clips_done(job, self.out)
        skipped: list[str] = []
        with JobProgress("encoding", "clips", job.num_clips, done) as progress:

            def on_skip(problem: str) -> None:
                skipped.append(problem)
                progress.say(f"skipped {problem}")

            count = cache_latents(job, self.out, progress.advance, on_skip)
        earlier = f" ({done} were done before)" if done else ""
        print(f"{count} latents in {self.out}; {len(skipped)} clips skipped{earlier}", file=sys.stderr)

    def _open(self) -> tuple[ClipSource, str]:
        """The clips, and what they are in words that change when the clips do."""
        import json

        from moviegen_runtime.data.clips import ShardedClips
        from moviegen_runtime.data.source import open_source

        if (self.source is None) == (self.shards is None):
            raise ValueError("give the clips by exactly one of --source and --shards")
        if self.shards is not None:
            if self.set:
                raise ValueError("--set is for the options of a --source; shards have none")
            clips = ShardedClips(self.shards)
            return clips, f"shards {clips.reader.fingerprint}"
        assert self.source is not None
        options = _parse_options(self.set)
        told = json.dumps(options, sort_keys=True, default=str)
        return open_source(self.source, options), f"source {self.source} {told}"


@dataclass(frozen=True)
class Sounds:
    """Encode sounds by the codec and captions by the text encoder into shards, with what is seen meanwhile.

    An interrupted job goes on after its last complete shard when it is started again with the same options.
    """

    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the shards, new or of an interrupted job."""
    codec: str
    """Weights of the codec: a folder, or miniature."""
    source: str
    """Source of sounds that an installed package offers, such as stage."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Option of the source, KEY=VALUE with the value in YAML; can be given again."""
    num_sounds: int | None = None
    """How many sounds, from the first on; all of them if not given."""
    sight: str | None = None
    """Keep what is seen of the films, by weights of a training of the model sight: a folder, or miniature."""
    clip: str | None = None
    """Keep what is seen of the films, by a CLIP such as MetaCLIP: a folder or a Hub id."""
    encoder: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Text encoder, minilm (the default) or NAME=SOURCE with a folder or Hub id; can be given again."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the codec, the sight and large text encoders run; auto takes CUDA where it is there."""

    def run(self) -> None:
        """Encode, and say at the end how many samples there are and how many sounds were skipped.

        Raises:
            ValueError: bad options, missing weights, a folder that holds something else, or a sound that the
                codec does not take.
        """
        import json

        from moviegen_audio import load_codec, locate_codec
        from moviegen_core import weights_hash

        from moviegen_runtime.data.progress import JobProgress
        from moviegen_runtime.data.sound_caching import SoundJob, cache_sounds, sounds_done
        from moviegen_runtime.data.sounds import Fingerprinted, open_sounds

        options = _parse_options(self.set)
        source, device = open_sounds(self.source, options), _device(self.device)
        told = json.dumps(options, sort_keys=True, default=str)
        file = f" {source.fingerprint}" if isinstance(source, Fingerprinted) else ""
        job = SoundJob(
            source=source,
            origin=f"source {self.source} {told}{file}",
            num_sounds=len(source) if self.num_sounds is None else self.num_sounds,
            codec=load_codec(self.codec).to(device),
            codec_hash=weights_hash(locate_codec(self.codec)),
            encoders=_encoders(self.encoder, device),
            sight=self._seeing(device),
            device=device,
        )
        done = sounds_done(job, self.out)
        skipped: list[str] = []
        with JobProgress("encoding", "sounds", job.num_sounds, done) as progress:

            def on_skip(problem: str) -> None:
                skipped.append(problem)
                progress.say(f"skipped {problem}")

            count = cache_sounds(job, self.out, progress.advance, on_skip)
        earlier = f" ({done} were done before)" if done else ""
        print(f"{count} sounds in {self.out}; {len(skipped)} skipped{earlier}", file=sys.stderr)

    def _seeing(self, device: str) -> FrozenSight | None:
        from moviegen_runtime.features.clip_sight import ClipSight
        from moviegen_runtime.features.trained_sight import TrainedSight

        if self.sight is not None and self.clip is not None:
            raise ValueError("films are seen by one encoder: give --sight or --clip, not both")
        if self.sight is not None:
            return TrainedSight(self.sight, device)
        return None if self.clip is None else ClipSight(self.clip, device)


@tyro.conf.configure(tyro.conf.OmitArgPrefixes)
@dataclass(frozen=True)
class Data:
    """Prepare data to train on."""

    job: (
        Annotated[Pack, tyro.conf.subcommand(name="pack", prefix_name=False)]
        | Annotated[Latents, tyro.conf.subcommand(name="latents", prefix_name=False)]
        | Annotated[Sounds, tyro.conf.subcommand(name="sounds", prefix_name=False)]
    )

    def run(self) -> None:
        """Run the job.

        Raises:
            ValueError: whatever the job refuses.
        """
        self.job.run()


def _encoders(named: Sequence[str], device: str) -> tuple[FrozenTextEncoder, ...]:
    from moviegen_runtime.text import text_encoder

    parts = (each.partition("=") for each in named or _DEFAULT_ENCODERS)
    return tuple(text_encoder(name, source or None, device=device) for name, _, source in parts)


def _device(name: str) -> str:
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("there is no CUDA device here: leave --device out, or say cpu")
    return name


def _parse_options(settings: Sequence[str]) -> dict[str, object]:
    import yaml

    options: dict[str, object] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.isidentifier():
            raise ValueError(f"an option of a source is KEY=VALUE, not {setting!r}")
        try:
            options[key] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(
                f"the value of {key} is not valid YAML: {' '.join(str(error).split())}"
            ) from error
    return options
