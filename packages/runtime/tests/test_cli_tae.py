"""`moviegen tae inflate`: files of an image autoencoder to weights that a training starts from."""

from __future__ import annotations

import json
from pathlib import Path

import moviegen_tae
import numpy as np
import pytest
import torch
import yaml
from moviegen_core import VideoClip
from moviegen_runtime.cli import main
from moviegen_runtime.data.clips import CLIP_KIND, CLIP_MEMBERS, write_clip
from moviegen_runtime.data.source import CaptionedClip
from moviegen_runtime.data.writing import begin, finish, write_shard
from moviegen_tae import TAE, TAEConfig
from moviegen_tae.inflate import _spatial
from safetensors.torch import save_file

CONFIG = TAEConfig(
    channels=(8, 8, 16, 16),
    encoder_blocks=(1, 1, 1, 1),
    decoder_blocks=(2, 2, 2, 2),
    latent_channels=4,
    norm_groups=4,
    width_changes_in="blocks",
)
SETTINGS = {"act_fn": "silu", "norm_num_groups": 4, "scaling_factor": 0.5, "shift_factor": 0.25}


@pytest.fixture
def vae(tmp_path: Path) -> Path:
    """A folder as diffusers writes it; what its tensors come to is tested where they are read."""
    folder = tmp_path / "vae"
    folder.mkdir()
    torch.manual_seed(0)
    tensors = {name: tensor.detach().contiguous() for name, tensor in _spatial(TAE(CONFIG)).items()}
    save_file(tensors, folder / "diffusion_pytorch_model.safetensors")
    (folder / "config.json").write_text(json.dumps(SETTINGS))
    return folder


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    random = np.random.default_rng(0)
    begin(folder, CLIP_KIND, CLIP_MEMBERS, {})
    frames = random.integers(0, 255, (3, 8, 16, 16, 3), dtype=np.uint8)
    write_shard(folder, 0, (write_clip(CaptionedClip(each, 8.0, "noise")) for each in frames))
    finish(folder, 1)
    return folder


def fails(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_a_training_starts_from_an_inflated_autoencoder_by_the_lines_that_are_printed(
    vae: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["tae", "inflate", str(vae), "-o", str(tmp_path / "start")])
    recipe = {
        "model": "tae",
        "data": {"shards": str(clips)},
        "batch_size": 1,
        "steps": 1,
        "statistics_clips": 3,
        "optimizer": {"name": "muon", "lr": 1e-30, "muon_lr": 1e-30, "schedule": "constant"},
        **yaml.safe_load(capsys.readouterr().out),
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    out = tmp_path / "run"
    main(["train", str(tmp_path / "recipe.yaml"), "-o", str(out), "--init", str(tmp_path / "start")])
    started, trained = (
        moviegen_tae.from_pretrained(folder) for folder in (tmp_path / "start", out / "weights")
    )
    assert started.config == trained.config == CONFIG
    # Nothing was learned at that rate, and what is exported has statistics of its own latents.
    clip = VideoClip(torch.rand(1, 3, 9, 16, 16), 8.0)
    with torch.no_grad():
        means = [tae.posterior(clip).mean for tae in (started, trained)]
    torch.testing.assert_close(*means, rtol=0.02, atol=0.02)  # weights are exported in half precision
    torch.testing.assert_close(started.latent_mean, torch.full((4,), 0.25))
    torch.testing.assert_close(started.latent_std, torch.full((4,), 2.0))
    assert not torch.allclose(trained.latent_std, started.latent_std, rtol=0.1)


def test_bad_files_get_a_sentence_and_leave_nothing(
    vae: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "start"
    weights = vae / "diffusion_pytorch_model.safetensors"
    whole = weights.read_bytes()
    for content, told in [(whole[:100], "damaged"), (b"", "damaged"), (b"\xff" * 64, "damaged")]:
        weights.write_bytes(content)
        assert fails("tae", "inflate", str(vae), "-o", str(out)) == 2
        assert told in capsys.readouterr().err
    save_file({"weight": torch.zeros(3)}, weights)
    assert fails("tae", "inflate", str(vae), "-o", str(out)) == 2
    assert "levels" in capsys.readouterr().err
    weights.write_bytes(whole)
    (vae / "config.json").write_text('{"norm_num_groups": 0}')
    assert fails("tae", "inflate", str(vae), "-o", str(out)) == 2
    error = capsys.readouterr().err
    assert "norm_num_groups" in error
    assert error.count("\n") == 1
    assert fails("tae", "inflate", str(tmp_path / "absent"), "-o", str(out)) == 2
    assert "there is no file" in capsys.readouterr().err
    assert not out.exists()


def test_what_is_there_is_not_replaced(vae: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fails("tae", "inflate", str(vae), "-o", str(vae)) == 2
    assert "is there already" in capsys.readouterr().err
    assert (vae / "diffusion_pytorch_model.safetensors").is_file()
