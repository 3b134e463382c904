"""`moviegen data`: its arguments, its sentences, and both jobs from files to shards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import moviegen_tae
import numpy as np
import pytest
import tyro
from moviegen_core import weights_hash
from moviegen_runtime.cli.data import Data, Latents, Pack
from moviegen_runtime.data.clips import ShardedClips
from moviegen_runtime.data.latents import ShardedLatents
from moviegen_tae import TAE, TAEConfig
from PIL import Image


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A list of two pictures, which are videos of one frame, and a file that is none."""
    for name, shade in (("dark", 40), ("light", 200)):
        Image.fromarray(np.full((32, 48, 3), shade, np.uint8)).save(tmp_path / f"{name}.png")
    (tmp_path / "broken.png").write_bytes(b"broken")
    (tmp_path / "clips.csv").write_text("path,caption\ndark.png,dark\nbroken.png,none\nlight.png,light\n")
    return tmp_path / "clips.csv"


def pack(pictures: Path, folder: Path) -> None:
    Pack(clips=pictures, out=folder, size="24x16", frames=1).run()


def parse(line: str) -> Pack | Latents:
    return tyro.cli(Data, args=line.split(" ")).job


def test_arguments_become_jobs() -> None:
    line = "pack clips.csv -o shards --size 96x64 --frames 32 --fps 16 --clips-per-video 3"
    assert parse(line) == Pack(Path("clips.csv"), Path("shards"), "96x64", 32, 16.0, 3)
    line = "latents --source stage --set split=seen --set size=64 --tae miniature --num-clips 9 -o out"
    assert parse(line) == Latents(
        Path("out"), "miniature", source="stage", set=("split=seen", "size=64"), num_clips=9
    )


def test_the_arguments_need_no_torch() -> None:
    code = "import sys, moviegen_runtime.cli.data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_packing_counts_and_names_what_was_skipped(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack(pictures, tmp_path / "shards")
    said = capsys.readouterr().err.replace("\n", " ")
    assert "skipped line 3: " in said
    assert "broken.png" in said
    assert f"2 clips in {tmp_path / 'shards'}; 1 videos skipped" in said
    clips = ShardedClips(tmp_path / "shards")
    assert clips[0].frames.shape == (1, 16, 24, 3)
    assert [int(clips[index].frames.mean()) for index in range(2)] == [40, 200]


def test_latents_of_packed_clips(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = TAEConfig(
        channels=(8, 8, 8, 8), encoder_blocks=(0, 0, 0, 0), decoder_blocks=(0, 0, 0, 0), norm_groups=2
    )
    moviegen_tae.save(TAE(config), tmp_path / "tae")
    pack(pictures, tmp_path / "shards")
    job = Latents(out=tmp_path / "latents", tae=str(tmp_path / "tae"), shards=tmp_path / "shards")
    job.run()
    assert f"2 latents in {tmp_path / 'latents'}; 0 clips skipped" in capsys.readouterr().err
    cached = ShardedLatents(tmp_path / "latents", tae=weights_hash(tmp_path / "tae"))
    assert [cached[index].caption for index in range(2)] == ["dark", "light"]
    assert cached[0].latent.shape == (16, 1, 2, 3)
    job.run()
    assert "(2 were done before)" in capsys.readouterr().err


@pytest.mark.parametrize("size", ["", "0", "64x", "x64", "64X64", "-8", "8.5", "999999", "64x64x64"])
def test_a_bad_size_is_refused(pictures: Path, tmp_path: Path, size: str) -> None:
    with pytest.raises(ValueError, match=r"size must be|multiples of 8"):
        Pack(clips=pictures, out=tmp_path / "shards", size=size).run()
    assert not (tmp_path / "shards").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "exactly one of --source and --shards"),
        ({"source": "stage", "shards": Path("x")}, "exactly one of --source and --shards"),
        ({"shards": Path("no-such"), "set": ("a=1",)}, "shards have none"),
        ({"shards": Path("no-such")}, "cannot read"),
        ({"source": "no-such"}, "no clip source is called 'no-such'"),
        ({"source": "no-such", "set": ("a",)}, "KEY=VALUE"),
        ({"source": "no-such", "set": ("a=[",)}, "not valid YAML"),
    ],
)
def test_bad_clips_are_refused_before_anything_is_loaded(
    tmp_path: Path, arguments: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        Latents(out=tmp_path / "out", tae="no-such", **arguments).run()  # type: ignore[arg-type]


def test_missing_weights_are_refused(pictures: Path, tmp_path: Path) -> None:
    pack(pictures, tmp_path / "shards")
    with pytest.raises(ValueError, match="no weights at 'no-such'"):
        Latents(out=tmp_path / "out", tae="no-such", shards=tmp_path / "shards").run()
    assert not (tmp_path / "out").exists()
