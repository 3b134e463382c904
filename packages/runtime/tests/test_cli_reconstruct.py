"""`moviegen reconstruct` from a film to what is written and printed, or to a sentence and nothing else."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import moviegen_tae
import numpy as np
import pytest
import torch
from moviegen_core import VideoClip
from moviegen_runtime.cli import main
from moviegen_runtime.cli.reconstruct import DEFAULT_MEMORY, DEFAULT_MODEL
from moviegen_runtime.media import film as film_module
from moviegen_runtime.media.frames import to_uint8
from moviegen_runtime.media.reading import read_clip
from moviegen_runtime.metrics import psnr, ssim
from moviegen_runtime.pipelines.reconstruct import needed_bytes, tiling_within
from moviegen_tae import TAE, Tiling
from numpy.typing import NDArray
from PIL import Image

MakeFilm = Callable[..., Path]


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def model(tiny_model: Path) -> list[str]:
    return ["--model", str(tiny_model / "tae"), "--device", "cpu"]


@pytest.fixture
def tae(tiny_model: Path) -> TAE:
    return moviegen_tae.from_pretrained(tiny_model / "tae")


def names() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def times(path: str) -> list[Fraction]:
    with av.open(path) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def sentence(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command says when it refuses."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(["reconstruct", *arguments])
    captured = capsys.readouterr()
    assert caught.value.code == 2
    assert captured.out == ""
    assert captured.err.startswith("moviegen: ")
    assert captured.err.count("\n") == 1
    return captured.err


@torch.no_grad()
def rebuilt(tae: TAE, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Frames through the autoencoder in one piece, padded by torch."""
    pixels = torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
    height, width = frames.shape[1:3]
    padded = torch.nn.functional.pad(pixels, (0, -width % 8, 0, -height % 8, 0, 0), mode="replicate")
    given = to_uint8(tae.decode(tae.encode(VideoClip(padded, 8.0))))[0]
    return given[:, :height, :width]


