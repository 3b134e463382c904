"""Sounds longer than a model sees at once: what is heard at the borders, and what memory it takes.

    python benchmarks/audio_length.py --codec DIR --dit DIR       borders, of any weights
    python benchmarks/audio_length.py --memory                    memory by length, random weights of a preset
    python benchmarks/audio_length.py ... --write                 also puts the table into the docs

Borders: sounds are made of prompts without a picture, each by windows with triangular weights, by the same
windows with uniform ones, by segments one after the other, and at once as one window, for control. The flux
of a moment is the mean change of the decimal logarithm of mel bands, up or down, to the next spectrum;
bands count from 60 dB below the loudest one on. A moment is at a border when it is a latent frame from it or
less; the ratio is that of the mean flux there to the mean flux elsewhere, over all sounds, with the 95 %
interval by drawing borders anew. Where sounds of one window are looked at, the borders are those of the
windows that the others have. Windows, segments and steps are, by default, those with which the miniature
scores films.

Memory: what a process held at most while it made a sound and took it piece by piece, above what it held with
the model in it (Linux). Values of random weights are worth nothing, but they take as much memory.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import torch
from measuring import RETURNING, apart, held
from moviegen_audio import (
    AudioCodec,
    AudioConditions,
    AudioDiT,
    FrameFeatures,
    MelSpectrogram,
    Segmenting,
    SoundCaption,
    codec_preset,
    decode_values,
    dit_preset,
    extend,
    load_codec,
    load_dit,
    sample,
    sample_windows,
)
from moviegen_dit import Blend, Windows
from moviegen_miniature.upsampling import borders_of
from moviegen_runtime.text.registry import text_encoder
from record import ROOT, device_name, fill, record
from torch import Tensor

PAGE = ROOT / "docs" / "sound" / "length.md"
PROMPTS = ("wind in the trees", "waves of the sea", "an engine runs", "traffic far away")
_SPECTRUM = 0.032  # seconds of a spectrum, about; they are a quarter of it apart
_BANDS = 40
_RANGE = 1e-3  # of the loudest band
_DRAWS = 2000

Make = Callable[[AudioConditions, int], Iterable[Tensor]]
"""Latents (1, C, T) of a sound, in pieces, of its conditions and a seed."""


@dataclass(frozen=True)
class Way:
    """A way to make a long sound, and the latent frames at which it may be heard."""

    name: str
    make: Make
    borders: tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """Mean flux at borders and elsewhere, their ratio, and its 95 % interval."""

    name: str
    borders: int
    there: float
    elsewhere: float
    ratio: float
    low: float
    high: float


def flux(samples_N: Tensor, rate: int) -> tuple[Tensor, Tensor]:
    """Change of the spectrum around moments of a sound, and the moments, in seconds."""
    window = 1 << round(math.log2(_SPECTRUM * rate))
    mel_MT = MelSpectrogram(rate, window, _BANDS)(samples_N[None])[0]
    loud_MT = mel_MT.clamp_min(max(_RANGE * mel_MT.max().item(), 1e-9)).log10()
    hop = window // 4
    moments = (torch.arange(loud_MT.shape[1] - 1, dtype=torch.float64) + 0.5) * hop / rate
    return loud_MT.diff(dim=1).abs().mean(0).double(), moments


def at_borders(
    samples_N: Tensor, rate: int, borders: Sequence[float], near: float
) -> tuple[list[float], list[float]]:
    """Mean flux at each border (seconds), and the flux of all other moments.

    Raises:
        ValueError: a border where no moment is near.
    """
    values, moments = flux(samples_N, rate)
    close = (moments - torch.tensor(borders, dtype=torch.float64)[:, None]).abs() <= near
    if not bool(close.any(1).all()):
        raise ValueError(f"every border must lie within the sound, not at {list(borders)} s")
    return [values[row].mean().item() for row in close], values[~close.any(0)].tolist()


def row(name: str, there: Sequence[float], elsewhere: Sequence[float]) -> Row:
    """The ratio over all borders of all sounds."""
    borders, rest = torch.tensor(there).double(), torch.tensor(elsewhere).double().mean()
    random = torch.Generator().manual_seed(0)
    draws = borders[torch.randint(len(borders), (_DRAWS, len(borders)), generator=random)].mean(1) / rest
    low, high = draws.quantile(torch.tensor([0.025, 0.975]).double()).tolist()
    mean = borders.mean()
    return Row(name, len(borders), mean.item(), rest.item(), (mean / rest).item(), low, high)


def ways(model: AudioDiT, frames: int, given: argparse.Namespace) -> list[Way]:
    """What is compared; all with the same settings of the solver."""
    rate = model.config.frame_rate
    length, overlap = round(given.window * rate), round(given.overlap * rate)
    settings = {"guidance": given.guidance, "steps": given.steps}

    def windows(cut: Windows) -> Make:
        def make(conditions: AudioConditions, seed: int) -> list[Tensor]:
            noise = torch.randn(
                1, model.config.latent_channels, frames, generator=torch.Generator().manual_seed(seed)
            )
            return [sample_windows(model, conditions.span, noise, cut, **settings)]

        return make

    def segments(conditions: AudioConditions, seed: int) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return extend(model, parts, conditions.span, generator, sampler=partial(sample, **settings))

    blends: dict[Blend, Windows] = {
        "triangle": Windows(frames, length, overlap, "triangle"),
        "uniform": Windows(frames, length, overlap, "uniform"),
    }
    cut = blends["triangle"]
    parts = Segmenting(given.window, given.context).cut(0, frames, rate)
    borders = tuple(borders_of(cut))
    if not borders:
        raise ValueError(f"a sound of {frames / rate:g} s is one window: there is no border")
    return [
        *(Way(f"windows, {blend}", windows(each), borders) for blend, each in blends.items()),
        Way("segments", segments, tuple(part.made.start for part in parts[1:])),
        Way("one window", windows(Windows(frames, frames, 0)), borders),
    ]


@torch.no_grad()
def measured(codec: AudioCodec, way: Way, conditions: Sequence[AudioConditions], seeds: int) -> Row:
    """The row of a way, over conditions and seeds."""
    frame = codec.hop / codec.sample_rate
    there: list[float] = []
    elsewhere: list[float] = []
    for told in conditions:
        for seed in range(seeds):
            pieces = decode_values(codec, way.make(told, seed), told.frames * codec.hop)
            samples_N = torch.cat([clip.samples for clip in pieces], dim=-1)[0, 0]
            near, rest = at_borders(samples_N, codec.sample_rate, [frame * at for at in way.borders], frame)
            there += near
            elsewhere += rest
    return row(way.name, there, elsewhere)


def table(rows: Iterable[Row]) -> str:
    """All ways, as Markdown."""
    lines = ["| made by | borders | flux there | elsewhere | ratio |", "|---|---:|---:|---:|---:|"]
    lines += [
        f"| {each.name} | {each.borders} | {each.there:.4f} | {each.elsewhere:.4f} "
        f"| {each.ratio:.3f} [{each.low:.3f}, {each.high:.3f}] |"
        for each in rows
    ]
    return "\n".join(lines)


@torch.no_grad()
def memory(preset: str, way: str, seconds: float, window: float, overlap: float, context: float) -> int:
    """Peak bytes of a sound that is taken piece by piece, in this process, which should be a fresh one."""
    torch.manual_seed(0)
    codec, model = AudioCodec(codec_preset(preset)).eval(), AudioDiT(dit_preset(preset)).eval()
    rate, channels = model.config.frame_rate, model.config.latent_channels
    frames = round(seconds * rate)

    def told(span: slice) -> AudioConditions:
        count = span.stop - span.start
        return model.prepare(
            count, video=FrameFeatures(torch.zeros(1, count, model.config.video_width), rate)
        )

    generator = torch.Generator().manual_seed(0)

    def made(frames: int) -> Iterable[Tensor]:
        if way == "segments":
            parts = Segmenting(window, context).cut(0, frames, rate)
            return extend(model, parts, told, generator, sampler=partial(sample, steps=1))
        cut = Windows(frames, round(window * rate), round(overlap * rate))
        return [sample_windows(model, told, torch.randn(1, channels, frames), cut, steps=1)]

    def taken(frames: int) -> int:
        pieces = decode_values(codec, made(frames), frames * codec.hop)
        return sum(clip.num_samples for clip in pieces)

    taken(round(window * rate))  # what the library loads once
    before = held(reset=True)
    taken(frames)
    return held() - before


def memory_table(given: argparse.Namespace) -> tuple[str, dict[str, object]]:
    """Peak memory by length."""
    bytes_of: dict[str, list[int]] = {}
    for way in ("segments", "windows, triangle"):
        for seconds in given.lengths:
            job = {"preset": given.preset, "way": way, "seconds": seconds, "window": given.window}
            job |= {"overlap": given.overlap, "context": given.context}
            bytes_of.setdefault(way, []).append(int(apart(__file__, job, given.threads, RETURNING)))
            print(f"{way}, {seconds:g} s: {bytes_of[way][-1] / 1e6:.0f} MB", file=sys.stderr, flush=True)
    lines = [f"| peak MB | {' | '.join(f'{each:g} s' for each in given.lengths)} |"]
    lines.append(f"|---|{'---:|' * len(given.lengths)}")
    lines += [
        f"| {way} | {' | '.join(f'{each / 1e6:.0f}' for each in peaks)} |" for way, peaks in bytes_of.items()
    ]
    return "\n".join(lines), {"lengths": given.lengths, "peak_bytes": bytes_of}


@torch.no_grad()
def borders_table(given: argparse.Namespace) -> tuple[str, dict[str, object]]:
    """The ratio of each way."""
    codec, model = load_codec(given.codec), load_dit(given.dit)
    frames = round(given.seconds * model.config.frame_rate)
    encoder = text_encoder(model.config.text_encoder.name, given.text)
    texts = [SoundCaption(7.0, False, False, 0.0, prompt).text() for prompt in given.prompts]
    conditions = [model.prepare(frames, text=encoder.encode([text])) for text in texts]
    rows = []
    for way in ways(model, frames, given):
        rows.append(measured(codec, way, conditions, given.seeds))
        print(f"{way.name}: {rows[-1].ratio:.3f}", file=sys.stderr, flush=True)
    return table(rows), {"rows": [asdict(each) for each in rows]}


def main() -> None:
    """Measure, print, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--codec", default="miniature", help="name or folder of a codec")
    parser.add_argument("--dit", default="miniature", help="name or folder of an audio transformer")
    parser.add_argument("--text", help="folder of the text encoder's weights, if it needs one")
    parser.add_argument("--prompts", nargs="+", default=PROMPTS)
    parser.add_argument("--seeds", type=int, default=2, help="sounds of each prompt")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--window", type=float, default=4.0, help="seconds of a window or segment")
    parser.add_argument("--overlap", type=float, default=2.0, help="seconds that two windows share")
    parser.add_argument("--context", type=float, default=1.0, help="seconds that a segment is given")
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--memory", action="store_true", help="memory by length instead")
    parser.add_argument("--preset", default="miniature", help="sizes whose memory is measured")
    parser.add_argument("--lengths", type=float, nargs="+", default=[60.0, 120.0, 240.0, 480.0, 960.0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.job:
        print(memory(**json.loads(given.job)))
        return
    cut = f"windows of {given.window:g} s, overlap {given.overlap:g} s, context {given.context:g} s"
    if given.memory:
        name, what = "audio-memory", f"sizes of {given.preset}, random weights"
        printed, figures = memory_table(given)
    else:
        name = "audio-borders"
        what = f"{len(given.prompts) * given.seeds} sounds of {given.seconds:g} s, {given.steps} steps"
        what += f", guidance {given.guidance:g}"
        printed, figures = borders_table(given)
    head = f"{what}; {cut}; {device_name()}, threads: {given.threads}, torch {torch.__version__}"
    print(head, printed, sep="\n")
    if given.write:
        record(name.replace("-", "_"), {"what": head, **figures}, given.threads)
        fill(PAGE, name, f"{head}\n{printed}\n")


if __name__ == "__main__":
    main()