@pytest.mark.parametrize(("height", "width"), [(48, 64), (45, 70), (46, 67)])
def test_a_film_goes_through_the_autoencoder(
    make_film: MakeFilm,
    model: list[str],
    tae: TAE,
    capsys: pytest.CaptureFixture[str],
    height: int,
    width: int,
) -> None:
    make_film(Path("in.mkv"), height=height, width=width, codec="ffv1", pix_fmt="bgr0")
    main(["reconstruct", "in.mkv", "-o", "out.mp4", *model])
    true = read_clip("in.mkv").frames
    expected = rebuilt(tae, true)
    written = read_clip("out.mp4").frames
    assert written.shape == expected.shape == (12, height, width, 3)
    # H.264 lies between; yuv420p keeps brightness only.
    assert np.abs((written.astype(float) - expected) @ (0.299, 0.587, 0.114)).mean() < 3
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert lines[0] == "out.mp4"
    assert lines[1].split(maxsplit=1) == [
        "film",
        f"12 frames of {width}x{height}, 1.50 s, 8 a second; sound: none",
    ]
    assert float(lines[5].removeprefix("speed").removesuffix("frames a second")) > 0
    printed = {line.split()[0]: float(line.split()[1]) for line in lines[2:]}
    assert printed["PSNR"] == pytest.approx(psnr(true, expected), abs=0.02)
    assert printed["SSIM"] == pytest.approx(ssim(true, expected), abs=2e-4)
    latent_values = 4 * 2 * -(-height // 8) * -(-width // 8)
    ratio = 3 * 12 * height * width / latent_values
    assert printed["compression"] == pytest.approx(ratio, abs=0.06)
    assert f"{ratio / 2:.1f} to 1 in bits (8 a pixel value, 16 a latent value)" in lines[4]


@pytest.mark.parametrize("rotation", [90, 180])
def test_a_film_that_lies_goes_through_upright(
    make_film: MakeFilm, model: list[str], tae: TAE, rotation: int
) -> None:
    make_film(Path("in.mp4"), rotation=rotation)
    main(["reconstruct", "in.mp4", "-o", "out.mp4", *model])
    expected = rebuilt(tae, read_clip("in.mp4").frames)
    written = read_clip("out.mp4").frames
    assert written.shape == expected.shape == ((12, 48, 64, 3) if rotation == 180 else (12, 64, 48, 3))
    assert np.abs((written.astype(float) - expected) @ (0.299, 0.587, 0.114)).mean() < 3


def test_a_film_is_never_written_over_itself(
    make_film: MakeFilm, model: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    make_film(Path("in.mp4"))
    before = Path("in.mp4").read_bytes()
    said = sentence(capsys, "in.mp4", "-o", "./in.mp4", "--overwrite", *model)
    assert "is the film itself" in said
    assert Path("in.mp4").read_bytes() == before


def test_a_film_of_many_tiles_keeps_frames_times_and_sound(make_film: MakeFilm, model: list[str]) -> None:
    uneven = sorted({round(33.4 * index + 9 * (index % 3)) for index in range(75)})
    make_film(Path("in.mp4"), times=uneven, unit=Fraction(1, 1000), sound="aac")
    tiles = ["--tile-frames", "16", "--tile-side", "32", "--tile-overlap", "8"]
    main(["reconstruct", "in.mp4", "-o", "out.mp4", *tiles, *model])
    assert times("out.mp4") == times("in.mp4")
    assert len(times("out.mp4")) == 75
    sounds = []
    for name in ("in.mp4", "out.mp4"):
        with av.open(name) as container:
            packets = [packet for packet in container.demux(audio=0) if packet.size]
            sounds.append([(packet.pts, packet.duration, bytes(packet)) for packet in packets])
    assert sounds[0] == sounds[1]
    with av.open("in.mp4") as before, av.open("out.mp4") as after:
        assert after.duration == before.duration


def test_the_beginning_of_a_film_has_the_beginning_of_its_sound(
    make_film: MakeFilm, model: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    make_film(Path("in.mp4"), times=range(24), sound="aac")
    main(["reconstruct", "in.mp4", "-o", "out.mp4", "--max-frames", "5", *model])
    assert len(times("out.mp4")) == 5
    assert "5 frames of 64x48, 0.62 s, 8 a second; sound: aac, as it was" in capsys.readouterr().out
    with av.open("out.mp4") as container:
        assert container.duration / 1e6 == pytest.approx(0.625, abs=0.07)


def test_film_and_result_are_put_side_by_side(make_film: MakeFilm, model: list[str]) -> None:
    make_film(Path("in.mp4"), height=46, width=62)
    main(["reconstruct", "in.mp4", "-o", "out.mp4", "--side-by-side", "both.mp4", *model])
    true, given, both = (read_clip(name).frames.astype(int) for name in ("in.mp4", "out.mp4", "both.mp4"))
    assert both.shape == (12, 46, 124, 3)
    assert np.abs(both[:, :, :58] - true[:, :, :58]).mean() < 3
    assert np.abs(both[:, :, 66:] - given[:, :, 4:]).mean() < 3


def test_what_waits_does_not_grow_with_the_film(
    make_film: MakeFilm, tae: TAE, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moviegen_runtime.pipelines.reconstruct import reconstruct

    make_film(Path("in.mp4"), times=range(200))
    read, lags = 0, []
    decoded = film_module.decoded

    def counted(*arguments: object) -> Iterator[av.VideoFrame]:
        nonlocal read
        for frame in decoded(*arguments):
            read += 1
            yield frame

    monkeypatch.setattr(film_module, "decoded", counted)
    reconstruct(
        Path("in.mp4"), Path("out.mp4"), tae, Tiling(2, 1), on_progress=lambda p: lags.append(read - p.done)
    )
    assert read == len(lags) == 200
    assert max(lags) <= 2 * 16 + 1  # a tile that is decoded, the one before, and the frame that ends it


def test_large_pictures_get_shorter_tiles(tae: TAE) -> None:
    options = {"side": 32, "side_overlap": 4}
    sizes = {
        frames: needed_bytes(tae, Tiling(frames, frames // 2, 32, 4), 2160, 3840) for frames in (4, 2, 1)
    }
    assert sizes[4] > sizes[2] > sizes[1]
    for frames, size in sizes.items():
        assert tiling_within(size, tae, 2160, 3840, **options) == Tiling(frames, frames // 2, 32, 4)
    with pytest.raises(ValueError, match=r"pictures of 3840x2160 take about .* allow it with --memory"):
        tiling_within(sizes[1] - 1, tae, 2160, 3840, **options)


def test_sizes_that_a_budget_is_made_for() -> None:
    tae = moviegen_tae.from_pretrained(DEFAULT_MODEL)
    budget = round(DEFAULT_MEMORY * 2**30)
    assert tiling_within(budget, tae, 1080, 1920, side=32, side_overlap=4).frames == 4


BAD = {
    "empty.mp4": (lambda _: b"", "empty.mp4 is empty"),
    "text.mp4": (lambda _: b"hello world" * 100, "text.mp4 is damaged, cut off or not a video"),
    "zeros.mp4": (lambda _: b"\x00" * 4096, "zeros.mp4 is damaged, cut off or not a video"),
    "head.mp4": (lambda data: data[:40], "head.mp4 is damaged, cut off or not a video"),
    "half.mp4": (lambda data: data[: len(data) // 2], "half.mp4 is damaged"),
    "most.mp4": (lambda data: data.replace(b"moov", b"mood"), "most.mp4 is damaged"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_whole_video_is_told_in_a_sentence(
    make_film: MakeFilm, model: list[str], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    change, said = BAD[name]
    data = make_film(Path("in.mp4"), times=range(40)).read_bytes()
    Path("in.mp4").unlink()
    Path(name).write_bytes(change(data))
    assert said in sentence(capsys, name, "-o", "out.mp4", *model)
    assert names() == [name]


def test_a_film_that_breaks_off_late_leaves_no_half_file(
    make_film: MakeFilm, model: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(make_film(Path("in.mp4"), times=range(60)).read_bytes())
    middle = data.index(b"moov") * 3 // 4
    data[middle : middle + 300] = b"\xff" * 300
    Path("in.mp4").write_bytes(data)
    Path("out.mp4").write_text("mine")
    options = ["--tile-frames", "8", "--side-by-side", "both.mp4", "--overwrite"]
    assert "in.mp4 is damaged" in sentence(capsys, "in.mp4", "-o", "out.mp4", *options, *model)
    assert names() == ["in.mp4", "out.mp4"]
    assert Path("out.mp4").read_text() == "mine"


def test_a_sound_alone_is_told_in_a_sentence(
    make_film: MakeFilm, model: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    make_film(Path("film.mp4"), sound="aac")
    with av.open("film.mp4") as source, av.open("sound.mp4", "w") as container:
        stream = container.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = stream
                container.mux(packet)
    assert "sound.mp4 has no video stream" in sentence(capsys, "sound.mp4", "-o", "out.mp4", *model)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (10, 64), (64, 10)])
def test_tiny_pictures_are_told_in_a_sentence(
    model: list[str], capsys: pytest.CaptureFixture[str], width: int, height: int
) -> None:
    Image.new("RGB", (width, height)).save("in.png")
    said = sentence(capsys, "in.png", "-o", "out.mp4", *model)
    assert f"in.png has pictures of {width}x{height} pixels; they must have at least 11 rows" in said
    assert names() == ["in.png"]


def test_an_absurd_size_is_told_in_a_sentence(
    make_film: MakeFilm, model: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(make_film(Path("in.avi"), codec="rawvideo", pix_fmt="bgr24").read_bytes())
    width = data.index(b"strf") + 12  # the header of the stream: width and height in 4 bytes each
    assert data[width : width + 4] == (64).to_bytes(4, "little")
    data[width : width + 8] = 2 * (15000).to_bytes(4, "little")
    Path("in.avi").write_bytes(data)
    said = sentence(capsys, "in.avi", "-o", "out.mp4", *model)
    assert "claims frames of 15000x15000, which are too large to read" in said
    assert names() == ["in.avi"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["in.mp4", "-o", "out.avi"], "'out.avi' must end in .mp4"),
        (["in.mp4", "-o", "out.mp4", "--side-by-side", "b.gif"], "'b.gif' must end in .mp4"),
        (["in.mp4", "-o", "out.mp4", "--side-by-side", "out.mp4"], "two outputs would be written to out.mp4"),
        (["in.mp4", "-o", "in.mp4"], "in.mp4 is already there"),
        (["in.mp4", "-o", "nowhere/out.mp4"], "there is no folder nowhere"),
        (["nothing.mp4", "-o", "out.mp4"], "there is no file nothing.mp4"),
        (["in.mp4", "-o", "out.mp4", "--max-frames", "0"], "--max-frames must be at least 1, not 0"),
        (["in.mp4", "-o", "out.mp4", "--tile-frames", "12"], "--tile-frames must be a multiple of 8 from 8"),
        (["in.mp4", "-o", "out.mp4", "--tile-side", "-8"], "--tile-side must be a multiple of 8 from 0"),
        (["in.mp4", "-o", "out.mp4", "--tile-side", "48"], "--tile-overlap must be at most half of"),
        (
            ["in.mp4", "-o", "out.mp4", "--memory", "nan"],
            "--memory must be a positive number of",
        ),
        (["in.mp4", "-o", "out.mp4", "--memory", "0.0001"], "allow it with --memory"),
        (["in.mp4", "-o", "out.mp4", "--model", "nowhere"], "no weights at 'nowhere'"),
        (["in.mp4", "-o", "out.mp4", "--device", "abacus"], "device 'abacus' cannot be used here"),
    ],
)
def test_what_cannot_work_is_told_in_a_sentence(
    make_film: MakeFilm,
    model: list[str],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    make_film(Path("in.mp4"))
    given = [] if "--model" in arguments else model[:2]
    assert said in sentence(capsys, *arguments, *given)
    assert names() == ["in.mp4"]


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_an_interrupt_leaves_nothing_behind(make_film: MakeFilm, model: list[str]) -> None:
    make_film(Path("in.mp4"), times=range(400), sound="aac")
    code = (
        # A shell that starts the tests in the background makes all that they start ignore the signal.
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from moviegen_runtime.cli import main\n"
        "from moviegen_runtime.media.film_writing import FilmWriter\n"
        "write = FilmWriter.write\n"
        "def told(*arguments):\n"
        "    print('frame', flush=True)\n"
        "    write(*arguments)\n"
        "FilmWriter.write = told\n"
        "main()\n"
    )
    arguments = ["reconstruct", "in.mp4", "-o", "out.mp4", "--side-by-side", "both.mp4", "--tile-frames", "8"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments, *model],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "frame\n"
    assert [name for name in names() if name.startswith(".out.mp4")]  # where it is written for now
    process.send_signal(signal.SIGINT)
    printed, said = process.communicate()
    assert process.returncode == 130
    assert said == "moviegen: interrupted\n"
    assert names() == ["in.mp4"]
    assert printed.count("\n") < 700  # of 800 frames


def test_the_options_stay_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["reconstruct", "--help"])
    assert set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)) == {
        *("--help", "--output", "--side-by-side", "--model", "--device", "--dtype", "--max-frames"),
        *("--tile-frames", "--tile-side", "--tile-overlap", "--memory", "--overwrite"),
    }
